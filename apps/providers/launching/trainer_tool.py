"""Tools that are built on transformers' trainer: written a recipe, followed by their checkpoints and their log."""

import math
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from apps.providers.jobdirs.files import LOG_FILE
from apps.providers.launching.checkpoints import SavedCheckpoints
from apps.providers.launching.command import ToolCommand
from apps.providers.launching.job import LaunchJob
from apps.providers.launching.probe import probe
from apps.providers.launching.recipe import OUTPUT_DIR, Recipe, RecipeRequest
from apps.providers.launching.results import publish_result
from apps.providers.launching.schedule import make_schedule
from apps.providers.launching.tool import Start, Told

# What transformers' trainer says at its start, in the log.
_RUNNING = re.compile(rb"\*{5} Running training \*{5}")


class TrainerTool(ABC):
    """Subclasses write the recipe and read the tool's own record of its steps."""

    label: ClassVar[str]
    package: ClassVar[str]
    """The tool's name among installed packages."""
    environment: ClassVar[Mapping[str, str]] = {}

    def __init__(self, job: LaunchJob, job_dir: Path, command: ToolCommand) -> None:
        self.job = job
        self.job_dir = job_dir
        self.output = job_dir / OUTPUT_DIR
        self._command = command
        self._checkpoints = SavedCheckpoints(self.output)
        self._schedule = make_schedule(job.settings, job.rows)
        self._steps = self._schedule.steps
        self._evaluations: dict[int, float] = {}
        self._step = 0
        self._log_offset = 0
        self._running = False

    @abstractmethod
    def recipe(self, request: RecipeRequest) -> Recipe:
        """The tool's configuration."""

    @abstractmethod
    def forget(self) -> None:
        """Remove the record of an earlier run, so that its steps are not told again."""

    @abstractmethod
    def steps(self) -> Iterator[Told]:
        """New "metrics" and "evaluation" events from the tool's record; "metrics" may hold `total_steps`."""

    # --- The tool's life --------------------------------------------------------------------------------------------

    def begin(self) -> Start | None:
        newest = self._checkpoints.newest() if self.job.resume else None
        if newest is None:
            shutil.rmtree(self.output, ignore_errors=True)
        else:
            self._step = newest.step
            self._evaluations.update(newest.evaluations)
            for saved in self._checkpoints.fresh():
                self._evaluations.update(saved.evaluations)
            if newest.step >= self._steps:
                return None
        self.forget()
        self._log_offset = (
            (self.job_dir / LOG_FILE).stat().st_size if (self.job_dir / LOG_FILE).exists() else 0
        )
        # One accelerator, as for our own trainer, unless the worker's environment names others.
        environment = {
            "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
            **self.environment,
        }
        facts = probe(self._command, self.package, environment)
        recipe = self.recipe(
            RecipeRequest(
                base_model=self.job.base_model,
                base_revision=self.job.base_revision,
                settings=self.job.settings,
                rows=self.job.rows,
                validation_rows=self.job.validation_rows,
                device=facts.get("device"),
                bfloat16=facts.get("bfloat16"),
                resume_from=f"{OUTPUT_DIR}/{newest.directory.name}" if newest else None,
            )
        )
        for name, text in recipe.files.items():
            (self.job_dir / name).write_text(text, encoding="utf-8")
        return Start(
            words=self._command.starting(recipe.module, *recipe.arguments),
            environment={**environment, **recipe.environment},
            facts=facts | {"seed": self.job.settings.seed, "trainer": self.label},
            plan=self._plan(newest.step if newest else None),
        )

    def look(self) -> Iterator[Told]:
        if not self._running and self._says_running():
            self._running = True
            yield Told("phase", {"phase": "training"})
        for told in self.steps():
            yield from self._step_told(told)
        for saved in self._checkpoints.fresh():
            self._evaluations.update(saved.evaluations)
            loss = saved.evaluations.get(saved.step)
            path = saved.directory.relative_to(self.job_dir).as_posix()
            is_best = saved.step == self._best()
            yield Told(
                "checkpoint", {"step": saved.step, "path": path, "validation_loss": loss, "is_best": is_best}
            )

    def left(self) -> tuple[int, str] | None:
        newest = self._checkpoints.newest()
        return (newest.step, newest.directory.relative_to(self.job_dir).as_posix()) if newest else None

    def result(self) -> Mapping[str, Any]:
        """The checkpoint of the lowest validation loss where it is still there, else what the tool left at the end."""
        best = self._best()
        directory = self._checkpoints.at(best) if best is not None else None
        path = publish_result(
            directory or self.output, self.job_dir, method=self.job.settings.method, label=self.label
        )
        losses = self._evaluations
        return {
            "path": path,
            "kind": "adapter" if self.job.settings.method == "lora" else "full",
            "best_step": best if directory else None,
            "validation_loss": losses[best] if directory and best is not None else None,
            "steps": self._step,
            "stopped_early": self.job.settings.early_stopping_patience is not None
            and self._step < self._steps,
        }

    # --- Parts ------------------------------------------------------------------------------------------------------

    def _step_told(self, told: Told) -> Iterator[Told]:
        data = dict(told.data)
        total = data.pop("total_steps", None)
        if isinstance(total, int) and total > 0 and total != self._steps:
            # The tool counts otherwise, after leaving rows out for one: its word holds.
            self._steps = total
            yield Told("plan", self._plan(self._step or None))
        self._step = max(self._step, data["step"])
        if told.type == "evaluation" and data.get("loss") is not None and math.isfinite(data["loss"]):
            self._evaluations[data["step"]] = data["loss"]
        yield Told(told.type, data)

    def _best(self) -> int | None:
        return min(self._evaluations, key=lambda step: (self._evaluations[step], step), default=None)

    def _plan(self, resumed_from_step: int | None) -> dict[str, Any]:
        return {
            "examples": self.job.rows,
            "validation_examples": self.job.validation_rows,
            "steps": self._steps,
            "steps_per_epoch": self._schedule.steps_per_epoch,
            "evaluation_steps": self._schedule.interval,
            "resumed_from_step": resumed_from_step,
        }

    def _says_running(self) -> bool:
        try:
            with (self.job_dir / LOG_FILE).open("rb") as stream:
                stream.seek(self._log_offset)
                data = stream.read(1024 * 1024)
        except OSError:
            return False
        self._log_offset += max(0, len(data) - 64)  # a phrase may be cut at the end
        return _RUNNING.search(data) is not None
