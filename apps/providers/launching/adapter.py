"""A training tool of the operator's as a provider: our launcher runs it in a job directory."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from apps.providers.contracts import (
    Hyperparameters,
    Problem,
    ProviderRejectedError,
    TooLong,
    TrainingRequest,
)
from apps.providers.jobdirs.trainer import JobDirectoryTrainer
from apps.providers.launching.command import ToolCommand
from apps.providers.launching.processes import kill_tool
from apps.providers.launching.recipe import Recipe, RecipeRequest


class LaunchedTrainer(JobDirectoryTrainer):
    """`command` is the operator's command line: from the installation's environment, never from a page."""

    label: ClassVar[str]
    setting: ClassVar[str]
    """The environment variable that names the command."""
    package: ClassVar[str | None] = None
    """What the tool is called among installed packages."""
    handles_too_long: ClassVar[frozenset[TooLong]] = frozenset({"drop", "truncate", "refuse"})
    """What it can do itself with rows that are too long. The rest is done before it gets them."""

    def __init__(
        self,
        *,
        jobs_dir: Path | None = None,
        command: str = "",
        python: str = sys.executable,
        supervisor_pid: int | None = None,
    ) -> None:
        super().__init__(jobs_dir=jobs_dir, python=python, supervisor_pid=supervisor_pid)
        self._command = command

    def arguments(self) -> Sequence[str]:
        try:
            command = ToolCommand.parse(self._command)
        except ValueError as error:
            raise ProviderRejectedError(
                f"{self.setting} on the worker's machine can't be read: {error}.", code="not_configured"
            ) from error
        return command.words if command else ()

    def validate(self, request: TrainingRequest) -> list[Problem]:
        problems = super().validate(request)
        if not self.arguments():
            problems.append(
                Problem(
                    code="not_configured",
                    message=f"{self.label} is not set up on the worker's machine: {self.setting} names no command.",
                )
            )
        has_validation = request.validation_file is not None
        return problems + self.settings_problems(request.hyperparameters, has_validation=has_validation)

    def kill(self, job_dir: Path) -> bool:
        """End the launcher and all that its tool has started, wherever that has gone."""
        running = super().kill(job_dir)
        return bool(kill_tool(job_dir)) or running

    @classmethod
    def settings_problems(cls, settings: Hyperparameters, *, has_validation: bool) -> list[Problem]:
        """Settings that the tool can't honour, or honours in its own way. Known without any file."""
        return []

    @classmethod
    def recipe(cls, request: RecipeRequest) -> Recipe | None:
        """The tool's own configuration of the same run; None where it has none."""
        return None
