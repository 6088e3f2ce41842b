"""How a job at a provider moves on: sent, asked about, heard of. Each step is one write."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.audit.services import record
from apps.jobs.models import Checkpoint, TrainingJob
from apps.operations.models import Operation
from apps.providers.contracts import ProviderError, RemoteCheckpoint, TrainingEvent, TrainingState
from apps.providers.remote import RemoteProgress

LOG_CHARACTERS = 64 * 1024


def storable(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's reply as Postgres can keep it: no NUL in a text, no number that is none."""
    text = json.dumps(dict(reply), default=str).replace("\\u0000", "\\ufffd")
    kept: dict[str, Any] = json.loads(text, parse_constant=lambda name: None)
    return kept


def job_submission_begin(*, job: TrainingJob) -> None:
    """From now on the job may exist at the provider."""
    now = timezone.now()
    TrainingJob.objects.filter(pk=job.pk, submission_started_at=None).update(
        submission_started_at=now, updated_at=now
    )
    job.submission_started_at = job.submission_started_at or now


def job_quoted(*, job: TrainingJob, cost: Decimal, currency: str) -> None:
    """The provider's own estimate, as of today."""
    TrainingJob.objects.filter(pk=job.pk).update(
        estimated_cost=cost, currency=currency, price_date=timezone.localdate(), updated_at=timezone.now()
    )


def job_data_note(*, job: TrainingJob, rows: int, validation_rows: int) -> None:
    """What the files that the provider gets hold; its own plan leaves these figures as they are."""
    job.plan = {**job.plan, "examples": rows, "validation_examples": validation_rows}
    TrainingJob.objects.filter(pk=job.pk).update(plan=job.plan, updated_at=timezone.now())


def job_phase_note(*, job: TrainingJob, phase: str) -> None:
    """From now on it is in this phase; no effect where it is already."""
    with transaction.atomic():
        current = TrainingJob.objects.select_for_update(no_key=True).get(pk=job.pk)
        if current.phase == phase:
            return
        phases = [*current.phases, {"phase": phase, "started": timezone.now().timestamp()}]
        TrainingJob.objects.filter(pk=job.pk).update(phase=phase, phases=phases)


def job_send_later(*, job: TrainingJob, at: datetime) -> None:
    """The provider lets it wait; the next attempt to send it is due then."""
    TrainingJob.objects.filter(pk=job.pk, handle="").update(next_poll_at=at, updated_at=timezone.now())


def job_sent(*, job: TrainingJob, handle: str) -> None:
    """The provider has it: it is asked about from now on."""
    with transaction.atomic():
        now = timezone.now()
        TrainingJob.objects.filter(pk=job.pk).update(handle=handle, next_poll_at=now, updated_at=now)
        record(
            workspace=job.project.workspace,
            actor=None,
            action="job.sent",
            target=job,
            data={"connection": str(job.base_model.connection), "handle": handle},
        )
    job.refresh_from_db(fields=["handle", "next_poll_at"])


def job_problem_note(*, job: TrainingJob, error: ProviderError) -> None:
    """The provider's own reply, for whoever looks into it."""
    TrainingJob.objects.filter(pk=job.pk).update(
        provider_reply=storable(error.raw), updated_at=timezone.now()
    )


def job_poll_failed(*, job: TrainingJob, error: ProviderError, next_poll_at: datetime) -> None:
    TrainingJob.objects.filter(pk=job.pk, next_poll_at__isnull=False).update(
        poll_failures=job.poll_failures + 1,
        poll_error=error.message,
        next_poll_at=next_poll_at,
        updated_at=timezone.now(),
    )


def job_polled(*, job: TrainingJob, progress: RemoteProgress, next_poll_at: datetime | None) -> None:
    """What one answer said, besides its events."""
    fields: dict[str, Any] = {
        "cursor": progress.cursor,
        "provider_status": progress.status.replace("\0", "\ufffd")[:60],
        "provider_reply": storable(progress.reply),
        "poll_failures": 0,
        "poll_error": "",
        "polled_at": timezone.now(),
        "next_poll_at": next_poll_at,
        "expected_end_at": _expected_end(progress),
        "updated_at": timezone.now(),
    }
    if progress.trained_tokens is not None:
        fields["trained_tokens"] = progress.trained_tokens
    if progress.cost is not None:
        fields |= {"cost": progress.cost, "currency": progress.currency or job.currency}
    said = _said(progress.events)
    if said:
        fields["log_tail"] = (job.log_tail + said)[-LOG_CHARACTERS:]
    TrainingJob.objects.filter(pk=job.pk).update(**fields)
    phase = _PHASES.get(progress.state)
    if phase is not None:
        job_phase_note(job=job, phase=phase)


_PHASES = {TrainingState.QUEUED: "queued", TrainingState.RUNNING: "running"}
"""Not the words of a trainer here: its steps are measured from its own start."""


def _expected_end(progress: RemoteProgress) -> datetime | None:
    if progress.seconds_left is None or progress.state.is_final:
        return None
    return timezone.now() + timedelta(seconds=max(0.0, progress.seconds_left))


def jobs_unchanged(*, due: Sequence[tuple[TrainingJob, timedelta]]) -> None:
    """Nothing new of many jobs: only when each is asked about next, in one statement."""
    now = timezone.now()
    for job, pause in due:
        job.polled_at, job.next_poll_at = now, now + pause
    TrainingJob.objects.bulk_update([job for job, _ in due], ["polled_at", "next_poll_at"])


def _said(events: Iterable[TrainingEvent]) -> str:
    """What the provider said in words, as lines of a log."""
    lines = [
        f"{datetime.fromtimestamp(event.time, tz=timezone.get_current_timezone()):%Y-%m-%d %H:%M:%S}"
        f" {str(event.data.get('level', 'info')).upper():5} {event.data.get('text', '')}\n"
        for event in events
        if event.type == "message"
    ]
    return "".join(lines).replace("\0", "\ufffd")


def job_remote_checkpoints(*, job: TrainingJob, checkpoints: Sequence[RemoteCheckpoint]) -> None:
    """The states of the model that the provider keeps, each under its name there."""
    Checkpoint.objects.bulk_create(
        [
            Checkpoint(
                job=job,
                step=each.step,
                provider_model=each.provider_model,
                validation_loss=each.validation_loss,
            )
            for each in checkpoints
        ],
        update_conflicts=True,
        unique_fields=["job", "step"],
        update_fields=["provider_model", "validation_loss"],
    )


def job_poll_soon(*, operation: Operation) -> None:
    """Somebody asked to stop: the provider hears it at the next round."""
    TrainingJob.objects.filter(pk=operation.subject_id, state__in=TrainingJob.ACTIVE).update(
        next_poll_at=timezone.now()
    )
