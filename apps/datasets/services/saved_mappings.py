"""Mappings kept by name."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
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


def mapping_rename(*, saved: SavedMapping, name: str, actor: User) -> None:
    """Raises `PortalError` for a name that is empty or too long, `ConflictError` for one that is taken."""
    name = name.strip()
    if not 0 < len(name) <= 80:
        raise PortalError("A name has 1 to 80 characters.", code="bad_name")
    with transaction.atomic():
        try:
            with transaction.atomic():
                SavedMapping.objects.filter(pk=saved.pk).update(name=name, updated_at=timezone.now())
        except IntegrityError as error:
            raise ConflictError(
                f"The project has a mapping “{name}” already. Choose another name, or delete that one first.",
                code="name_taken",
            ) from error
        record(
            workspace=saved.project.workspace,
            actor=actor,
            action="mapping.renamed",
            target=saved,
            before={"name": saved.name},
            after={"name": name},
        )


def mapping_delete(*, saved: SavedMapping, actor: User) -> None:
    """Forget a mapping. Imports that were read by it keep theirs."""
    with transaction.atomic():
        record(
            workspace=saved.project.workspace,
            actor=actor,
            action="mapping.deleted",
            target=saved,
            before={"name": saved.name, "mapping": saved.mapping},
        )
        SavedMapping.objects.filter(pk=saved.pk).delete()
