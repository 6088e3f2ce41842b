"""Drafts by a model: which candidates propose answers in a session, and what people made of them."""

from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.labeling.forms_texts import DraftsForm
from apps.labeling.selectors.sessions import draft_runs_of
from apps.labeling.services.drafting import drafts_request
from apps.labeling.views.sessions import get_session, label_crumbs
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def drafts(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    form = DraftsForm(request.POST or None, session=session)
    if request.method == "POST" and form.is_valid():
        try:
            variant = form.variant(request.project, request.user)
            drafts_request(session=session, variant=variant, actor=request.user)
            return redirect("labeling:drafts", request.workspace.slug, request.project.slug, session.pk)
        except PortalError as error:
            form.add_error(None, error.message)
    context = {
        "session": session,
        "form": form,
        "runs": draft_runs_of(session),
        "breadcrumbs": label_crumbs(request, (session.name, session.get_absolute_url()), ("Drafts", "")),
    }
    return render(request, "labeling/drafts.html", context, status=422 if form.errors else 200)
