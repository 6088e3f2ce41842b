"""Checkpoints that can be trusted: one counts only when its marker file, written last, agrees with what lies
there."""

import os
import shutil
from pathlib import Path

import msgspec

from apps.providers.jobdirs.files import CHECKPOINTS_DIR, RESULT_DIR
from apps.providers.jobdirs.packing import is_model_file

MARKER = "complete.json"
PREFIX = "checkpoint-"
# Files with a model file's ending that describe the run, not the model.
RUN_FILES = frozenset({MARKER, "trainer_state.json"})


class Progress(msgspec.Struct, kw_only=True):
    """Where a run stands beyond what transformers saves. Loss is mean nats per trained token."""

    step: int = 0
    tokens: int = 0
    validation_loss: float | None = None
    best_step: int | None = None
    best_loss: float | None = None
    without_improvement: int = 0


class Marker(msgspec.Struct, kw_only=True):
    progress: Progress
    sizes: dict[str, int]


class Checkpoints:
    """The checkpoints of one job directory."""

    def __init__(self, job_dir: Path, *, keep: int) -> None:
        self._job_dir = job_dir
        self._keep = keep
        self.directory = job_dir / CHECKPOINTS_DIR

    def path(self, step: int) -> Path:
        return self.directory / f"{PREFIX}{step}"

    def relative(self, step: int) -> str:
        return self.path(step).relative_to(self._job_dir).as_posix()

    def complete(self, progress: Progress) -> None:
        """Mark the checkpoint of this step as complete, then remove those that are not kept."""
        path = self.path(progress.step)
        marker = Marker(progress=progress, sizes=_sizes(path))
        temporary = path / f"{MARKER}.new"
        temporary.write_bytes(msgspec.json.encode(marker))
        temporary.replace(path / MARKER)
        self._rotate(best_step=progress.best_step)

    def is_complete(self, step: int) -> bool:
        return self.read(step) is not None

    def read(self, step: int) -> Progress | None:
        """What the marker of a checkpoint says; None when the checkpoint is incomplete or absent."""
        path = self.path(step)
        try:
            marker = msgspec.json.decode((path / MARKER).read_bytes(), type=Marker)
        except (OSError, msgspec.DecodeError):
            return None
        present = _sizes(path)
        return marker.progress if all(present.get(n) == size for n, size in marker.sizes.items()) else None

    def newest(self) -> Progress | None:
        for step in sorted(self._steps(), reverse=True):
            progress = self.read(step)
            if progress is not None:
                return progress
        return None

    def remove_incomplete(self) -> None:
        for step in self._steps():
            if not self.is_complete(step):
                shutil.rmtree(self.path(step), ignore_errors=True)

    def clear(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def publish(self, step: int) -> str:
        """Make the result directory from a checkpoint: the model's files without optimizer or run state."""
        target = self._job_dir / RESULT_DIR
        building = self._job_dir / f"{RESULT_DIR}.new"
        for path in (building, target):
            shutil.rmtree(path, ignore_errors=True)
        building.mkdir()
        source = self.path(step)
        for name in sorted(os.listdir(source)):
            if is_model_file(name) and name not in RUN_FILES:
                _link(source / name, building / name)
        building.rename(target)
        return RESULT_DIR

    def _rotate(self, *, best_step: int | None) -> None:
        for step in sorted(self._steps(), reverse=True)[self._keep :]:
            if step != best_step:
                shutil.rmtree(self.path(step), ignore_errors=True)

    def _steps(self) -> list[int]:
        if not self.directory.is_dir():
            return []
        numbers = (
            name.removeprefix(PREFIX) for name in os.listdir(self.directory) if name.startswith(PREFIX)
        )
        return [int(number) for number in numbers if number.isdecimal()]


def _sizes(directory: Path) -> dict[str, int]:
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(MARKER)
    }


def _link(source: Path, target: Path) -> None:
    """Share the bytes where the file system can; a checkpoint's files are never written again."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
