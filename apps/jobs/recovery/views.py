"""Bringing in what an account at a provider has: choose a connection, look at its listing, choose of it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.formatting import format_number
from apps.core.http import render_partial
from apps.jobs.models import Archive, FilesState, RecoveredFiles, RecoveredJob, RecoveryState
from apps.jobs.recovery.archives import LIST_KIND, archive_list_request
from apps.jobs.recovery.recovering import Chosen, archive_bring_in
from apps.jobs.recovery.selectors import file_rows, job_rows, sources_of
from apps.jobs.selectors import trainable_versions
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view
from apps.providers.models import Connection
from apps.providers.selectors import connections_of

A_PAGE = 50
JOBS, FILES = "jobs", "files"
MOST_VERSIONS = 100


@project_view(Permission.TRAIN, methods=("GET", "POST"))
def archives(request: ProjectRequest) -> HttpResponse:
    """The connections that things can be brought in from; posting one lists its account."""
    if request.method == "POST":
        key = request.POST.get("connection", "")
        chosen = connections_of(request.workspace).filter(
            pk=int(key) if key.isascii() and key.isdecimal() and len(key) < 19 else 0
        )
        try:
            return redirect(
                archive_list_request(project=request.project, connection=chosen.get(), by=request.user)
            )
        except Connection.DoesNotExist:
            messages.error(request, "That connection was removed. Choose another one.")
        except PortalError as error:
            messages.error(request, error.message)
    context = {"sources": sources_of(request.project)}
    return render(request, "jobs/archives.html", context)


@project_view(Permission.TRAIN)
def archive(request: ProjectRequest, pk: int) -> HttpResponse:
    """The listing: jobs, or files, a page of them."""
    found = _archive(request, pk)
    operation = latest_operation_for(found, LIST_KIND)
    is_listing = operation is not None and operation.is_active
    shown = FILES if request.GET.get("show") == FILES else JOBS
    stored = found.files if shown == FILES else found.jobs
    number = _number(request.GET.get("page"), len(stored))
    part = stored[(number - 1) * A_PAGE : number * A_PAGE]
    context: dict[str, Any] = {
        "archive": found,
        "operation": operation if is_listing else None,
        "is_working": is_listing or _is_working(found),
        "tabs": _tabs(request, found, shown),
        "shown": shown,
        "rows": file_rows(found, part)
        if shown == FILES
        else job_rows(found, part, today=timezone.localdate()),
        "versions": trainable_versions(request.project)[:MOST_VERSIONS] if shown == JOBS else [],
        **_neighbours(shown, number, len(stored)),
    }
    # At the end the counts and the date around the list have changed, too.
    over = not context["is_working"]
    return render_partial(request, "jobs/archive.html", context, partials=("archive",), refresh=over)


@project_view(Permission.TRAIN, methods=("POST",))
def bring_in(request: ProjectRequest, pk: int) -> HttpResponse:
    """Queue what was ticked."""
    found = _archive(request, pk)
    version = request.POST.get("stand_in", "")
    stand_in = (
        get_object_or_404(trainable_versions(request.project), pk=int(version))
        if version.isascii() and version.isdecimal() and len(version) < 19
        else None
    )
    chosen = Chosen(jobs=request.POST.getlist("job"), files=request.POST.getlist("file"), stand_in=stand_in)
    try:
        begun = archive_bring_in(archive=found, chosen=chosen, by=request.user)
    except PortalError as error:
        messages.error(request, error.message)
    else:
        what = f"{format_number(begun)} {'is' if begun == 1 else 'are'} being brought in."
        messages.success(request, what if begun else "What you chose is here already, or on its way.")
    back = FILES if chosen.files and not chosen.jobs else JOBS
    return redirect(f"{found.get_absolute_url()}?{urlencode({'show': back})}")


def _archive(request: ProjectRequest, pk: int) -> Archive:
    found = get_object_or_404(
        Archive.objects.select_related("connection__workspace"), project=request.project, pk=pk
    )
    found.project = request.project
    return found


def _is_working(archive: Archive) -> bool:
    of_it = {"project": archive.project, "connection": archive.connection}
    return (
        RecoveredFiles.objects.filter(**of_it, state=FilesState.WORKING).exists()
        or RecoveredJob.objects.filter(**of_it, state=RecoveryState.WORKING).exists()
    )


def _tabs(request: ProjectRequest, archive: Archive, shown: str) -> list[dict[str, Any]]:
    counts = {JOBS: len(archive.jobs), FILES: len(archive.files)}
    return [
        {"label": name.capitalize(), "url": f"?show={name}", "current": shown == name, "count": counts[name]}
        for name in (JOBS, FILES)
    ]


def _number(given: str | None, entries: int) -> int:
    last = max(1, -(-entries // A_PAGE))
    text = given or ""
    return min(last, max(1, int(text))) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


def _neighbours(shown: str, number: int, entries: int) -> dict[str, str]:
    def link(page: int) -> str:
        return f"?{urlencode({'show': shown, 'page': page})}"

    return {
        "newer_url": link(number - 1) if number > 1 else "",
        "older_url": link(number + 1) if number * A_PAGE < entries else "",
    }
