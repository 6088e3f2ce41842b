"""Jobs that ended here while nobody knew whether their provider had created them.

The answer to the request that creates a job can be lost, and the job be cancelled here, or given up, before anybody
found out. Then it may train there, and be charged, unseen. So it is looked for, and cancelled where it is found.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from apps.audit.services import record
from apps.core.errors import PortalError
from apps.jobs.models import TrainingJob
from apps.jobs.remote.steps import job_poll_failed
from apps.operations.live import announce, channel_of_subject
from apps.providers.contracts import ProviderError, ProviderUnavailableError
from apps.providers.opening import adapter_for
from apps.providers.remote import RemoteTrainer

logger = logging.getLogger(__name__)

LOOKED_FOR = timedelta(minutes=2)
"""After its end: a request whose answer was lost may still be worked on."""
AGAIN = timedelta(seconds=30)


@dataclass(frozen=True)
class Found:
    """What looking for one job brought; `handle` is empty where there is none."""

    job: TrainingJob
    handle: str = ""
    error: PortalError | None = None


def leftover_look(job: TrainingJob, job_key: str) -> Found:
    """In a thread of its own, without the database."""
    try:
        assert job.base_model.connection is not None
        adapter: RemoteTrainer = adapter_for(job.base_model.connection)
        handle = adapter.find(job_key)
        if handle is not None:
            adapter.cancel(handle)
        return Found(job, handle or "")
    except PortalError as error:
        return Found(job, error=error)
    except Exception as error:
        logger.exception("job.leftover_crashed", extra={"job": job.pk})
        return Found(job, error=ProviderError(f"The answer could not be read: {type(error).__name__}."))


def leftover_store(found: Found, *, again_at: datetime, gives_up: bool) -> None:
    """Note what was found. Where the provider could not be asked, it is asked again at `again_at` unless `gives_up`."""
    job, error = found.job, found.error
    where = str(job.base_model.connection)
    if isinstance(error, ProviderUnavailableError) and not gives_up:
        job_poll_failed(job=job, error=error, next_poll_at=again_at)
        return
    if error is not None:
        _close(
            job,
            f"Whether it was created at {where} could not be found out: look there, and cancel it if it was. "
            f"{error.message}",
        )
    elif found.handle:
        _close(
            job,
            f"It had been created at {where} although the answer was lost, and was cancelled there, too.",
            handle=found.handle,
        )
    elif job.finished_at is not None and timezone.now() - job.finished_at < LOOKED_FOR:
        TrainingJob.objects.filter(pk=job.pk).update(next_poll_at=timezone.now() + AGAIN)
    else:
        _close(job, "")


def _close(job: TrainingJob, words: str, *, handle: str = "") -> None:
    """It is looked for no more."""
    with transaction.atomic():
        TrainingJob.objects.filter(pk=job.pk, handle="").update(
            handle=handle,
            next_poll_at=None,
            poll_error="",
            error=" ".join(part for part in (job.error, words) if part),
            updated_at=timezone.now(),
        )
        if handle:
            record(
                workspace=job.project.workspace,
                actor=None,
                action="job.leftover_cancelled",
                target=job,
                data={"connection": str(job.base_model.connection), "handle": handle},
            )
    announce(channel_of_subject(TrainingJob._meta.label_lower, job.pk))
