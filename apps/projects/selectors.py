from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.projects.models import Project


def projects_of(workspace: Workspace) -> QuerySet[Project]:
    """By name."""
    return Project.objects.filter(workspace=workspace, archived_at=None).order_by("name")
