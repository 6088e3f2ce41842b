"""Taking files in: dataset, import, commit, version, one step at a time through the services that the pages use.

Nothing here waits. A step is taken whenever somebody asks about the file or the job, and every few seconds by the
clock; the background work itself is that of the datasets.
"""

from dataclasses import replace

from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import PortalError
from apps.core.states import transition
from apps.datasets.mapping import CHAT, COMPLETION, OPENAI_PREFERENCE, PREFERENCE, RowMapping
from apps.datasets.models import Dataset, Import, ImportProblem, ImportState, Split, VersionState
from apps.datasets.services import (
    dataset_create,
    import_commit_request,
    import_create,
    import_map,
    version_freeze_request,
)
from apps.gateway.models import File, Intake, IntakeState
from apps.projects.models import Project

SEED = 42
TAKEN = (CHAT, COMPLETION, PREFERENCE, OPENAI_PREFERENCE)
NAME_CHARACTERS = 60
UNDER_WAY = (ImportState.FETCHING, ImportState.RECEIVED, ImportState.CHECKING, ImportState.COMMITTING)


class IntakeFailedError(PortalError):
    """A file can't be trained on; `validation` says that it is the validation file."""

    code = "invalid_file"

    def __init__(self, message: str, *, validation: bool = False) -> None:
        super().__init__(message)
        self.validation = validation


def intake_ensure(
    *, project: Project, training_file: File, validation_file: File | None = None, by: User | None
) -> Intake:
    """The intake of these files in this project, begun at the first call."""
    intake, created = Intake.objects.get_or_create(
        project=project,
        training_file=training_file,
        validation_file=validation_file,
        defaults={"created_by": by},
    )
    if created:
        intake_advance(intake_id=intake.pk)
        intake.refresh_from_db()
    return intake


def intake_advance(*, intake_id: int) -> None:
    """Take the next step if it can be taken now. Safe to call at any time, from anywhere."""
    with transaction.atomic():
        intake = (
            Intake.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related(
                "project__workspace", "training_file__blob", "validation_file__blob", "version", "created_by"
            )
            .filter(pk=intake_id, state=IntakeState.WORKING)
            .first()
        )
        if intake is None:
            return
        try:
            with transaction.atomic():
                _step(intake)
        except PortalError as error:
            transition(
                intake,
                IntakeState.FAILED,
                error=error.message,
                error_in_validation=getattr(error, "validation", False),
            )


def _step(intake: Intake) -> None:
    dataset = _dataset(intake)
    imports = list(dataset.imports.select_related("dataset__project__workspace").order_by("pk"))
    if len(imports) != 1 + (intake.validation_file_id is not None):
        raise IntakeFailedError(
            "The dataset that was made of the file has been changed; upload the file again."
        )
    taken = [_import_step(record, intake, validation=index == 1) for index, record in enumerate(imports)]
    if all(taken):
        _freeze_step(intake, dataset)


def _dataset(intake: Intake) -> Dataset:
    if intake.dataset_id is not None:
        dataset = Dataset.objects.select_related("project__workspace").filter(pk=intake.dataset_id).first()
        if dataset is None:
            raise IntakeFailedError(
                "The dataset that was made of the file was deleted; upload the file again."
            )
        return dataset
    if intake.version is not None:
        raise IntakeFailedError("The dataset that was made of the file is gone; upload the file again.")
    dataset = dataset_create(
        project=intake.project,
        name=_dataset_name(intake),
        description="Made of files that a program uploaded.",
        actor=intake.created_by,
    )
    Intake.objects.filter(pk=intake.pk).update(dataset=dataset)
    intake.dataset = dataset
    files = [intake.training_file, *([intake.validation_file] if intake.validation_file else [])]
    for file, split in zip(files, (Split.TRAIN, Split.VALIDATION), strict=False):
        import_create(
            dataset=dataset,
            file_name=file.name if "." in file.name else f"{file.name}.jsonl",
            blob=file.blob,
            mapping=_mapping(file, split) if intake.validation_file else None,
            actor=intake.created_by,
        )
    return dataset


def _dataset_name(intake: Intake) -> str:
    """Told apart by ids: two files may have one name."""
    files = [intake.training_file, *([intake.validation_file] if intake.validation_file else [])]
    room = NAME_CHARACTERS // len(files)
    return " + ".join(f"{file.name[:room]} ({file.public_id.removeprefix('file-')[:6]})" for file in files)


def _mapping(file: File, split: Split) -> RowMapping:
    """As the file was understood when it was uploaded, with all its rows going to one split."""
    alone = Import.objects.filter(
        dataset__in=file.intakes.filter(validation_file=None).values("dataset")
    ).first()
    known = RowMapping.from_json(alone.mapping) if alone is not None and alone.mapping else RowMapping()
    return replace(known, split="", into=split.value)


def _import_step(record: Import, intake: Intake, *, validation: bool) -> bool:
    """Whether its rows are in the dataset."""
    if record.state == ImportState.UNMAPPED:
        import_map(import_record=record, mapping=_plain_mapping(record, validation), actor=intake.created_by)
        return False
    if record.state in UNDER_WAY:
        return False
    if record.state == ImportState.CHECKED:
        _refuse_problems(record, validation)
        import_commit_request(import_record=record, keep_duplicates=True, actor=intake.created_by)
        return False
    if record.state == ImportState.COMMITTED:
        return True
    reason = record.error or first_problem(record) or "It was discarded on the pages."
    raise IntakeFailedError(reason, validation=validation)


def _plain_mapping(record: Import, validation: bool) -> RowMapping:
    mapping = RowMapping.from_json(record.mapping) if record.mapping else RowMapping()
    if mapping.preset not in TAKEN:
        raise IntakeFailedError(
            'Expected a JSONL file in which every line is an object {"messages": […]} in chat format, or a preference'
            ' pair {"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}.',
            validation=validation,
        )
    return replace(mapping, split="")


def _refuse_problems(record: Import, validation: bool) -> None:
    if record.error:
        raise IntakeFailedError(record.error, validation=validation)
    if record.problem_count:
        more = f" ({record.problem_count} lines can't be used)" if record.problem_count > 1 else ""
        raise IntakeFailedError(f"{first_problem(record)}{more}", validation=validation)
    if not record.row_count:
        raise IntakeFailedError("The file holds no examples.", validation=validation)


def first_problem(record: Import) -> str:
    problem = ImportProblem.objects.filter(import_record=record).order_by("line", "pk").first()
    if problem is None:
        return ""
    place = f"Line {problem.line}: " if problem.line else ""
    return f"{place}{problem.message}"


def _freeze_step(intake: Intake, dataset: Dataset) -> None:
    version = intake.version
    if version is None:
        version = version_freeze_request(
            dataset=dataset,
            seed=SEED,
            validation_share=0,
            test_share=0,
            keeps_splits=intake.validation_file_id is not None,
            note="All rows of the uploaded files.",
            actor=intake.created_by,
        )
        Intake.objects.filter(pk=intake.pk).update(version=version)
    elif version.state == VersionState.FROZEN:
        transition(intake, IntakeState.READY)
    elif version.state == VersionState.FAILED:
        raise IntakeFailedError(version.error or "The version could not be frozen.")
