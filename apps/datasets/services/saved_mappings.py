"""Mappings kept by name."""

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.datasets.mapping import RowMapping
from apps.datasets.models import SavedMapping
from apps.projects.models import Project


def mapping_save(*, project: Project, name: str, mapping: RowMapping, actor: User | None) -> SavedMapping:
    """Keep a mapping by name; one of the same name is replaced."""
    with transaction.atomic():
        saved, _ = SavedMapping.objects.update_or_create(
            project=project, name=name, defaults={"mapping": mapping.as_json(), "created_by": actor}
        )
        record(
            workspace=project.workspace,
            actor=actor,
            action="mapping.saved",
            target=saved,
            data={"name": name, "preset": mapping.preset},
        )
    return saved
