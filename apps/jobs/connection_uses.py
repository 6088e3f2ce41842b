"""What of the training side runs over a connection, so that it is not taken away from under it."""

from django.db.models import Q

from apps.jobs.models import FilesState, RecoveredFiles, RecoveredJob, RecoveryState, TrainingJob
from apps.providers.models import Connection

NAMED = 20


def jobs_over(connection: Connection) -> list[str]:
    """Jobs that have not ended, or are still looked for there, oldest first, in words for a page."""
    jobs = TrainingJob.objects.filter(base_model__connection=connection).filter(
        Q(state__in=TrainingJob.OPEN) | Q(next_poll_at__isnull=False)
    )
    return [f"the job “{name}”" for name in jobs.order_by("pk").values_list("name", flat=True)[:NAMED]]


def recoveries_over(connection: Connection) -> list[str]:
    """Files and jobs that are being brought in, oldest first."""
    files = RecoveredFiles.objects.filter(connection=connection, state=FilesState.WORKING).order_by("pk")
    jobs = RecoveredJob.objects.filter(connection=connection, state=RecoveryState.WORKING).order_by("pk")
    names = [
        *files.values_list("training_name", flat=True)[:NAMED],
        *jobs.values_list("handle", flat=True)[:NAMED],
    ]
    return [f"bringing in “{name}”" for name in names[:NAMED]]
