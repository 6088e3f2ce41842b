"""What the doctor says of the operator's own trainers. The other parts are looked at in test_up.py, where they run."""

import sys
from pathlib import Path

from ftportal.doctor import CHECKS, Status
from ftportal.environment import load


def trainers(settings, **commands: str) -> dict[str, tuple[Status, str]]:
    for name in ("FTPORTAL_LLAMA_FACTORY", "FTPORTAL_AXOLOTL", "FTPORTAL_CUSTOM_TRAINER"):
        setattr(settings, name, commands.get(name, ""))
    return {found.part: (found.status, found.detail) for found in CHECKS["trainers"](load())}


def test_trainers_that_are_not_set_up_are_no_fault(settings):
    found = trainers(settings)
    assert found["LLaMA-Factory"] == (Status.OK, "not set up (FTPORTAL_LLAMA_FACTORY)")
    assert {status for status, _ in found.values()} == {Status.OK}


def test_each_trainer_is_looked_for(settings, tmp_path: Path):
    found = trainers(
        settings,
        FTPORTAL_LLAMA_FACTORY=sys.executable,  # has no LLaMA-Factory
        FTPORTAL_AXOLOTL=str(tmp_path / "axolotl"),
        FTPORTAL_CUSTOM_TRAINER="'never closed",
    )
    assert found["LLaMA-Factory"][0] == Status.WARN
    assert "version is unknown" in found["LLaMA-Factory"][1]
    assert found["Axolotl"] == (Status.FAIL, f"{tmp_path / 'axolotl'} is not there or can't be run")
    assert found["Custom trainer"][0] == Status.FAIL
    assert "No closing quotation" in found["Custom trainer"][1]


def test_the_version_is_asked_of_the_interpreter_that_has_it(settings, tmp_path: Path):
    """A package beside an interpreter: only its metadata is read."""
    about = tmp_path / "lib" / "axolotl-0.19.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: axolotl\nVersion: 0.19.0\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path / "lib"}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    found = trainers(settings, FTPORTAL_AXOLOTL=str(python))
    assert found["Axolotl"] == (Status.OK, f"0.19.0 ({python})")
