"""Bringing in what a provider has on record: its files as data, its jobs with their history and models.

The files of a job are one operation, the job another one that waits for them. Both can be stopped at any moment and
asked for again: what is here already is not fetched or made a second time.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import OperationalError, transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import PortalError
from apps.core.states import transition
from apps.datasets.models import Version, VersionState
from apps.jobs.models import Archive, FilesState, RecoveredFiles, RecoveredJob, RecoveryState, TrainingJob
from apps.jobs.recovery.archives import archive_adapter
from apps.jobs.recovery.entries import file_from_json, job_from_json
from apps.jobs.recovery.files import files_ensure, files_step
from apps.jobs.recovery.past_jobs import PastJob, history_read, past_job_create
from apps.operations.models import Operation
from apps.operations.progress import OperationParkedError, Progress
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_start, operation_unpark
from apps.providers.remote import RemoteFile, RemoteJob
from apps.registry.services import remote_base_model_note

logger = logging.getLogger(__name__)

JOB_KIND = "jobs.recover"


class RecoveryError(PortalError):
    """It could not be brought in; the message says why."""

    code = "not_recovered"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What somebody wants brought in: handles of jobs, names of files, and the version that stands in for the data of
    jobs whose file can't be had."""

    jobs: Sequence[str] = ()
    files: Sequence[str] = ()
    stand_in: Version | None = None


def archive_bring_in(*, archive: Archive, chosen: Chosen, by: User) -> int:
    """Queue what was chosen, oldest first; how many jobs and files that is. What is here or under way is left alone.

    Raises RecoveryError where nothing of it is in the listing, or the version can't stand in.
    """
    stand_in = chosen.stand_in
    if stand_in is not None and (
        stand_in.dataset.project_id != archive.project_id or stand_in.state != VersionState.FROZEN
    ):
        raise RecoveryError("Choose a frozen version of this project.")
    files = {file.id: file for file in map(file_from_json, archive.files)}
    jobs = [job for job in map(job_from_json, archive.jobs) if job.handle in set(chosen.jobs)]
    alone = [files[name] for name in chosen.files if name in files]
    if not jobs and not alone:
        raise RecoveryError("Choose jobs or files of the list. If they are missing in it, list it again.")
    begun = 0
    with transaction.atomic():
        # One request at a time, so that the same form sent twice finds what the first one began.
        Archive.objects.select_for_update().get(pk=archive.pk)
        for job in reversed(jobs):
            begun += _job_begin(archive, job, files, stand_in, by)
        for file in reversed(alone):
            recovered, is_new = files_ensure(
                archive=archive, training=file.id, validation=None, files=files, by=by
            )
            begun += is_new and recovered.state == FilesState.WORKING
    return begun


def _job_begin(
    archive: Archive, remote: RemoteJob, files: Mapping[str, RemoteFile], stand_in: Version | None, by: User
) -> bool:
    """Whether there is something to do."""
    if not remote.state.is_final or job_here(archive, remote.handle) is not None:
        return False
    recovered, _ = RecoveredJob.objects.get_or_create(
        project=archive.project,
        connection=archive.connection,
        handle=remote.handle,
        defaults={
            "details": next(each for each in archive.jobs if each["handle"] == remote.handle),
            "created_by": by,
            "state": RecoveryState.FAILED,  # until it is begun, in a moment
        },
    )
    if recovered.state != RecoveryState.FAILED:
        return False
    taken = None
    if remote.training_file:
        taken, _ = files_ensure(
            archive=archive,
            training=remote.training_file,
            validation=remote.validation_file,
            files=files,
            by=by,
        )
    transition(
        recovered,
        RecoveryState.WORKING,
        error="",
        files=taken,
        stand_in=stand_in or recovered.stand_in,
        created_by=by,
    )
    operation_start(
        workspace=archive.project.workspace,
        kind=JOB_KIND,
        subject=recovered,
        title=f"Bring in {remote.handle}",
        actor=by,
        url=archive.get_absolute_url(),
    )
    record(
        workspace=archive.project.workspace,
        actor=by,
        action="job.recovery_asked",
        target=recovered,
        data={"connection": str(archive.connection), "stand_in": str(stand_in) if stand_in else None},
    )
    return True


def job_here(what: Archive | RecoveredJob, handle: str) -> TrainingJob | None:
    """The project's own job of this name at the provider, brought in or sent from here."""
    return TrainingJob.objects.filter(
        project=what.project, base_model__connection=what.connection, handle=handle
    ).first()


# --- Jobs -------------------------------------------------------------------------------------------------------------


def job_recover(*, recovered: RecoveredJob, progress: Progress) -> None:
    """Make the training job, once its data is here. Parks while the files are on their way."""
    if recovered.state != RecoveryState.WORKING:
        return
    files = recovered.files
    if files is not None and files.state == FilesState.WORKING:
        progress.report(message=f"Waiting for {files.training_name}")
        raise OperationParkedError
    remote = job_from_json(recovered.details)
    version, said_by_person = _data_of(recovered, remote)
    _, adapter = archive_adapter(recovered.connection)
    history = history_read(adapter=adapter, remote=remote, progress=progress)
    progress.report(message="Writing it down")
    archive = Archive.objects.filter(project=recovered.project, connection=recovered.connection).first()
    listed = archive.listed_models if archive is not None else None
    with transaction.atomic():
        locked = RecoveredJob.objects.select_for_update().get(pk=recovered.pk)
        progress.check()  # an attempt that was given up writes nothing
        if locked.state != RecoveryState.WORKING:
            return
        here = job_here(locked, remote.handle)
        if here is not None:
            transition(locked, RecoveryState.DONE, job=here)
            return
        base_model = remote_base_model_note(
            connection=recovered.connection, reference=remote.base_model, actor=recovered.created_by
        )
        job = past_job_create(
            project=recovered.project,
            connection=recovered.connection,
            base_model=base_model,
            past=PastJob(
                remote=remote,
                history=history,
                version=version,
                version_said_by_person=said_by_person,
                answers=None if listed is None or not remote.tuned_model else remote.tuned_model in listed,
                name=remote.suffix
                or (files.training_name.partition(".")[0] if files else "")
                or remote.handle,
            ),
            by=recovered.created_by,
        )
        transition(locked, RecoveryState.DONE, job=job)


def _data_of(recovered: RecoveredJob, remote: RemoteJob) -> tuple[Version, bool]:
    """The version that holds what it was trained on, and whether only somebody says so."""
    files = recovered.files
    if files is not None and files.state == FilesState.READY and files.version is not None:
        return files.version, False
    if recovered.stand_in is not None:
        return recovered.stand_in, True
    if files is None:
        why = "Its provider names no training file."
    elif files.state == FilesState.UNAVAILABLE:
        why = f"Its training file {remote.training_file} can't be had any more: {files.error}"
    else:
        why = f"Its training file did not become a version: {files.error or 'the version was deleted.'}"
    raise RecoveryError(
        f"{why.rstrip('.')}. Choose the version that it was trained on, if you have it, and bring it in again."
    )


def job_recovery_stopped(*, operation: Operation) -> None:
    """The operation ended without success. Called in the same transaction."""
    recovered = RecoveredJob.objects.select_for_update().filter(pk=operation.subject_id).first()
    if recovered is None or recovered.state != RecoveryState.WORKING:
        return
    transition(recovered, RecoveryState.FAILED, error=operation.error or "It was cancelled.")


# --- By the clock -----------------------------------------------------------------------------------------------------


def recoveries_advance() -> None:
    """Short steps only: imports and versions on their way, and jobs whose data has come."""
    working = RecoveredFiles.objects.filter(state=FilesState.WORKING, training_blob__isnull=False)
    for files_id in working.values_list("pk", flat=True):
        _safely(lambda key: files_step(files_id=key), files_id)
    waiting = RecoveredJob.objects.filter(state=RecoveryState.WORKING).exclude(
        files__state=FilesState.WORKING
    )
    for recovered in waiting:
        operation = latest_operation_for(recovered, JOB_KIND)
        if operation is not None:
            operation_unpark(operation=operation)


def _safely(step: Callable[[int], None], key: int) -> None:
    """One that fails holds up no other."""
    try:
        step(key)
    except OperationalError:
        raise  # the database is away: so it is for all of them
    except Exception:
        logger.exception("recovery.step_failed", extra={"files": key})
