"""Known ways to fail, as sentences that say what to do."""

import errno

from apps.core.errors import PortalError
from apps.providers.jobdirs.errors import TrainingFailed

OUT_OF_MEMORY = (
    "Training ran out of memory. Use a smaller batch size (with more gradient accumulation it learns the same), a "
    "smaller maximum length, LoRA instead of full fine-tuning, or a smaller base model."
)
DISK_FULL = (
    "The disk is full, so nothing more can be saved. Free some space, or keep fewer checkpoints, then resume."
)
MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
DISK_WORDS = ("no space left on device", "disk quota exceeded")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT)


def explain(error: Exception) -> TrainingFailed:
    """The failure as a code and a sentence; code "internal" when it is not a known one."""
    if isinstance(error, TrainingFailed):
        return error
    if isinstance(error, PortalError):
        return TrainingFailed(error.code, error.message)
    chain = list(_chain(error))
    for cause in chain:
        words = str(cause).lower()
        if isinstance(cause, MemoryError) or any(phrase in words for phrase in MEMORY_WORDS):
            return TrainingFailed("out_of_memory", OUT_OF_MEMORY)
        if getattr(cause, "errno", None) in DISK_ERRORS or any(phrase in words for phrase in DISK_WORDS):
            return TrainingFailed("disk_full", DISK_FULL)
    return TrainingFailed(
        "internal",
        f"Training failed unexpectedly ({type(error).__name__}: {error}). The log holds the details.",
    )


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
