"""Making, naming and removing datasets."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.datasets.models import (
    Change,
    ChangeRow,
    ChangeState,
    CheckReport,
    CheckState,
    Dataset,
    Decision,
    Example,
    ExampleFacts,
    Finding,
    FindingRow,
    Import,
    ImportProblem,
    ImportRow,
    ImportState,
)
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
    """Raises `ConflictError` where another dataset of the project has the name."""
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


DAYS_IN_TRASH = 30


def dataset_delete(*, dataset: Dataset, actor: User) -> None:
    """Put a dataset into the trash. One with versions stays: models may stand on them."""
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
        if locked.changes.filter(state__in=(ChangeState.WAITING, ChangeState.UNDOING)).exists():
            raise ConflictError(
                f"Rows of “{locked.name}” are being changed. Cancel that first, or wait for it."
            )
        if locked.check_reports.filter(state=CheckState.CHECKING).exists():
            raise ConflictError(f"“{locked.name}” is being checked. Cancel that first, or wait for it.")
        record(
            workspace=locked.project.workspace,
            actor=actor,
            action="dataset.deleted",
            target=locked,
            before={"name": locked.name, "examples": locked.example_count},
        )
        Dataset.objects.filter(pk=locked.pk).update(deleted_at=timezone.now(), deleted_by=actor)


def dataset_restore(*, dataset: Dataset, actor: User) -> None:
    """Take a dataset out of the trash, with everything that was in it."""
    with transaction.atomic():
        locked = Dataset.with_deleted.select_for_update().get(pk=dataset.pk)
        if locked.deleted_at is None:
            raise ConflictError(f"“{locked.name}” is not in the trash. Reload the page.")
        try:
            with transaction.atomic():
                Dataset.with_deleted.filter(pk=locked.pk).update(deleted_at=None, deleted_by=None)
        except IntegrityError as error:
            raise ConflictError(
                f"The project has another dataset “{locked.name}” by now. Rename that one first.",
                code="name_taken",
            ) from error
        record(workspace=locked.project.workspace, actor=actor, action="dataset.restored", target=locked)


def trash_empty() -> int:
    """Remove for good what has been in the trash for its time; how many datasets that were."""
    old = Dataset.with_deleted.filter(deleted_at__lt=timezone.now() - timedelta(days=DAYS_IN_TRASH))
    datasets = list(old)
    for dataset in datasets:
        dataset_purge(dataset=dataset, actor=None)
    return len(datasets)


def dataset_purge(*, dataset: Dataset, actor: User | None) -> None:
    """Remove a dataset with its rows and imports for good."""
    with transaction.atomic():
        locked = Dataset.with_deleted.select_for_update().get(pk=dataset.pk)
        record(
            workspace=locked.project.workspace,
            actor=actor,
            action="dataset.purged",
            target=locked,
            before={"name": locked.name, "examples": locked.example_count},
        )
        imports = Import.objects.filter(dataset=locked)
        # Rows that were merged into another dataset stay there, without the file that they came from.
        Example.objects.filter(source__in=imports).exclude(dataset=locked).update(source=None)
        changes = Change.objects.filter(dataset=locked)
        reports = CheckReport.objects.filter(dataset=locked)
        findings = Finding.objects.filter(report__in=reports)
        for rows in (
            FindingRow.objects.filter(finding__in=findings),
            findings,
            reports,
            Decision.objects.filter(dataset=locked),
            ExampleFacts.objects.filter(example__dataset=locked),
            ChangeRow.objects.filter(change__in=changes),
            changes,
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
