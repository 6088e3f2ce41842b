"""Why a tool ended, from the last words in its log: known failures as sentences that say what to do."""

import re
from collections.abc import Callable

from apps.providers.jobdirs.errors import TrainingFailed
from apps.providers.jobdirs.failures import DISK_FULL, DISK_WORDS, MEMORY_WORDS, OUT_OF_MEMORY

TAIL_BYTES = 64 * 1024
LONGEST_WORDS = 400
_ERROR = re.compile(r"^(?:[\w.]*\.)?([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)?)\b: ?(.*)$")

Explanation = Callable[["re.Match[str]", str], str]
KNOWN: tuple[tuple[str, str, Explanation], ...] = (
    (
        "broken_environment",
        r"Could not load this library: (\S+)|operator torchvision::nms does not exist",
        lambda found, label: (
            f"The environment that {label} runs in is broken: its torch and its torchvision or torchaudio are of "
            "different builds. Install matching ones there."
        ),
    ),
    (
        "missing_package",
        r"(?:ModuleNotFoundError: )?No module named '?([\w.]+)'?",
        lambda found, label: (
            f"The environment that {label} runs in lacks the package “{found[1]}”. Install it there."
        ),
    ),
    (
        "version_conflict",
        r"ImportError: (.{0,200}?) is required for a normal functioning",
        lambda found, label: (
            f"{label} refuses the versions in its environment: {found[1]} is required. Install what it asks for there."
        ),
    ),
    (
        "unknown_architecture",
        r"does not recognize this architecture|KeyError: '[\w-]+' .*model_type|Unrecognized model in",
        lambda found, label: (
            f"{label}'s transformers does not know this model's architecture. Update {label}, or choose another base "
            "model."
        ),
    ),
    (
        "model_gated",
        r"GatedRepoError|401 Client Error|403 Client Error|Access to model .* is restricted",
        lambda found, label: (
            "The model hub refuses this model to the account of the worker. Accept the model's terms there and set "
            "HF_TOKEN for the worker, or download the model and use its directory."
        ),
    ),
    (
        "model_missing",
        r"RepositoryNotFoundError|Repository Not Found|is not a valid model identifier|LocalEntryNotFoundError",
        lambda found, label: (
            f"{label} can't find the base model: it is neither a directory on this machine nor on the model hub that "
            "the worker can reach."
        ),
    ),
    (
        "no_device",
        r"No CUDA GPUs are available|Torch not compiled with CUDA|Found no NVIDIA driver",
        lambda found, label: (
            f"{label} needs a GPU for what it was asked to do, and there is none that it can use on this machine."
        ),
    ),
    (
        "configuration_refused",
        r"Some keys are not used by the HfArgumentParser: (.{0,200})|validation errors? for AxolotlInputConfig",
        lambda found, label: (
            f"This version of {label} does not take the configuration that was written for it. Its log names the "
            "setting; see which versions are known to work."
        ),
    ),
)


def explain_end(label: str, code: int, log: str) -> TrainingFailed:
    """The failure of a tool that ended with an exit code other than 0 (negative: by that signal)."""
    lowered = log.lower()
    if any(phrase in lowered for phrase in MEMORY_WORDS):
        return TrainingFailed("out_of_memory", OUT_OF_MEMORY)
    if any(phrase in lowered for phrase in DISK_WORDS):
        return TrainingFailed("disk_full", DISK_FULL)
    for known, pattern, explanation in KNOWN:
        found = re.search(pattern, log)
        if found:
            return TrainingFailed(known, explanation(found, label))
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    words = last_error(log)
    said = f": {words}" if words else ", and its log is empty."
    return TrainingFailed("tool_failed", f"{label} {how}{said}")


def last_error(log: str) -> str:
    """The last line that looks like a Python error, else the last line; shortened."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    named = [line for line in lines if _ERROR.match(line) and "Error" in line.split(":")[0]]
    chosen = (named or lines or [""])[-1]
    return chosen if len(chosen) <= LONGEST_WORDS else chosen[: LONGEST_WORDS - 1] + "…"
