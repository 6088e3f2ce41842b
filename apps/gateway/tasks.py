"""What the clock does for the API: jobs go on, files expire, messages are sent."""

import logging
from collections.abc import Callable

from celery import shared_task
from django.db import OperationalError

from apps.gateway.idempotency import idempotent_requests_clear
from apps.gateway.models import FineTuningJob, Intake, IntakeState, JobState
from apps.gateway.services.files import files_expire
from apps.gateway.services.fine_tuning import fine_tuning_job_advance
from apps.gateway.services.intakes import intake_advance
from apps.gateway.services.webhooks import deliveries_send

logger = logging.getLogger(__name__)


@shared_task(name="apps.gateway.tasks.advance")
def advance() -> None:
    """Short steps only, so that the queue of the clock is never kept waiting. One that fails holds up no other."""
    for intake_id in Intake.objects.filter(state=IntakeState.WORKING).values_list("pk", flat=True):
        _step("intake", intake_id, lambda key: intake_advance(intake_id=key))
    for job_id in FineTuningJob.objects.exclude(state=JobState.ENDED).values_list("pk", flat=True):
        _step("job", job_id, lambda key: fine_tuning_job_advance(job_id=key))


def _step(what: str, key: int, advance_it: Callable[[int], None]) -> None:
    try:
        advance_it(key)
    except OperationalError:
        raise  # the database is away: so it is for all of them
    except Exception:
        logger.exception("gateway.step_failed", extra={what: key})


@shared_task(name="apps.gateway.tasks.deliver")
def deliver() -> None:
    deliveries_send()


@shared_task(name="apps.gateway.tasks.clear")
def clear() -> None:
    files_expire()
    idempotent_requests_clear()
