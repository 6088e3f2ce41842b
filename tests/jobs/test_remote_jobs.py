"""Jobs that a provider runs: the real adapter over HTTP to a stand-in for a server of the OpenAI protocol."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.jobs.models import JobState, PointKind, TrainingJob
from apps.jobs.remote.polling import poll_due_jobs
from apps.jobs.remote.recipes import CostEstimate
from apps.jobs.services import JobRefusedError, job_cancel, job_pause, job_start
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run, operations_reconcile
from apps.providers.models import Connection, SentFile
from apps.providers.opening import adapters_forget
from apps.providers.services import connection_create
from apps.registry.models import BaseModel, ModelKind
from tests.jobs.conftest import freeze, operation_of
from tests.providers.together_peer import TogetherPeer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def begin(project, version, model, people):
    def start(**given) -> TrainingJob:
        return job_start(
            project=project,
            version=given.pop("version", version),
            base_model=model,
            name="Colours",
            method="managed",
            hyperparameters=given.pop("hyperparameters", {"epochs": 3}),
            by=people.lea,
            **given,
        )

    return start


def work(job: TrainingJob) -> TrainingJob:
    """What a worker does with the job's operation."""
    operation_run(operation_id=operation_of(job).pk)
    job.refresh_from_db()
    return job


def poll(job: TrainingJob) -> TrainingJob:
    """What the next round of polling does, however long the job still had."""
    TrainingJob.objects.filter(pk=job.pk, next_poll_at__isnull=False).update(next_poll_at=timezone.now())
    poll_due_jobs()
    job.refresh_from_db()
    return job


def left(job: TrainingJob) -> timedelta:
    """Until it is asked about again."""
    assert job.next_poll_at is not None
    return job.next_poll_at - timezone.now()


def test_a_job_is_sent_followed_and_leaves_a_model(begin, peer, project):
    job = work(begin())
    assert job.handle
    assert peer.jobs_created() == 1
    # Nobody here holds it, and nobody takes it for lost.
    assert operation_of(job).state == OperationState.RUNNING
    Operation.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert operations_reconcile() == {"resumed": 0, "failed": 0, "sent_again": 0}

    peer.advance(job.handle, "metrics")
    assert poll(job).state == JobState.RUNNING
    peer.advance(job.handle, "metrics")
    poll(job)
    points = list(job.points.filter(kind=PointKind.TRAIN).values_list("step", "loss"))
    assert points == peer.measured(job.handle)

    peer.advance(job.handle, "succeeded")
    poll(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.next_poll_at is None
    assert operation_of(job).state == OperationState.SUCCEEDED
    assert job.model_version is not None
    assert job.model_version.kind == ModelKind.REMOTE
    assert job.model_version.provider_model.startswith(f"ft:{peer.base_model}:")
    assert job.trained_tokens == 4321
    actions = set(AuditEvent.objects.filter(workspace=project.workspace).values_list("action", flat=True))
    assert {"job.started", "job.sent", "job.succeeded", "model_version.created"} <= actions
    assert "job.leftover_cancelled" not in actions
    assert not peer.cancel_was_asked(job.handle)


def test_the_same_content_is_sent_once(begin, peer):
    work(begin())
    sent = SentFile.objects.count()
    assert sent == 2  # training and validation
    files = len(peer.state.files)
    work(begin(hyperparameters={"epochs": 2}))
    assert SentFile.objects.count() == sent
    assert len(peer.state.files) == files
    assert peer.jobs_created() == 2


def test_a_file_that_the_provider_deleted_is_sent_again(begin, peer):
    first = work(begin())
    peer.state.files.clear()
    second = work(begin(hyperparameters={"epochs": 2}))
    assert second.handle
    assert second.handle != first.handle


def test_a_lost_answer_does_not_make_a_second_job(begin, peer):
    peer.lose_next_create()
    job = work(begin())
    assert job.handle
    assert peer.jobs_created() == 1


def test_a_worker_that_died_after_the_create_call_does_not_make_a_second_job(begin, peer):
    job = work(begin())
    handle = job.handle
    # As the database stood when the worker died: the call was about to be made, and no answer was noted.
    TrainingJob.objects.filter(pk=job.pk).update(handle="", next_poll_at=None)
    Operation.objects.filter(pk=operation_of(job).pk).update(state=OperationState.QUEUED, parked_at=None)
    assert work(job).handle == handle
    assert peer.jobs_created() == 1


def test_a_provider_that_is_away_lets_the_job_wait_and_holds_no_worker(begin, peer):
    peer.refuse_next(503, times=100)
    job = work(begin())
    assert job.state == JobState.QUEUED
    assert operation_of(job).parked_at is not None
    assert job.next_poll_at is not None
    peer.refuse_next(503, times=0)
    poll(job)
    assert operation_of(job).state == OperationState.QUEUED
    assert work(job).handle


def test_a_pause_that_the_provider_asks_for_is_kept(begin, peer):
    job = work(begin())
    peer.refuse_next(429, retry_after=300)
    poll(job)
    assert job.poll_failures == 1
    assert job.poll_error
    assert left(job) > timedelta(seconds=280)
    # The next answer clears it.
    poll(job)
    assert (job.poll_failures, job.poll_error) == (0, "")


def test_a_wrong_key_ends_the_job_with_the_reason(begin, connection, peer, people):
    from apps.providers.services import connection_change

    connection_change(
        connection=connection,
        name=connection.name,
        settings={"base_url": peer.url},
        secrets={"api_key": "sk-wrong-0123456789"},
        by=people.ann,
    )
    job = work(TrainingJob.objects.get(pk=begin().pk))
    assert job.state == JobState.FAILED
    assert "key" in job.error.lower()
    assert "sk-wrong" not in job.error + str(job.provider_reply)
    assert peer.jobs_created() == 0


def test_a_job_that_failed_there_says_why(begin, peer):
    job = work(begin())
    peer.advance(job.handle, "failed")
    poll(job)
    assert job.state == JobState.FAILED
    assert peer.reason in job.error


def test_a_cancel_reaches_the_provider_and_ends_the_job(begin, peer, people):
    job = work(begin())
    peer.advance(job.handle, "metrics")
    poll(job)
    job_cancel(job=job, by=people.lea)
    # No round of polling is waited for: the job is due at once.
    poll_due_jobs()
    job.refresh_from_db()
    assert peer.cancel_was_asked(job.handle)
    poll(job)
    assert job.state == JobState.CANCELLED
    assert job.cancelled_by == people.lea
    assert operation_of(job).state == OperationState.CANCELLED


def test_a_cancel_before_it_was_sent_creates_nothing(begin, peer, people):
    job = begin()
    job_cancel(job=job, by=people.lea)
    assert work(job).state == JobState.CANCELLED
    assert peer.jobs_created() == 0


def test_a_job_cancelled_at_the_provider_says_so(begin, peer):
    job = work(begin())
    peer.advance(job.handle, "cancelled")
    poll(job)
    assert job.state == JobState.CANCELLED
    assert job.error == "It was cancelled at the provider."


def test_a_job_that_the_provider_lost_fails_and_keeps_its_points(begin, peer):
    job = work(begin())
    peer.advance(job.handle, "metrics")
    poll(job)
    peer.forget_job(job.handle)
    # Once may be a machine of the provider that does not know it yet.
    assert poll(job).state == JobState.RUNNING
    assert "job" in job.poll_error
    poll(poll(job))
    assert job.state == JobState.FAILED
    assert job.points.exists()


def test_a_cancel_that_the_provider_refuses_is_said_and_its_job_is_followed(begin, peer, people):
    job = work(begin())
    job_cancel(job=job, by=people.lea)
    peer.refuse_next(403)  # the cancel; what becomes of the job can be asked
    poll(job)
    assert job.state == JobState.QUEUED
    assert "may not do this" in job.poll_error
    peer.advance(job.handle, "succeeded")
    peer.refuse_next(403)
    assert poll(job).state == JobState.SUCCEEDED
    assert job.poll_error == ""


def test_polls_get_rarer_the_longer_a_job_takes(begin, peer):
    job = work(begin())
    poll(job)
    assert timedelta(seconds=3) < left(job) < timedelta(seconds=7)
    TrainingJob.objects.update(submission_started_at=timezone.now() - timedelta(hours=5))
    poll(job)
    assert timedelta(seconds=40) < left(job) < timedelta(seconds=80)


def test_two_processes_never_ask_about_the_same_job(begin, peer):
    job = work(begin())
    TrainingJob.objects.update(next_poll_at=timezone.now())
    from apps.jobs.remote.polling import _take

    assert [taken.pk for taken in _take()] == [job.pk]
    assert _take() == []


def test_too_few_rows_for_the_provider_are_refused_before_anything_is_sent(begin, peer, project):
    # 10 is the least that OpenAI's guide to supervised fine-tuning names.
    with pytest.raises(JobRefusedError, match="at least 10 rows; there are 4"):
        begin(version=freeze(project, train=4, validation=1, name="Few"))
    assert peer.jobs_created() == 0


def test_what_the_provider_does_not_take_is_refused(begin):
    from apps.jobs.hyperparameters import HyperparameterError

    with pytest.raises(HyperparameterError, match="LoRA rank"):
        begin(hyperparameters={"lora_rank": 8})
    with pytest.raises(HyperparameterError, match="between"):
        begin(hyperparameters={"epochs": 99})


def test_preferences_need_pairs(begin, version):
    with pytest.raises(JobRefusedError, match="none of the training rows is one"):
        begin(objective="dpo", hyperparameters={})


def test_a_remote_job_can_not_be_paused(begin, people):
    job = work(begin())
    with pytest.raises(ConflictError, match="can't be paused"):
        job_pause(job=job, by=people.lea)


def test_a_removed_connection_starts_nothing(begin, connection, model):
    Connection.objects.filter(pk=connection.pk).update(removed_at=timezone.now())
    model.connection.refresh_from_db()
    with pytest.raises(JobRefusedError, match="was removed"):
        begin()


def test_what_the_person_was_told_it_costs_is_kept(begin):
    told = CostEstimate(amount=Decimal("1.2345"), currency="USD", price_date=timezone.localdate())
    job = begin(cost=told)
    job.refresh_from_db()
    assert (job.estimated_cost, job.currency, job.price_date) == (
        Decimal("1.2345"),
        "USD",
        timezone.localdate(),
    )
    assert begin(hyperparameters={"epochs": 1}).estimated_cost is None


def test_what_the_provider_itself_says_it_costs_stands_before_the_price_list(
    workspace, people, project, version, settings
):
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    peer = TogetherPeer()  # its estimate: 4.25 dollars
    peer.start()
    try:
        account = connection_create(
            workspace=workspace,
            provider="together",
            name="Together",
            settings={"base_url": peer.settings()["base_url"]},
            secrets={"api_key": peer.settings()["api_key"]},
            by=people.ann,
        )
        base = BaseModel.objects.create(
            workspace=workspace,
            provider="together",
            connection=account,
            reference=peer.base_model,
            name="Base",
        )
        job = work(
            job_start(
                project=project, version=version, base_model=base, name="Colours", method="managed",
                hyperparameters={}, by=people.lea,
            )
        )  # fmt: skip
        while not job.handle:  # it looks at the files for a while
            assert job.state == JobState.QUEUED, job.error
            work(poll(job))
    finally:
        adapters_forget()
        peer.stop()
    assert (job.estimated_cost, job.currency, job.price_date) == (
        Decimal("4.25"),
        "USD",
        timezone.localdate(),
    )


def test_a_hostile_reply_is_kept_as_far_as_it_can_be_and_harms_no_other_job(begin, peer):
    """A NUL, which Postgres takes in no text, in the reply of one job; in the reason of its failure, too."""
    hostile, plain = work(begin()), work(begin(hyperparameters={"epochs": 2}))
    peer.state.jobs[hostile.handle]["organization_id"] = "org\0<script>"
    for job in (hostile, plain):
        peer.advance(job.handle, "metrics")
    TrainingJob.objects.update(next_poll_at=timezone.now())
    poll_due_jobs()
    for job in (hostile, plain):
        job.refresh_from_db()
        assert job.points.exists()
        assert job.poll_failures == 0
    assert "org\ufffd<script>" in str(hostile.provider_reply)

    peer.reason = "bad\0file"
    peer.advance(hostile.handle, "failed")
    peer.advance(plain.handle, "succeeded")
    TrainingJob.objects.update(next_poll_at=timezone.now())
    poll_due_jobs()
    for job in (hostile, plain):
        job.refresh_from_db()
    assert (hostile.state, plain.state) == (JobState.FAILED, JobState.SUCCEEDED)
    assert "bad\ufffdfile" in hostile.error
