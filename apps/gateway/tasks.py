"""What the clock does for the API: jobs go on, files expire, messages are sent."""

from celery import shared_task

from apps.gateway.idempotency import idempotent_requests_clear
from apps.gateway.models import FineTuningJob, Intake, IntakeState, JobState
from apps.gateway.services.files import files_expire
from apps.gateway.services.fine_tuning import fine_tuning_job_advance
from apps.gateway.services.intakes import intake_advance
from apps.gateway.services.webhooks import deliveries_send


@shared_task(name="apps.gateway.tasks.advance")
def advance() -> None:
    """Short steps only, so that the queue of the clock is never kept waiting."""
    for intake_id in Intake.objects.filter(state=IntakeState.WORKING).values_list("pk", flat=True):
        intake_advance(intake_id=intake_id)
    for job_id in FineTuningJob.objects.exclude(state=JobState.ENDED).values_list("pk", flat=True):
        fine_tuning_job_advance(job_id=job_id)


@shared_task(name="apps.gateway.tasks.deliver")
def deliver() -> None:
    deliveries_send()


@shared_task(name="apps.gateway.tasks.clear")
def clear() -> None:
    files_expire()
    idempotent_requests_clear()
