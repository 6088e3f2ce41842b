"""Axolotl at work: what its trainer logs, written down by a plugin of ours, as events.

Its counts of tokens are left out: they hold the padding, or only the trained ones.
"""

import importlib.resources
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.providers.adapters.axolotl.recipe import make_recipe
from apps.providers.launching.command import ToolCommand
from apps.providers.launching.job import LaunchJob
from apps.providers.launching.recipe import Recipe, RecipeRequest
from apps.providers.launching.tail import JsonLinesTail, number
from apps.providers.launching.tool import Told
from apps.providers.launching.trainer_tool import TrainerTool

LOG = "axolotl_report.jsonl"
PLUGIN_MODULE = "ftportal_reporting"


class Axolotl(TrainerTool):
    label = "Axolotl"
    package = "axolotl"
    environment = {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}

    def __init__(self, job: LaunchJob, job_dir: Path, command: ToolCommand) -> None:
        super().__init__(job, job_dir, command)
        self._log = JsonLinesTail(job_dir / LOG)

    def recipe(self, request: RecipeRequest) -> Recipe:
        recipe = make_recipe(request, plugin=f"{PLUGIN_MODULE}.Reporting")
        source = importlib.resources.files("apps.providers.adapters.axolotl") / "reporting.py"
        files = {**recipe.files, f"{PLUGIN_MODULE}.py": source.read_text(encoding="utf-8")}
        environment = {
            **recipe.environment,
            "PYTHONPATH": str(self.job_dir),
            "FTPORTAL_AXOLOTL_REPORT": str(self.job_dir / LOG),
        }
        return replace(recipe, files=files, environment=environment)

    def forget(self) -> None:
        (self.job_dir / LOG).unlink(missing_ok=True)

    def steps(self) -> Iterator[Told]:
        for line in self._log.read():
            step = line.get("step")
            if not isinstance(step, int) or isinstance(step, bool):
                continue
            shared = {
                "step": step,
                "epoch": number(line.get("epoch")),
                "total_steps": line.get("total_steps"),
            }
            if "loss" in line:
                yield Told(
                    "metrics",
                    {
                        **shared,
                        "loss": _read(line["loss"]),
                        "learning_rate": _read(line.get("learning_rate")),
                        "grad_norm": _read(line.get("grad_norm")),
                    },
                )
            elif "eval_loss" in line:
                yield Told("evaluation", {**shared, "loss": _read(line["eval_loss"])})


def _read(value: Any) -> float | int | None:
    """Some versions log numbers as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return number(value)
