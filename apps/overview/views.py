from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.access import UserRequest, user_view
from apps.accounts.permissions import Permission
from apps.accounts.selectors import workspaces_of
from apps.core.http import render_partial
from apps.datasets.selectors import examples_of, versions_of
from apps.evaluations.pages import comparison_title
from apps.labeling.selectors.spending import project_time
from apps.operations.selectors import active_operations_of
from apps.overview.standing import checklist, next_step, standing_of
from apps.overview.uses import Uses, uses_of_row, uses_of_version
from apps.projects.access import ProjectRequest, project_view


@user_view()
def home(request: UserRequest) -> HttpResponseBase:
    """To the only workspace, or to the choice among several."""
    mine = list(workspaces_of(request.user)[:2])
    return redirect(mine[0]) if len(mine) == 1 else redirect("accounts:workspaces")


@project_view(Permission.VIEW)
def project_overview(request: ProjectRequest) -> HttpResponse:
    standing = standing_of(request.project)
    request.standing = standing  # type: ignore[attr-defined]
    step = next_step(request.project, standing)
    context = {
        "standing": standing,
        "verdict_title": comparison_title(standing.verdict) if standing.verdict else "",
        "step": step,
        "may_step": bool(step and request.membership.allows(step.permission)),
        "questions": checklist(standing),
        "people_time": project_time(request.project),
        "operations": active_operations_of(request.workspace),
    }
    return render(request, "overview/project.html", context)


@project_view(Permission.VIEW)
def version_uses(request: ProjectRequest, pk: int) -> HttpResponse:
    """What was trained and evaluated on a version; as a page, or as a part of the version's own page."""
    version = get_object_or_404(versions_of(request.project), pk=pk)
    return _uses(request, str(version), version.get_absolute_url(), uses_of_version(request.project, version))


@project_view(Permission.VIEW)
def row_uses(request: ProjectRequest, pk: int) -> HttpResponse:
    """What was trained on a row and evaluated with it."""
    rows = examples_of(request.project).select_related("dataset__project__workspace")
    example = get_object_or_404(rows.defer("raw", "payload", "text", "words"), pk=pk)
    found = uses_of_row(request.project, example)
    return _uses(request, f"Row {example.key} of {example.dataset}", example.get_absolute_url(), found)


def _uses(request: ProjectRequest, name: str, url: str, uses: Uses) -> HttpResponse:
    context = {
        "name": name,
        "url": url,
        "uses": uses,
        "breadcrumbs": [
            {"label": request.project.name, "url": request.project.get_absolute_url()},
            {"label": name, "url": url},
            {"label": "Uses", "url": ""},
        ],
    }
    return render_partial(request, "overview/uses.html", context, partials=["uses"])
