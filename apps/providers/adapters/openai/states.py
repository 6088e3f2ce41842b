"""From a server's words about a job to what they mean."""

from collections.abc import Mapping
from typing import Any

from apps.providers.contracts import TrainingFailure, TrainingState
from apps.providers.openai_protocol.replies import text

STATES = {
    **dict.fromkeys(
        ("validating_files", "queued", "pending", "created", "creating", "notrunning", "not_started"),
        TrainingState.QUEUED,
    ),
    **dict.fromkeys(("running", "paused", "cancelling", "in_progress"), TrainingState.RUNNING),
    **dict.fromkeys(("succeeded", "completed", "success"), TrainingState.SUCCEEDED),
    **dict.fromkeys(("failed", "error", "expired"), TrainingState.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "stopped"), TrainingState.STOPPED),
}
"""The protocol has six words; servers that speak it add some."""

SENTENCES = {
    "invalid_training_file": "The training file can't be used.",
    "invalid_validation_file": "The validation file can't be used.",
    "invalid_file": "A file can't be used.",
    "insufficient_quota": "The account has no credit left.",
    "exceeded_quota": "The account has no credit left.",
    "billing_hard_limit_reached": "The account reached its spending limit.",
    "server_error": "The provider had a fault of its own; the same job may succeed later.",
    "expired": "The job waited too long and expired; start it again.",
}
NO_REASON = "The provider gives no reason."


def status_of(job: Mapping[str, Any]) -> str:
    return text(job.get("status")) or "unknown"


def state_of(job: Mapping[str, Any]) -> TrainingState:
    """A word that nobody knows is read from what else the job says."""
    known = STATES.get(status_of(job).lower())
    if known is not None:
        return known
    if job.get("fine_tuned_model"):
        return TrainingState.SUCCEEDED
    if not job.get("finished_at"):
        return TrainingState.RUNNING
    return TrainingState.FAILED


def failure_of(job: Mapping[str, Any], last_error: str = "") -> TrainingFailure | None:
    """Why a job failed; `last_error` is what its events said last. None for a job that did not fail."""
    if state_of(job) != TrainingState.FAILED:
        return None
    error = job.get("error")
    told = error if isinstance(error, Mapping) else {"message": error}
    expired = status_of(job).lower() == "expired"
    code = "expired" if expired else text(told.get("code")) or "failed"
    reason = text(told.get("message")) or last_error
    parts = [SENTENCES.get(code, ""), reason]
    return TrainingFailure(code=code, message=" ".join(part for part in parts if part) or NO_REASON)
