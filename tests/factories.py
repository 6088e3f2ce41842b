"""One of everything, for tests that only need a thing to exist."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.accounts.models import Invitation, Membership
from apps.accounts.services import api_key_create, invitation_create
from apps.operations.models import Operation, OperationState
from apps.projects.models import Project


def things(*, project: Project, people: Any) -> dict[str, Any]:
    """Primary keys (and tokens) of one of everything in the project's workspace, by name."""
    workspace = project.workspace
    invitation, token = invitation_create(workspace=workspace, email="", role="viewer", by=people.ann)
    key, _ = api_key_create(workspace=workspace, user=people.ann, name="test")
    operation = Operation.objects.create(
        workspace=workspace,
        kind="jobs.train",
        title="Nothing",
        subject_type="projects.project",
        subject_id=project.pk,
        queue="default",
        actor=people.ann,
        state=OperationState.RUNNING,
        attempts=1,
        heartbeat_at=timezone.now(),
    )
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() + timedelta(days=1))
    return {
        "membership": Membership.objects.get(workspace=workspace, user=people.vic).pk,
        "invitation": invitation.pk,
        "token": token,
        "api_key": key.pk,
        "operation": operation.pk,
    }
