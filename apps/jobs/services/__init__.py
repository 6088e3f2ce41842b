"""Every change to training jobs, by operation."""

from apps.jobs.services.configuration import (
    JobRefusedError,
    make_configuration,
    make_remote_configuration,
)
from apps.jobs.services.progress import (
    job_checkpoint_keep,
    job_checkpoint_store,
    job_log_attach,
    job_log_note,
    job_mark_running,
    job_progress_reset,
    job_restart_note,
    job_succeed,
)
from apps.jobs.services.starting import job_start
from apps.jobs.services.stopping import (
    KIND,
    KIND_REMOTE,
    SUBJECT_TYPE,
    job_cancel,
    job_operation,
    job_pause,
    job_resume,
    job_stop,
)

__all__ = [
    "KIND",
    "KIND_REMOTE",
    "SUBJECT_TYPE",
    "JobRefusedError",
    "job_cancel",
    "job_checkpoint_keep",
    "job_checkpoint_store",
    "job_log_attach",
    "job_log_note",
    "job_mark_running",
    "job_operation",
    "job_pause",
    "job_progress_reset",
    "job_restart_note",
    "job_resume",
    "job_start",
    "job_stop",
    "job_succeed",
    "make_configuration",
    "make_remote_configuration",
]
