"""Taking files in: dataset, import, commit, version, one step at a time through the services that the pages use.

Nothing here waits. A step is taken whenever somebody asks about the file or the job, and every few seconds by the
clock; the background work itself is that of the datasets.
"""

from dataclasses import replace

from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import PortalError
from apps.core.states import transition
from apps.datasets.mapping import RowMapping
from apps.datasets.models import Dataset, Import, Split, VersionState
from apps.datasets.services import FileToTake, TakingInError, files_take_in, taking_in_step
from apps.gateway.models import File, Intake, IntakeState
from apps.projects.models import Project

NAME_CHARACTERS = 60


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
                error_in_validation=isinstance(error, TakingInError) and error.number == 1,
            )


def _step(intake: Intake) -> None:
    version = taking_in_step(
        dataset=_dataset(intake),
        version=intake.version,
        file_count=len(_files(intake)),
        keeps_splits=intake.validation_file_id is not None,
        refuses_bad_rows=True,
        note="All rows of the uploaded files.",
        by=intake.created_by,
    )
    if version is not None and intake.version is None:
        Intake.objects.filter(pk=intake.pk).update(version=version)
    elif version is not None and version.state == VersionState.FROZEN:
        transition(intake, IntakeState.READY)


def _files(intake: Intake) -> list[File]:
    return [intake.training_file, *([intake.validation_file] if intake.validation_file else [])]


def _dataset(intake: Intake) -> Dataset:
    if intake.dataset_id is not None:
        dataset = Dataset.objects.select_related("project__workspace").filter(pk=intake.dataset_id).first()
        if dataset is None:
            raise TakingInError("The dataset that was made of the file was deleted; upload the file again.")
        return dataset
    if intake.version is not None:
        raise TakingInError("The dataset that was made of the file is gone; upload the file again.")
    splits = (Split.TRAIN, Split.VALIDATION)
    dataset = files_take_in(
        project=intake.project,
        name=_dataset_name(intake),
        description="Made of files that a program uploaded.",
        files=[
            FileToTake(
                name=file.name if "." in file.name else f"{file.name}.jsonl",
                blob=file.blob,
                mapping=_mapping(file, split) if intake.validation_file else None,
            )
            for file, split in zip(_files(intake), splits, strict=False)
        ],
        by=intake.created_by,
    )
    Intake.objects.filter(pk=intake.pk).update(dataset=dataset)
    intake.dataset = dataset
    return dataset


def _dataset_name(intake: Intake) -> str:
    """Told apart by ids: two files may have one name."""
    files = _files(intake)
    room = NAME_CHARACTERS // len(files)
    return " + ".join(f"{file.name[:room]} ({file.public_id.removeprefix('file-')[:6]})" for file in files)


def _mapping(file: File, split: Split) -> RowMapping:
    """As the file was understood when it was uploaded, with all its rows going to one split."""
    alone = Import.objects.filter(
        dataset__in=file.intakes.filter(validation_file=None).values("dataset")
    ).first()
    known = RowMapping.from_json(alone.mapping) if alone is not None and alone.mapping else RowMapping()
    return replace(known, split="", into=split.value)
