"""What becomes of the answers: into the dataset, and out as a file with where each label came from."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.text import slugify

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.http import render_partial, stream_download
from apps.labeling.forms_results import OutcomeForm
from apps.labeling.models import Outcome, OutcomeState
from apps.labeling.selectors.outcomes import (
    causes_of,
    export_lines,
    provenance_counts,
)
from apps.labeling.selectors.resolving import stage_counts
from apps.labeling.selectors.spending import project_time, session_time
from apps.labeling.services.outcomes import KIND, outcome_again, outcome_request
from apps.labeling.tabs import session_tabs
from apps.labeling.views.sessions import get_session, label_crumbs
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def outcome(request: ProjectRequest, pk: int) -> HttpResponse:
    """What is resolved, how; the hand-over into the dataset and what it did."""
    session = get_session(request, pk)
    form = OutcomeForm(request.POST or None, session=session)
    if request.method == "POST" and form.is_valid():
        try:
            outcome_request(session=session, actor=request.user, **form.cleaned_data)
            return redirect("labeling:outcome", request.workspace.slug, request.project.slug, pk)
        except PortalError as error:
            form.add_error(None, error.message)
    counts = stage_counts(session)
    outcomes = Outcome.objects.filter(session=session)
    last = outcomes.select_related("change", "version", "pairs_dataset", "created_by").first()
    context: dict[str, Any] = {
        "session": session,
        "form": form,
        "counts": counts,
        "provenance": provenance_counts(session),
        "causes": causes_of(session),
        "spent": session_time(session),
        "project_time": project_time(request.project),
        "last": last,
        "is_working": last is not None and last.state == OutcomeState.WAITING,
        "operation": latest_operation_for(last, KIND) if last else None,
        "tabs": session_tabs(request, session, "outcome", counts),
        "breadcrumbs": label_crumbs(request, (session.name, session.get_absolute_url()), ("Outcome", "")),
    }
    response = render_partial(request, "labeling/outcome.html", context, partials=("hand-over",))
    response.status_code = 422 if form.errors else 200
    return response


@project_view(Permission.EDIT_DATA, methods=("POST",))
def repeat(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(
        Outcome.objects.select_related("session__project__workspace"), session__project=request.project, pk=pk
    )
    outcome_again(outcome=found, actor=request.user)
    return redirect("labeling:outcome", request.workspace.slug, request.project.slug, found.session_id)


@project_view(Permission.MANAGE_LABELING)
def export(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """Every label that was ever submitted, one a line, with all that is known about where it came from."""
    session = get_session(request, pk)

    def lines() -> Iterator[bytes]:
        for line in export_lines(session, request.user):
            yield json.dumps(line, ensure_ascii=False).encode() + b"\n"

    name = f"{slugify(session.name) or 'session'}-labels.jsonl"
    return stream_download(request, lines(), filename=name, content_type="application/x-ndjson")
