"""The adapter that a provider has trained, handed on while it comes: nothing of it is kept here."""

from collections.abc import Iterator
from itertools import chain

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect

from apps.accounts.permissions import Permission
from apps.core.errors import ConflictError, PortalError
from apps.core.http import stream_download
from apps.jobs.models import JobState, TrainingJob
from apps.jobs.selectors import job_details
from apps.projects.access import ProjectRequest, project_view
from apps.providers.opening import adapter_for
from apps.providers.registry import provider_class
from apps.providers.remote import AdapterSource


@project_view(Permission.TRAIN)
def adapter(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """What goes wrong before the first byte is said on the page of the job; later the download breaks off."""
    job = get_object_or_404(job_details(request.project), pk=pk)
    try:
        ending, pieces = _opened(job)
    except PortalError as error:
        messages.error(request, error.message)
        return redirect(job)
    return stream_download(
        request,
        pieces,
        filename=f"job-{job.number}-adapter.{ending}",
        content_type="application/octet-stream",
    )


def hands_out_adapter(job: TrainingJob) -> bool:
    """Whether the adapter of the job can be had from its provider. Asks nothing of it."""
    connection = job.base_model.connection
    if connection is None or connection.removed_at is not None or not job.handle:
        return False
    if job.state != JobState.SUCCEEDED:
        return False
    try:
        return hasattr(provider_class(connection.provider), "read_adapter")
    except PortalError:
        return False  # its client library is not installed any more


def _opened(job: TrainingJob) -> tuple[str, Iterator[bytes]]:
    if not hands_out_adapter(job):
        raise ConflictError(f"There is no adapter of “{job.name}” to be had from a provider.")
    assert job.base_model.connection is not None
    source: AdapterSource = adapter_for(job.base_model.connection)
    pieces = source.read_adapter(job.handle)
    first = next(pieces, b"")
    return source.adapter_ending, chain([first], pieces)
