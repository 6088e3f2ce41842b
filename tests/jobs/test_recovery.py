import base64
import json
from datetime import UTC, datetime

import pytest

from apps.artifacts.storage import blob_read
from apps.audit.models import AuditEvent
from apps.datasets.models import Dataset, Import, Split, VersionRow
from apps.jobs.models import (
    Archive,
    Checkpoint,
    FilesState,
    JobState,
    MetricPoint,
    PointKind,
    RecoveredFiles,
    RecoveredJob,
    RecoveryState,
    TrainingJob,
)
from apps.jobs.recovery.archives import NoArchiveError, archive_list_request
from apps.jobs.recovery.recovering import Chosen, RecoveryError, archive_bring_in, recoveries_advance
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel, operation_run
from apps.providers.plugs import uses_of
from apps.registry.models import BaseModel, ModelVersion
from tests.jobs.archives import HELD_OUT, ROWS, archive_of, chat_lines, work
from tests.jobs.conftest import freeze
from tests.providers.openai_server import BASE_MODEL

pytestmark = pytest.mark.django_db(transaction=True)


# --- Listing -----------------------------------------------------------------------------------------------------


def test_the_account_is_listed_with_its_files_jobs_and_models(account, listed):
    training = account.file(chat_lines(ROWS))
    alone = account.file(chat_lines(3), "other.jsonl")
    handle = account.job(training)
    archive = listed()

    assert {file["id"] for file in archive.files} == {training, alone}
    assert [job["handle"] for job in archive.jobs] == [handle]
    job = archive.jobs[0]
    assert (job["base_model"], job["state"], job["training_file"]) == (BASE_MODEL, "succeeded", training)
    assert job["reply"] == {}, "a listing of thousands stays small"
    assert account.model_of(handle) in archive.listed_models
    assert archive.fetched_at is not None
    assert AuditEvent.objects.filter(action="archive.listed").get().data == {"jobs": 1, "files": 2}


def test_listing_again_keeps_one_listing_and_a_failed_one_keeps_the_last(account, listed, peer):
    account.job(account.file(chat_lines(ROWS)))
    first = listed()
    account.job(account.file(chat_lines(ROWS), "more.jsonl"))
    assert len(listed().jobs) == 2
    peer.refuse_next(401, times=30)
    after = listed()
    assert after.pk == first.pk
    assert len(after.jobs) == 2
    assert after.error


def test_nothing_is_listed_over_a_connection_of_another_kind(project, people, workspace, sketch_connection):
    with pytest.raises(NoArchiveError):
        archive_list_request(project=project, connection=sketch_connection, by=people.lea)


# --- A job with its files ----------------------------------------------------------------------------------------


def test_a_job_comes_with_its_data_history_curves_and_model(account, bring_in, people, project, peer):
    training = account.file(chat_lines(ROWS))
    validation = account.file(chat_lines(HELD_OUT, what="letter"), "held-out.jsonl")
    handle = account.job(
        training, validation, metadata={"team": "blue"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 4, "batch_size": 2}}},
    )  # fmt: skip
    (job,) = bring_in(handle)

    assert (job.state, job.handle, job.provider, job.method) == ("succeeded", handle, "openai", "managed")
    assert job.name == "tickets"
    assert job.imported_at is not None
    assert (job.created_by, job.recovered.created_by) == (None, people.lea), "she did not start it"
    assert job.hyperparameters == {"epochs": 4, "batch_size": 2}
    assert job.configuration["seed"] == 11
    assert job.configuration["at_provider"]["metadata"] == {"team": "blue"}
    assert job.trained_tokens == 4321
    there = peer.state.jobs[handle]
    assert job.created_at == datetime.fromtimestamp(there["created_at"], tz=UTC)
    assert job.finished_at == datetime.fromtimestamp(there["finished_at"], tz=UTC)
    assert job.created_at < job.started_at < job.finished_at
    assert job.next_poll_at is None

    points = MetricPoint.objects.filter(job=job, kind=PointKind.TRAIN).order_by("step")
    assert [(point.step, point.loss) for point in points] == peer.measured(handle)
    assert MetricPoint.objects.filter(job=job, kind=PointKind.VALIDATION).count() == 4
    assert list(Checkpoint.objects.filter(job=job).values_list("step", flat=True)) == [2, 4, 6, 8]
    assert "The job has successfully completed" in job.log_tail

    assert job.model_version.provider_model == account.model_of(handle)
    assert job.base_model.reference == BASE_MODEL

    assert (job.version.train_count, job.version.validation_count, job.version.test_count) == (
        ROWS,
        0,
        HELD_OUT,
    )
    rows = VersionRow.objects.filter(version=job.version, split=Split.TRAIN).select_related("example")
    assert [bytes(row.example.raw) for row in rows.order_by("position")] == chat_lines(ROWS)
    assert Import.objects.filter(dataset=job.version.dataset).count() == 2
    assert AuditEvent.objects.get(action="job.imported").data["handle"] == handle


def test_the_same_job_brought_in_twice_is_the_same_training_job(account, bring_in, people, project):
    handle = account.job(account.file(chat_lines(ROWS)))
    (first,) = bring_in(handle)
    fetched = account.requests("/content")
    (second,) = bring_in(handle)
    assert first.pk == second.pk
    assert archive_bring_in(archive=archive_of(project), chosen=Chosen(jobs=[handle]), by=people.lea) == 0
    assert account.requests("/content") == fetched
    assert (ModelVersion.objects.count(), Dataset.objects.count()) == (1, 1)


def test_jobs_on_the_same_files_share_one_version(account, bring_in):
    training = account.file(chat_lines(ROWS))
    handles = [account.job(training), account.job(training, seed=12)]
    first, second = bring_in(*handles)
    assert first.version == second.version
    assert [first.handle, second.handle] == handles, "the oldest has the lowest number"
    assert BaseModel.objects.filter(reference=BASE_MODEL).count() == 1


def test_a_file_in_base64_is_decoded(account, bring_in, peer):
    training = account.file(chat_lines(ROWS))
    peer.state.contents[training] = base64.encodebytes(peer.state.contents[training])
    (job,) = bring_in(account.job(training))
    assert job.version.train_count == ROWS


def test_bad_rows_are_reported_and_the_good_ones_come(account, bring_in, peer):
    training = account.file(chat_lines(ROWS))
    lines = [*chat_lines(ROWS), b'{"messages": []}', b'{"messages": [{"role": "user", "content": "Hi"}]}']
    peer.state.contents[training] = b"\n".join(lines)
    (job,) = bring_in(account.job(training))
    assert job.version.train_count == ROWS
    record = Import.objects.get(dataset=job.version.dataset)
    assert (record.problem_count, record.row_count) == (2, ROWS)


def test_preference_pairs_come_as_pairs(account, bring_in, peer):
    training = account.file(peer.lines("dpo", ROWS), "pairs.jsonl")
    held_out = account.file(peer.lines("dpo", ROWS + 4)[ROWS:], "held.jsonl")
    (job,) = bring_in(account.job(training, held_out, method={"type": "dpo"}))
    assert job.objective == "dpo"
    assert job.version.statistics["preference_pairs"] == ROWS + 4
    assert job.version.test_count == 4


def test_failed_and_cancelled_jobs_come_with_their_reasons(account, bring_in, peer):
    training = account.file(chat_lines(ROWS))
    failed, cancelled = account.begin(training), account.begin(training)
    peer.advance(failed, "failed")
    peer.advance(cancelled, "cancelled")
    first, second = bring_in(failed, cancelled)
    assert (first.state, second.state) == (JobState.FAILED, JobState.CANCELLED)
    assert peer.reason in first.error
    assert first.model_version is None


def test_a_job_that_still_runs_is_left_where_it_is(account, bring_in):
    running = account.begin(account.file(chat_lines(ROWS)))
    assert bring_in(running) == []


def test_a_deleted_model_is_not_registered(account, bring_in, peer):
    handle = account.job(account.file(chat_lines(ROWS)))
    peer.state.deleted_models.add(account.model_of(handle))
    (job,) = bring_in(handle)
    assert job.state == JobState.SUCCEEDED
    assert job.model_version is None
    assert not ModelVersion.objects.exists()


# --- Data that is gone -------------------------------------------------------------------------------------------


def test_a_job_whose_file_is_gone_is_left_out_with_the_reason(account, bring_in):
    training = account.file(chat_lines(ROWS))
    handle = account.job(training)
    account.forget_file(training)
    assert bring_in(handle) == []
    recovered = RecoveredJob.objects.get()
    assert recovered.state == RecoveryState.FAILED
    assert "can't be had" in recovered.error
    assert RecoveredFiles.objects.get().state == FilesState.UNAVAILABLE


def test_a_version_can_stand_in_for_a_file_that_is_gone(account, bring_in, project):
    training = account.file(chat_lines(ROWS))
    handle = account.job(training)
    account.forget_file(training)
    bring_in(handle)
    version = freeze(project)
    (job,) = bring_in(handle, stand_in=version)
    assert job.version == version
    assert job.configuration["at_provider"]["version_said_by_person"] is True
    assert job.recovered.used_stand_in
    assert MetricPoint.objects.filter(job=job).exists()


def test_a_version_stands_in_only_where_the_file_is_gone(account, bring_in, project):
    (job,) = bring_in(account.job(account.file(chat_lines(ROWS))), stand_in=freeze(project))
    assert job.version.train_count == ROWS
    assert not job.recovered.used_stand_in


def test_a_version_of_another_project_can_not_stand_in(account, listed, people, other_workspace, project):
    handle = account.job(account.file(chat_lines(ROWS)))
    elsewhere = type(project).objects.create(workspace=other_workspace, name="Theirs", slug="theirs")
    with pytest.raises(RecoveryError):
        archive_bring_in(
            archive=listed(), chosen=Chosen(jobs=[handle], stand_in=freeze(elsewhere)), by=people.lea
        )


def test_without_its_validation_file_a_job_comes_all_the_same(account, bring_in):
    training, validation = (
        account.file(chat_lines(ROWS)),
        account.file(chat_lines(5, what="letter"), "v.jsonl"),
    )
    handle = account.job(training, validation)
    account.forget_file(validation)
    (job,) = bring_in(handle)
    assert (job.version.train_count, job.version.test_count) == (ROWS, 0)
    assert RecoveredFiles.objects.get().validation_missing


def test_a_file_of_which_no_row_can_be_used_fails_with_its_first_line(account, bring_in, peer):
    training = account.file(chat_lines(ROWS))
    peer.state.contents[training] = b'{"text": "no chat"}\n' * 12
    assert bring_in(account.job(training)) == []
    assert RecoveredFiles.objects.get().state == FilesState.FAILED
    assert RecoveredJob.objects.get().state == RecoveryState.FAILED


# --- Files alone, interruptions ----------------------------------------------------------------------------------


def test_files_without_a_job_can_be_brought_in(account, listed, people):
    file = account.file(chat_lines(ROWS))
    archive_bring_in(archive=listed(), chosen=Chosen(files=[file]), by=people.lea)
    work()
    recovered = RecoveredFiles.objects.select_related("version__dataset").get()
    assert recovered.state == FilesState.READY
    assert recovered.version is not None
    assert recovered.training_blob is not None
    assert recovered.version.train_count == ROWS
    assert b"".join(blob_read(recovered.training_blob)) == b"\n".join(chat_lines(ROWS)) + b"\n"


def test_what_is_not_in_the_listing_is_refused(account, listed, people):
    account.file(chat_lines(ROWS))
    with pytest.raises(RecoveryError):
        archive_bring_in(
            archive=listed(), chosen=Chosen(jobs=["ftjob-none"], files=["file-none"]), by=people.lea
        )


def test_a_cancelled_recovery_can_be_asked_for_again(account, listed, bring_in, people):
    handle = account.job(account.file(chat_lines(ROWS)))
    archive_bring_in(archive=listed(), chosen=Chosen(jobs=[handle]), by=people.lea)
    files, job = Operation.objects.filter(state=OperationState.QUEUED).order_by("pk")
    operation_run(operation_id=files.pk)
    operation_run(operation_id=job.pk)  # waits for the files
    for operation in (files, job):
        operation.refresh_from_db()
        assert operation.parked_at is not None
        operation_cancel(operation=operation, by=people.lea)
    assert RecoveredFiles.objects.get().state == FilesState.FAILED
    assert RecoveredJob.objects.get().state == RecoveryState.FAILED
    recoveries_advance()
    assert not TrainingJob.objects.exists()

    fetched = account.requests("/content")
    (brought,) = bring_in(handle)
    assert brought.version.train_count == ROWS
    assert account.requests("/content") == fetched + 1, "the results only: the file was here"


def test_an_attempt_that_broke_off_goes_on_without_doing_anything_twice(account, listed, people):
    handle = account.job(account.file(chat_lines(ROWS)))
    archive_bring_in(archive=listed(), chosen=Chosen(jobs=[handle]), by=people.lea)
    work()
    job = TrainingJob.objects.get()
    points = MetricPoint.objects.filter(job=job).count()
    RecoveredJob.objects.update(state=RecoveryState.WORKING)  # as if the last write had been lost
    last = Operation.objects.filter(kind="jobs.recover").latest("pk")
    Operation.objects.filter(pk=last.pk).update(state=OperationState.QUEUED)
    work()
    assert RecoveredJob.objects.get().state == RecoveryState.DONE
    assert TrainingJob.objects.get() == job
    assert MetricPoint.objects.filter(job=job).count() == points


def test_a_connection_is_in_use_while_things_are_brought_in_over_it(account, listed, people, connection):
    handle = account.job(account.file(chat_lines(ROWS)))
    archive_bring_in(archive=listed(), chosen=Chosen(jobs=[handle]), by=people.lea)
    assert uses_of(connection) == ["bringing in “tickets.jsonl”", f"bringing in “{handle}”"]
    work()
    assert uses_of(connection) == []


def test_details_hold_no_key(account, bring_in, peer):
    (job,) = bring_in(account.job(account.file(chat_lines(ROWS))))
    assert peer.secret not in json.dumps([job.configuration, job.provider_reply, Archive.objects.get().jobs])
