"""Listing what an account at a provider has on record."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.jobs.models import Archive
from apps.jobs.recovery.entries import file_as_json, job_as_json
from apps.operations.models import Operation
from apps.operations.progress import Progress
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_start
from apps.projects.models import Project
from apps.providers.contracts import ProviderError, ProviderUnavailableError
from apps.providers.models import Connection
from apps.providers.opening import adapter_for
from apps.providers.registry import provider_class
from apps.providers.remote import RemoteArchive, RemoteTrainer
from apps.providers.services import connection_check

LIST_KIND = "jobs.list_archive"
TRIES = 6
LONGEST_WAIT_SECONDS = 60.0
Answer = TypeVar("Answer")


class NoArchiveError(PortalError):
    """The provider lists no past jobs that could be brought in."""

    code = "no_archive"


def keeps_archive(connection: Connection) -> bool:
    """Whether past jobs can be brought in over the connection. Asks nothing of the provider."""
    try:
        return issubclass(provider_class(connection.provider), RemoteArchive)
    except ProviderError:
        return False  # its adapter was taken out


def archive_adapter(connection: Connection) -> tuple[RemoteArchive, RemoteTrainer]:
    """The connection's adapter, as what it keeps and as what it trains with. Raises NoArchiveError."""
    adapter = adapter_for(connection)
    if not isinstance(adapter, RemoteArchive) or not isinstance(adapter, RemoteTrainer):
        raise NoArchiveError(
            f"Nothing can be brought in over “{connection}”: its provider lists no past jobs."
        )
    return adapter, adapter


def archive_list_request(*, project: Project, connection: Connection, by: User) -> Archive:
    """List the account in the background; the listing that is under way already, if there is one."""
    if connection.workspace_id != project.workspace_id:
        raise PortalError("The connection belongs to another workspace.")
    if not keeps_archive(connection):
        raise NoArchiveError(
            f"Nothing can be brought in over “{connection}”: its provider lists no past jobs."
        )
    with transaction.atomic():
        archive, _ = Archive.objects.get_or_create(
            project=project, connection=connection, defaults={"created_by": by}
        )
        running = latest_operation_for(archive, LIST_KIND)
        if running is not None and running.is_active:
            return archive
        Archive.objects.filter(pk=archive.pk).update(error="", updated_at=timezone.now())
        try:
            operation_start(
                workspace=project.workspace,
                kind=LIST_KIND,
                subject=archive,
                title=f"List what {connection} has",
                actor=by,
                url=archive.get_absolute_url(),
            )
        except ConflictError:
            return archive  # another request was faster
        record(workspace=project.workspace, actor=by, action="archive.listing_asked", target=archive)
    return archive


def archive_fetch(*, archive: Archive, progress: Progress) -> None:
    """Ask the provider for its files, jobs and models, and store them with the time. Raises ProviderError."""
    kept, _ = archive_adapter(archive.connection)
    progress.report(message="Listing jobs")
    jobs = [job_as_json(job) for job in patiently(kept.jobs, progress)]
    progress.report(message=f"{len(jobs)} jobs; listing files")
    files = [file_as_json(file) for file in patiently(kept.files, progress)]
    progress.report(message="Listing models")
    seen = connection_check(connection=archive.connection, by=progress.operation.actor)
    with transaction.atomic():
        Archive.objects.filter(pk=archive.pk).update(
            files=files,
            jobs=jobs,
            listed_models=None if seen.served is None else [model.id for model in seen.served],
            fetched_at=timezone.now(),
            error="",
            updated_at=timezone.now(),
        )
        record(
            workspace=archive.project.workspace,
            actor=progress.operation.actor,
            action="archive.listed",
            target=archive,
            data={"jobs": len(jobs), "files": len(files)},
        )


def archive_fetch_stopped(*, operation: Operation) -> None:
    """The last good listing stays; why the newest failed is said above it."""
    Archive.objects.filter(pk=operation.subject_id).update(
        error=operation.error or "The listing was cancelled.", updated_at=timezone.now()
    )


def patiently(ask: Callable[[], Answer], progress: Progress) -> Answer:
    """Ask again while the provider is away or busy, at the pace that it wishes; a few times, then ProviderError."""
    for attempt in range(1, TRIES + 1):
        progress.check()
        try:
            return ask()
        except ProviderUnavailableError as error:
            if attempt == TRIES:
                raise
            wait = min(LONGEST_WAIT_SECONDS, error.retry_after or 2.0**attempt)
            progress.report(message=f"{error.message.rstrip('.')}. Trying again")
            until = time.monotonic() + wait
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(1.0, left))
                progress.check()
    raise AssertionError("the last try answers or raises")
