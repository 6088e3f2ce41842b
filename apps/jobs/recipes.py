"""A training to take away: another trainer's own configuration and data files, with the command that runs it."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from apps.core.errors import PortalError
from apps.datasets.exports import Drained, ExportRow
from apps.datasets.models import Split, Version
from apps.datasets.selectors import version_export_rows
from apps.datasets.version_exports import file_stem
from apps.jobs.job_files import replay_file
from apps.jobs.replay import choose_rows
from apps.jobs.trainers import (
    hyperparameters_of,
    launched_class,
    leaves_out_long_rows,
    trainer_format,
    trainer_label,
)
from apps.providers.contracts import Problem
from apps.providers.launching.recipe import TRAIN_FILE, VALIDATION_FILE, Recipe, RecipeRequest
from apps.registry.models import BaseModel

PIECE = 256 * 1024
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same training gives the same bytes, whenever it is taken away."""


class NoRecipeError(PortalError):
    """The trainer has no configuration of its own."""

    code = "no_recipe"


def recipe_name(version: Version, trainer: str) -> str:
    return f"{file_stem(version)}-{trainer.replace('_', '-')}.zip"


def recipe_archive(
    *,
    trainer: str,
    version: Version,
    base_model: BaseModel,
    method: str,
    objective: str,
    values: Mapping[str, Any],
    notes: Iterable[Problem],
) -> Iterator[bytes]:
    """A ZIP, made while it is sent. The configuration comes after the data, when the rows have been counted."""
    wanted = trainer_format(trainer, objective)
    if wanted is None:
        raise NoRecipeError(f"There is no configuration to download for {trainer_label(trainer)}.")
    longest = values["max_length"] if leaves_out_long_rows(trainer, values) else None
    general = general_rows(values)
    sink, counts = Drained(), {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for split, name in ((Split.TRAIN, TRAIN_FILE), (Split.VALIDATION, VALIDATION_FILE)):
            if split == Split.VALIDATION and not version.validation_count:
                continue
            rows = version_export_rows(version, split, longest=longest)
            counter = _Counted(wanted.write(chain(rows, general if split == Split.TRAIN else ())))
            yield from _member(archive, sink, name, counter)
            counts[name] = counter.rows
        recipe = launched_class(trainer).recipe(
            RecipeRequest(
                base_model=base_model.reference,
                base_revision=base_model.revision or None,
                settings=hyperparameters_of(method=method, objective=objective, values=values),
                rows=counts[TRAIN_FILE],
                validation_rows=counts.get(VALIDATION_FILE, 0),
            )
        )
        assert recipe is not None
        for name, text in recipe.files.items():
            yield from _member(archive, sink, name, [text.encode()])
        read_me = _read_me(trainer_label(trainer), recipe, base_model, notes)
        yield from _member(archive, sink, "README.txt", [read_me.encode()])
    yield sink.drain()


def general_rows(values: Mapping[str, Any]) -> list[ExportRow]:
    """The rows of general tasks that the settings mix in."""
    if not values["replay_rows"]:
        return []
    chosen = choose_rows(replay_file(), count=values["replay_rows"], seed=values["seed"])
    return [ExportRow(0, Split.TRAIN, line.rstrip(b"\r\n")) for line in chosen.rows]


def _read_me(label: str, recipe: Recipe, base_model: BaseModel, notes: Iterable[Problem]) -> str:
    lines = [
        f"A training for {label}. In this folder, where {label} is installed, run:",
        "",
        f"    {recipe.command}",
        "",
        f"The base model is {base_model.reference}: where that is a directory, or a model that only the machine of",
        "the dashboard has, write its place on yours into the configuration.",
        "",
    ]
    said = [note.message for note in notes]
    if said:
        lines += ["What is different from a training in the dashboard:", *(f"- {note}" for note in said), ""]
    return "\n".join(lines)


class _Counted:
    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.rows += 1
            yield line


def _member(archive: zipfile.ZipFile, sink: Drained, name: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as member:
        block = bytearray()
        for line in lines:
            block += line
            if len(block) >= PIECE:
                member.write(block)
                block.clear()
                yield sink.drain()
        member.write(block)
    yield sink.drain()
