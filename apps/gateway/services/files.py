"""Files that programs upload."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.artifacts.models import Blob
from apps.audit.services import record
from apps.datasets.services.imports import short_name
from apps.gateway.ids import new_id
from apps.gateway.models import File, Purpose
from apps.gateway.services.intakes import intake_ensure
from apps.projects.models import Project


def file_create(
    *,
    workspace: Workspace,
    project: Project | None,
    name: str,
    purpose: str,
    blob: Blob,
    expires_in: timedelta | None = None,
    by: User | None,
) -> File:
    """Keep a file; one to train on is taken into `project` and checked at once."""
    with transaction.atomic():
        file = File.objects.create(
            workspace=workspace,
            public_id=new_id("file-"),
            name=short_name(name),
            purpose=purpose,
            blob=blob,
            expires_at=timezone.now() + expires_in if expires_in else None,
            created_by=by,
        )
        record(
            workspace=workspace,
            actor=by,
            action="api_file.created",
            target=file,
            data={"purpose": purpose, "sha256": blob.sha256, "bytes": blob.size},
        )
        if purpose == Purpose.FINE_TUNE and project is not None:
            intake_ensure(project=project, training_file=file, by=by)
    return file


def file_delete(*, file: File, by: User) -> None:
    """What was made of it stays: versions and models that stand on them. Jobs that use it go on."""
    with transaction.atomic():
        File.objects.filter(pk=file.pk).update(deleted_at=timezone.now())
        record(workspace=file.workspace, actor=by, action="api_file.deleted", target=file)


def files_expire() -> int:
    """Delete what its owner gave only so much time; how many files that were."""
    late = File.objects.filter(deleted_at=None, expires_at__lt=timezone.now())
    return late.update(deleted_at=timezone.now())
