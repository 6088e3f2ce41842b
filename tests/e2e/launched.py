"""The environment in which other trainers can be chosen: LLaMA-Factory's and Axolotl's stand-in, and the example."""

import shlex
import stat
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT / "tests" / "providers" / "fake_tool.py"


def trainers(directory: Path) -> dict[str, str]:
    """Variables that name a command for each of them."""
    return {
        "FTPORTAL_LLAMA_FACTORY": shlex.quote(str(_tool(directory / "llamafactory-cli"))),
        "FTPORTAL_AXOLOTL": shlex.quote(str(_tool(directory / "axolotl"))),
        "FTPORTAL_CUSTOM_TRAINER": shlex.join([sys.executable, str(ROOT / "examples" / "custom_trainer.py")]),
    }


def _tool(path: Path) -> Path:
    """A program of its own, which finds the kept logs beside the stand-in."""
    source = STAND_IN.read_text().replace(
        "Path(__file__).resolve().parent", f"Path({str(STAND_IN.parent)!r})"
    )
    path.write_text(f"#!/usr/bin/env -S {sys.executable} -I\n{source}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
