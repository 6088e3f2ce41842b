"""Jobs that were cancelled here before anybody knew whether the provider had created them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.jobs.models import JobState, TrainingJob
from apps.jobs.remote.polling import poll_due_jobs
from apps.jobs.services import job_cancel, job_start
from apps.operations.models import Operation
from apps.operations.services import operation_run
from apps.providers.services import connection_remove
from tests.jobs.conftest import operation_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def unsure(project, version, model, people, peer):
    """A job that the provider has, and of which nobody here knows: the answer was lost, and it waits to be looked for.
    With it, the provider's name for it."""
    job = job_start(
        project=project, version=version, base_model=model, name="Colours", method="managed",
        hyperparameters={"epochs": 3}, by=people.lea,
    )  # fmt: skip
    operation_run(operation_id=operation_of(job).pk)
    job.refresh_from_db()
    handle = job.handle
    assert handle
    TrainingJob.objects.filter(pk=job.pk).update(handle="", next_poll_at=timezone.now() + timedelta(hours=1))
    job.refresh_from_db()
    return job, handle


def rounds(job: TrainingJob, count: int = 1) -> TrainingJob:
    for _ in range(count):
        TrainingJob.objects.filter(pk=job.pk, next_poll_at__isnull=False).update(next_poll_at=timezone.now())
        poll_due_jobs()
        for operation in Operation.objects.filter(state="queued"):
            operation_run(operation_id=operation.pk)
    job.refresh_from_db()
    return job


def test_a_job_whose_answer_was_lost_is_cancelled_at_the_provider_too(unsure, peer, people):
    job, handle = unsure
    job_cancel(job=job, by=people.lea)
    rounds(job, 3)
    assert job.state == JobState.CANCELLED
    assert peer.cancel_was_asked(handle)
    assert peer.jobs_created() == 1
    assert job.handle == handle
    assert "was cancelled there, too" in job.error
    assert job.next_poll_at is None
    assert AuditEvent.objects.filter(action="job.leftover_cancelled").count() == 1


def test_it_is_looked_for_until_the_provider_answers_again(unsure, peer, people):
    job, handle = unsure
    job_cancel(job=job, by=people.lea)
    peer.refuse_next(503, times=100)
    rounds(job, 3)
    assert job.state == JobState.CANCELLED
    assert job.poll_failures > 0
    assert job.next_poll_at is not None
    peer.refuse_next(503, times=0)
    rounds(job)
    assert peer.cancel_was_asked(handle)


def test_one_that_was_never_created_is_looked_for_a_while(unsure, peer, people):
    job, handle = unsure
    peer.forget_job(handle)
    job_cancel(job=job, by=people.lea)
    rounds(job, 3)
    assert job.state == JobState.CANCELLED
    assert job.next_poll_at is not None
    TrainingJob.objects.update(finished_at=timezone.now() - timedelta(minutes=3))
    rounds(job)
    assert (job.next_poll_at, job.handle, job.error) == (None, "", "")


def test_the_connection_stays_as_long_as_it_is_looked_for(unsure, connection, people):
    job, _ = unsure
    job_cancel(job=job, by=people.lea)
    with pytest.raises(ConflictError, match="in use by the job"):
        connection_remove(connection=connection, by=people.ann)
    rounds(job, 3)
    connection_remove(connection=connection, by=people.ann)


def test_a_key_that_is_refused_leaves_it_to_a_person(unsure, peer, people):
    job, _ = unsure
    job_cancel(job=job, by=people.lea)
    peer.refuse_next(403, times=100)
    rounds(job, 3)
    assert job.next_poll_at is None
    assert "look there, and cancel it if it was" in job.error
