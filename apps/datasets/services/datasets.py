"""Making, naming and removing datasets."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.datasets.models import Dataset, Example, Import, ImportProblem, ImportRow, ImportState
from apps.projects.models import Project


def dataset_create(*, project: Project, name: str, description: str = "", actor: User | None) -> Dataset:
    """An empty dataset. Raises `ConflictError` when the name is taken in the project."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                dataset = Dataset.objects.create(
                    project=project, name=name, description=description, created_by=actor
                )
        except IntegrityError as error:
            raise _name_taken(name) from error
        record(workspace=project.workspace, actor=actor, action="dataset.created", target=dataset)
    return dataset


def dataset_update(*, dataset: Dataset, name: str, description: str, licence: str = "", actor: User) -> None:
    before = {"name": dataset.name, "description": dataset.description, "licence": dataset.licence}
    with transaction.atomic():
        try:
            with transaction.atomic():
                Dataset.objects.filter(pk=dataset.pk).update(
                    name=name, description=description, licence=licence, updated_at=timezone.now()
                )
        except IntegrityError as error:
            raise _name_taken(name) from error
        dataset.refresh_from_db()
        record(
            workspace=dataset.project.workspace,
            actor=actor,
            action="dataset.updated",
            target=dataset,
            before=before,
            after={"name": name, "description": description, "licence": licence},
        )


def dataset_delete(*, dataset: Dataset, actor: User) -> None:
    """Remove a dataset with its rows and imports. One with versions stays: models may stand on them."""
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        if locked.versions.exists():
            raise ConflictError(
                f"“{locked.name}” has versions, and models may stand on them, so it can't be deleted."
                " Versions that were never frozen can be deleted on their own."
            )
        if locked.imports.filter(
            state__in=(ImportState.FETCHING, ImportState.CHECKING, ImportState.COMMITTING)
        ).exists():
            raise ConflictError(
                f"A file is being imported into “{locked.name}”. Cancel that first, or wait for it."
            )
        record(
            workspace=locked.project.workspace,
            actor=actor,
            action="dataset.deleted",
            target=locked,
            before={"name": locked.name, "examples": locked.example_count},
        )
        imports = Import.objects.filter(dataset=locked)
        for rows in (
            Example.objects.filter(dataset=locked),
            ImportRow.objects.filter(import_record__in=imports),
            ImportProblem.objects.filter(import_record__in=imports),
            imports,
        ):
            rows._raw_delete(rows.db)  # nothing else hangs on them
        locked.delete()


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"The project has a dataset “{name}” already. Choose another name.", code="name_taken"
    )
