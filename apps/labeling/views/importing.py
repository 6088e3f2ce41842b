"""Labels that were made with another tool, taken into a session."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.http import render_partial
from apps.labeling.forms_results import LabelFileForm, LabelImportForm
from apps.labeling.models import LabelImport, LabelImportState
from apps.labeling.selectors.sessions import may_label_in
from apps.labeling.services.label_importing import (
    KIND,
    MOST_BYTES,
    label_import_create,
    label_import_request,
)
from apps.labeling.views.sessions import get_session, label_crumbs
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def upload(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    form = LabelFileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            if file.size > MOST_BYTES:
                raise PortalError("The file has more than 50 MB. Split it and import the parts.")
            read = label_import_create(
                session=session, data=file.read(), file_name=file.name, actor=request.user
            )
            return redirect(
                "labeling:label_import", request.workspace.slug, request.project.slug, session.pk, read.pk
            )
        except PortalError as error:
            form.add_error("file", error.message)
    context = {
        "session": session,
        "form": form,
        "most_bytes": MOST_BYTES,
        "earlier": LabelImport.objects.filter(session=session)[:20],
        "breadcrumbs": label_crumbs(
            request, (session.name, session.get_absolute_url()), ("Import labels", "")
        ),
    }
    return render(request, "labeling/import_upload.html", context, status=422 if form.errors else 200)


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def label_import(request: ProjectRequest, pk: int, import_pk: int) -> HttpResponse:
    """What the file holds, who is who in it; then how far the import is, and what it could not take."""
    session = get_session(request, pk)
    found = get_object_or_404(LabelImport, session=session, pk=import_pk)
    found.session = session
    members = may_label_in(request.project)
    form = LabelImportForm(request.POST or None, found=found, members=members)
    if request.method == "POST" and form.is_valid():
        try:
            label_import_request(
                label_import=found,
                labelers=form.labelers,
                questions=form.questions,
                is_independent=form.cleaned_data["is_independent"],
                actor=request.user,
            )
            return redirect(request.path)
        except PortalError as error:
            form.add_error(None, error.message)
    context = {
        "session": session,
        "label_import": found,
        "form": form,
        "may_start": found.state in (LabelImportState.READ, LabelImportState.FAILED),
        "is_working": found.state == LabelImportState.WAITING,
        "operation": latest_operation_for(found, KIND),
        "breadcrumbs": label_crumbs(
            request, (session.name, session.get_absolute_url()), ("Import labels", "")
        ),
    }
    response = render_partial(request, "labeling/label_import.html", context, partials=("live",))
    response.status_code = 422 if form.errors else 200
    return response
