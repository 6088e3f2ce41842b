"""From what a tool left to the job's result directory."""

import os
import shutil
from pathlib import Path

from apps.providers.contracts import Method
from apps.providers.jobdirs.errors import TrainingFailed
from apps.providers.jobdirs.files import RESULT_DIR
from apps.providers.jobdirs.packing import is_model_file

# Files with a model file's ending that describe the run, not the model.
RUN_FILES = frozenset(
    {"trainer_state.json", "all_results.json", "train_results.json", "eval_results.json", "tokens_state.json"}
)


def publish_result(source: Path, job_dir: Path, *, method: Method, label: str) -> str:
    """Make the result directory of the model files in `source`; its name. TrainingFailed with code "no_result"."""
    names = sorted(os.listdir(source)) if source.is_dir() else []
    chosen = [
        name for name in names if is_model_file(name) and name not in RUN_FILES and (source / name).is_file()
    ]
    needed = "adapter_config.json" if method == "lora" else "config.json"
    missing = []
    if not any(name.endswith(".safetensors") for name in chosen):
        missing.append("safetensors weights")
    if needed not in chosen:
        missing.append(needed)
    if missing:
        raise TrainingFailed(
            "no_result",
            f"{label} ended without an error but left no model: {' and '.join(missing)} missing in "
            f"“{source.name}”. Its log may say why.",
        )
    target, building = job_dir / RESULT_DIR, job_dir / f"{RESULT_DIR}.new"
    for path in (building, target) if source != target else (building,):
        shutil.rmtree(path, ignore_errors=True)
    building.mkdir()
    for name in chosen:
        _link(source / name, building / name)
    if source == target:
        shutil.rmtree(target)
    building.rename(target)
    return RESULT_DIR


def _link(source: Path, target: Path) -> None:
    """Share the bytes where the file system can; the tool has ended and writes no more."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
