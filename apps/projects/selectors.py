from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.projects.models import Project


def projects_of(workspace: Workspace) -> QuerySet[Project]:
    """By name."""
    return Project.objects.filter(workspace=workspace, archived_at=None).order_by("name")


def archived_projects_of(workspace: Workspace) -> QuerySet[Project]:
    """Those out of the lists, the one archived last first."""
    return Project.objects.filter(workspace=workspace, archived_at__isnull=False).order_by("-archived_at")
