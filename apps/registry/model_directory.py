"""What a directory with a Hugging Face model says about itself, read without loading any weights."""

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.core.bundled_model import model_location
from apps.core.errors import PortalError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
HEADER_LIMIT = 100 * 1024 * 1024
"""Bytes; the limit that the safetensors format itself sets for its header."""
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


class ModelReferenceError(PortalError):
    """What was given names no model that can be trained or asked."""

    code = "no_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """None, or an empty text, where the directory does not say."""

    name: str
    parameters: int | None = None
    context_length: int | None = None
    licence: str = ""


def is_directory_reference(reference: str) -> bool:
    """A path, as opposed to a hub id."""
    return reference.startswith(("/", "./", "../", "~"))


def read_model_facts(reference: str) -> ModelFacts:
    """The facts of a model directory; of a hub id only its name. Raises `ModelReferenceError` for anything else."""
    reference = model_location(reference)
    if not is_directory_reference(reference):
        if not HUB_ID.fullmatch(reference):
            raise ModelReferenceError(
                f"“{reference}” is neither a directory nor a hub id such as organisation/model. Give one of the two."
            )
        return ModelFacts(name=reference.rpartition("/")[2][:120])
    directory = Path(reference).expanduser()
    if not directory.is_dir():
        raise ModelReferenceError(
            f"There is no directory {reference} on the server. Copy the model there first, or give a hub id."
        )
    configuration = _read_configuration(directory)
    weights = sorted(directory.glob("*.safetensors"))
    if not weights:
        raise ModelReferenceError(
            f"{reference} holds no safetensors weights. Other formats can run code when they are loaded and are"
            " not taken; convert the model with save_pretrained(…, safe_serialization=True)."
        )
    front_matter = _front_matter(directory / "README.md")
    return ModelFacts(
        name=(front_matter.get("model_name") or directory.resolve().name)[:120],
        parameters=count_parameters(weights),
        context_length=next(
            (configuration[key] for key in CONTEXT_KEYS if isinstance(configuration.get(key), int)), None
        ),
        licence=(front_matter.get("license_name") or front_matter.get("license", ""))[:60],
    )


def count_parameters(weights: list[Path]) -> int | None:
    """Floating-point numbers in the weights, from their headers; None where most are packed (quantised) integers."""
    floating = packed = 0
    for path in weights:
        for name, tensor in _safetensors_header(path).items():
            if name == "__metadata__":
                continue
            count = math.prod(tensor["shape"])
            if str(tensor["dtype"]).startswith(("F", "BF")):
                floating += count
            else:
                packed += count
    return floating if floating > packed else None


def _safetensors_header(path: Path) -> dict[str, Any]:
    """An 8-byte little-endian length, then that much JSON (the safetensors format)."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > HEADER_LIMIT:
                raise ValueError("header too long")
            header: dict[str, Any] = json.loads(file.read(length))
    except (ValueError, struct.error) as error:
        raise ModelReferenceError(
            f"{path.name} is not a readable safetensors file ({error}). Copy the model again."
        ) from error
    return header


def _read_configuration(directory: Path) -> dict[str, Any]:
    path = directory / "config.json"
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelReferenceError(
            f"{directory} holds no config.json, so it is not a model directory."
        ) from None
    except ValueError as error:
        raise ModelReferenceError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(configuration, dict):
        raise ModelReferenceError(f"{path} does not hold a JSON object.")
    return configuration


def _front_matter(path: Path) -> dict[str, str]:
    """The plain `name: value` lines between the two `---` lines at the start of a model card."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    if not lines or lines[0].strip() != "---":
        return {}
    values: dict[str, str] = {}
    for line in lines[1:]:
        if line.strip() == "---":
            return values
        name, separator, value = line.partition(":")
        if separator and not line.startswith((" ", "-", "#")):
            values[name.strip()] = value.strip().strip("\"'")
    return {}
