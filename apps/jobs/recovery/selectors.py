"""Reading what accounts at providers have on record, and how bringing it in stands."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet

from apps.jobs.models import Archive, FilesState, RecoveredFiles, RecoveredJob, RecoveryState, TrainingJob
from apps.jobs.recovery.archives import keeps_archive
from apps.jobs.recovery.entries import file_from_json, job_from_json
from apps.projects.models import Project
from apps.providers.contracts import TrainingState
from apps.providers.lifetimes import LifeLeft, life_of
from apps.providers.matching import hosts_of
from apps.providers.models import Connection
from apps.providers.offered import offered_models
from apps.providers.remote import RemoteFile, RemoteJob
from apps.providers.selectors import connections_of

STATE_WORDS = {
    TrainingState.QUEUED: "Waiting",
    TrainingState.RUNNING: "Training",
    TrainingState.SUCCEEDED: "Done",
    TrainingState.FAILED: "Failed",
    TrainingState.STOPPED: "Cancelled",
}


def archives_of(project: Project) -> QuerySet[Archive]:
    """Without the listings themselves."""
    return (
        Archive.objects.filter(project=project)
        .select_related("connection", "project__workspace")
        .defer("files", "jobs", "listed_models")
    )


@dataclass(frozen=True, kw_only=True)
class Source:
    """A connection that things can be brought in from. `archive` is None before it was listed."""

    connection: Connection
    archive: Archive | None


def sources_of(project: Project) -> list[Source]:
    """Connections of the workspace whose provider keeps past jobs, by name."""
    listed = {archive.connection_id: archive for archive in archives_of(project)}
    return [
        Source(connection=connection, archive=listed.get(connection.pk))
        for connection in connections_of(project.workspace)
        if keeps_archive(connection)
    ]


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """A job of a listing. `answers`: whether its tuned model is still listed; None: unknown, or it has none."""

    remote: RemoteJob
    life: LifeLeft | None
    file_is_there: bool
    answers: bool | None
    recovered: RecoveredJob | None
    here: TrainingJob | None

    @property
    def word(self) -> str:
        return STATE_WORDS[self.remote.state]

    @property
    def can_be_brought_in(self) -> bool:
        working = self.recovered is not None and self.recovered.state == RecoveryState.WORKING
        return self.remote.state.is_final and self.here is None and not working

    @property
    def rows(self) -> int | None:
        """Rows of its training file; known once that is here."""
        if self.here is not None and self.recovered is not None and not self.recovered.used_stand_in:
            return self.here.version.train_count
        files = self.recovered.files if self.recovered is not None else None
        return files.version.train_count if files is not None and files.version is not None else None


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """A file of a listing, with how many of its jobs name it and what became of it here, on its own or with a job."""

    file: RemoteFile
    job_count: int
    recovered: RecoveredFiles | None

    @property
    def can_be_brought_in(self) -> bool:
        return self.recovered is None or self.recovered.state in (FilesState.FAILED, FilesState.UNAVAILABLE)


def job_rows(archive: Archive, stored: Sequence[dict[str, object]], *, today: date) -> list[JobRow]:
    """These jobs of the listing with everything that a page shows, in a few queries."""
    jobs = [job_from_json(each) for each in stored]
    handles = [job.handle for job in jobs]
    recovered = {
        each.handle: each
        for each in RecoveredJob.objects.filter(
            project=archive.project, connection=archive.connection, handle__in=handles
        ).select_related("files__version", "stand_in", "job")
    }
    here = {
        job.handle: job
        for job in TrainingJob.objects.filter(
            project=archive.project, base_model__connection=archive.connection, handle__in=handles
        ).select_related("version", "project__workspace")
    }
    lives = _lives(archive.connection, {job.base_model for job in jobs}, today)
    there = {each["id"] for each in archive.files}
    return [
        JobRow(
            remote=job,
            life=lives[job.base_model],
            file_is_there=job.training_file in there,
            answers=_answers(archive, job),
            recovered=recovered.get(job.handle),
            here=here.get(job.handle),
        )
        for job in jobs
    ]


def _answers(archive: Archive, job: RemoteJob) -> bool | None:
    if archive.listed_models is None or not job.tuned_model:
        return None
    return job.tuned_model in archive.listed_models


def _lives(connection: Connection, names: set[str], today: date) -> dict[str, LifeLeft | None]:
    offered = {model.id: model for model in offered_models(connection.offered)}
    hosts = hosts_of(connection.settings)
    return {
        name: life_of(
            provider=connection.provider,
            model=name,
            today=today,
            hosts=hosts,
            listed=offered[name].end_of_life if name in offered else None,
        )
        for name in names
    }


def file_rows(archive: Archive, stored: Sequence[dict[str, object]]) -> list[FileRow]:
    """These files of the listing; a file that came in with a job shows that."""
    files = [file_from_json(each) for each in stored]
    ids = [file.id for file in files]
    found: dict[str, RecoveredFiles] = {}
    recovered = (
        RecoveredFiles.objects.filter(project=archive.project, connection=archive.connection)
        .filter(Q(training_file__in=ids) | Q(validation_file__in=ids, validation_blob__isnull=False))
        .select_related("version__dataset__project__workspace", "dataset__project__workspace")
    )
    for each in recovered.order_by("pk"):
        for name in (each.training_file, each.validation_file):
            if name not in found or each.state == FilesState.READY:
                found[name] = each
    uses = Counter(
        name for job in archive.jobs for name in {job["training_file"], job["validation_file"]} if name
    )
    return [FileRow(file=file, job_count=uses[file.id], recovered=found.get(file.id)) for file in files]
