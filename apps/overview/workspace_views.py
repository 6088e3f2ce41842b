"""The first page of a workspace, and the search over everything in it."""

from django.http import HttpResponse
from django.shortcuts import render

from apps.accounts.access import WorkspaceRequest, workspace_view
from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.overview.projects import cards_of
from apps.overview.search import groups_found
from apps.projects.selectors import archived_projects_of

ARCHIVED_SHOWN = 100


@workspace_view(Permission.VIEW)
def projects(request: WorkspaceRequest) -> HttpResponse:
    context = {
        "cards": cards_of(request.workspace),
        "archived": archived_projects_of(request.workspace).select_related("workspace")[:ARCHIVED_SHOWN],
        "may_create": request.membership.allows(Permission.MANAGE_PROJECTS),
    }
    return render(request, "overview/projects.html", context)


@workspace_view(Permission.VIEW)
def search(request: WorkspaceRequest) -> HttpResponse:
    """A page of its own, and the list in the search dialog of every page."""
    typed = request.GET.get("q", "").strip()
    context = {
        "typed": typed,
        "groups": groups_found(request.membership, typed),
        "breadcrumbs": [
            {"label": request.workspace.name, "url": request.workspace.get_absolute_url()},
            {"label": "Search", "url": ""},
        ],
    }
    return render_partial(request, "overview/search.html", context, partials=["found"])
