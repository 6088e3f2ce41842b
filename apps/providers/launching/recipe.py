"""What a tool is given: the same recipe as ours in its own words, for a run here or to take away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from apps.providers.contracts import Hyperparameters

TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"
OUTPUT_DIR = "output"


@dataclass(frozen=True, kw_only=True)
class RecipeRequest:
    """Rows are those in the data files. `device` and `bfloat16` are None where it is not known what the machine has."""

    base_model: str
    base_revision: str | None
    settings: Hyperparameters
    rows: int
    validation_rows: int
    device: str | None = None
    bfloat16: bool | None = None
    resume_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """`files` lie beside the data files; paths in them are relative to that folder, and the tool is run in it.

    `module` and `arguments` start it: `python -m module arguments…`, or the tool's own command and the arguments.
    `command` is what a person types.
    """

    files: Mapping[str, str]
    command: str
    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def as_yaml(values: Mapping[str, Any]) -> str:
    """In the given order, without what is None."""
    kept = {name: value for name, value in values.items() if value is not None}
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1000))
