"""Chats that programs asked to be kept."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.models import User, Workspace
from apps.audit.services import record
from apps.gateway.models import StoredCompletion


def stored_completion_create(
    *,
    workspace: Workspace,
    completion: Mapping[str, Any],
    request: Mapping[str, Any],
    metadata: Mapping[str, str],
    by: User | None,
) -> StoredCompletion:
    """Keep a question and its answer, as a request with `store` asks."""
    with transaction.atomic():
        stored = StoredCompletion.objects.create(
            workspace=workspace,
            public_id=completion["id"],
            model=completion["model"],
            metadata=dict(metadata),
            request=dict(request),
            reply=dict(completion),
            created_by=by,
        )
        record(workspace=workspace, actor=by, action="stored_completion.created", target=stored)
    return stored


def stored_completion_update(
    *, stored: StoredCompletion, metadata: Mapping[str, str], by: User
) -> StoredCompletion:
    """Put other metadata in the place of the old."""
    with transaction.atomic():
        StoredCompletion.objects.filter(pk=stored.pk).update(metadata=dict(metadata))
        record(
            workspace=stored.workspace,
            actor=by,
            action="stored_completion.changed",
            target=stored,
            before={"metadata": stored.metadata},
            after={"metadata": dict(metadata)},
        )
    stored.refresh_from_db()
    return stored


def stored_completion_delete(*, stored: StoredCompletion, by: User) -> None:
    """Question and answer are gone; the record of the deletion stays."""
    with transaction.atomic():
        record(workspace=stored.workspace, actor=by, action="stored_completion.deleted", target=stored)
        stored.delete()
