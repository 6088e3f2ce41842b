"""The project that a request works in."""

from django.db import transaction

from apps.accounts.models import Workspace
from apps.accounts.permissions import Permission
from apps.gateway.authentication import Principal
from apps.gateway.errors import ApiError
from apps.projects.models import Project
from apps.projects.services import project_create

DEFAULT_NAME, DEFAULT_SLUG = "API", "api"


def project_ensure(*, principal: Principal, named: str) -> Project:
    """The project that the header OpenAI-Project names by its address; else the one called API, made when needed."""
    workspace = principal.workspace
    project = Project.objects.filter(workspace=workspace, slug=named or DEFAULT_SLUG).first()
    if project is not None:
        project.workspace = workspace
        return project
    if named:
        raise ApiError(
            f"There is no project `{named}` in {workspace}. The header OpenAI-Project takes the last part of a"
            " project's address.",
            status=404,
            code="project_not_found",
        )
    if not principal.membership.allows(Permission.MANAGE_PROJECTS):
        raise ApiError(
            "Name a project in the header OpenAI-Project: this key may not make the one that is used without it.",
            status=403,
            code="insufficient_permissions",
        )
    with transaction.atomic():
        Workspace.objects.select_for_update().get(pk=workspace.pk)  # two first uploads at the same moment
        project = Project.objects.filter(workspace=workspace, slug=DEFAULT_SLUG).first()
        return project or project_create(
            workspace=workspace,
            name=DEFAULT_NAME,
            by=principal.user,
            goal="Jobs and files that programs sent without naming a project.",
        )
