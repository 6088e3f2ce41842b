from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render

from apps.accounts.access import UserRequest, user_view
from apps.accounts.permissions import Permission
from apps.accounts.selectors import workspaces_of
from apps.operations.selectors import active_operations_of
from apps.overview.standing import checklist, next_step, standing_of
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
        "step": step,
        "may_step": bool(step and request.membership.allows(step.permission)),
        "questions": checklist(standing),
        "operations": active_operations_of(request.workspace),
    }
    return render(request, "overview/project.html", context)
