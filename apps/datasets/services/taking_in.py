"""Taking files in without a person at hand: from stored files to a frozen version of exactly their rows.

Nothing here waits. A step is taken whenever somebody asks, or by the clock; the background work itself
is that of imports and versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.errors import PortalError
from apps.datasets.formats import FileError
from apps.datasets.import_files import reading_of, suggestion_for
from apps.datasets.mapping import CHAT, COMPLETION, OPENAI_PREFERENCE, PREFERENCE, RowMapping
from apps.datasets.models import Dataset, Import, ImportProblem, ImportState, Version, VersionState
from apps.datasets.services.datasets import dataset_create
from apps.datasets.services.imports import import_commit_request, import_create, import_map
from apps.datasets.services.versions import version_freeze_request
from apps.projects.models import Project

SEED = 42
TAKEN = (CHAT, COMPLETION, PREFERENCE, OPENAI_PREFERENCE)
UNDER_WAY = (ImportState.FETCHING, ImportState.RECEIVED, ImportState.CHECKING, ImportState.COMMITTING)


class TakingInError(PortalError):
    """A file can't be trained on. `number` tells which: 0 the first, 1 the second."""

    code = "invalid_file"

    def __init__(self, message: str, *, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True, kw_only=True)
class FileToTake:
    """A stored file. Without a mapping it is understood as it looks, and its rows get no split of their own."""

    name: str
    blob: Blob
    mapping: RowMapping | None = None


def mapping_into(*, name: str, blob: Blob, split: str) -> RowMapping:
    """How the file looks, with all its rows going to one split."""
    draft = Import(file_name=name, blob=blob)
    try:
        draft.reading = reading_of(draft).as_json()
        known = suggestion_for(draft).mapping
    except FileError:
        known = RowMapping()  # the import says what is wrong with the file
    return replace(known, split="", into=split)


def files_take_in(
    *, project: Project, name: str, description: str, files: Sequence[FileToTake], by: User | None
) -> Dataset:
    """A new dataset with an import of each file. Raises `ConflictError` when the name is taken in the project."""
    dataset = dataset_create(project=project, name=name, description=description, actor=by)
    for file in files:
        import_create(dataset=dataset, file_name=file.name, blob=file.blob, mapping=file.mapping, actor=by)
    return dataset


def taking_in_step(
    *,
    dataset: Dataset,
    version: Version | None,
    file_count: int,
    keeps_splits: bool,
    refuses_bad_rows: bool,
    note: str,
    by: User | None,
) -> Version | None:
    """Take the next step that can be taken now; the version, once it was asked for, which is frozen at the last step.

    Rows that don't pass are reported at their import. With `refuses_bad_rows` a single one is one too many. Raises
    `TakingInError` for what can't be trained on, and what the services of imports and versions raise.
    """
    imports = list(dataset.imports.select_related("dataset__project__workspace").order_by("pk"))
    if len(imports) != file_count:
        raise TakingInError("The dataset that was made of the file has been changed; upload the file again.")
    taken = [
        _import_step(record, number=number, refuses_bad_rows=refuses_bad_rows, by=by)
        for number, record in enumerate(imports)
    ]
    if not all(taken):
        return version
    if version is None:
        return version_freeze_request(
            dataset=dataset,
            seed=SEED,
            validation_share=0,
            test_share=0,
            keeps_splits=keeps_splits,
            note=note,
            actor=by,
        )
    if version.state == VersionState.FAILED:
        raise TakingInError(version.error or "The version could not be frozen.")
    return version


def _import_step(record: Import, *, number: int, refuses_bad_rows: bool, by: User | None) -> bool:
    """Whether its rows are in the dataset."""
    if record.state == ImportState.UNMAPPED:
        import_map(import_record=record, mapping=_plain_mapping(record, number), actor=by)
        return False
    if record.state in UNDER_WAY:
        return False
    if record.state == ImportState.CHECKED:
        _refuse_problems(record, number, refuses_bad_rows)
        import_commit_request(import_record=record, keep_duplicates=True, actor=by)
        return False
    if record.state == ImportState.COMMITTED:
        return True
    reason = record.error or first_problem(record) or "It was discarded on the pages."
    raise TakingInError(reason, number=number)


def _plain_mapping(record: Import, number: int) -> RowMapping:
    mapping = RowMapping.from_json(record.mapping) if record.mapping else RowMapping()
    if mapping.preset not in TAKEN:
        raise TakingInError(
            'Expected a JSONL file in which every line is an object {"messages": […]} in chat format, or a preference'
            ' pair {"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}.',
            number=number,
        )
    return replace(mapping, split="")


def _refuse_problems(record: Import, number: int, refuses_bad_rows: bool) -> None:
    if record.error:
        raise TakingInError(record.error, number=number)
    if record.problem_count and (refuses_bad_rows or not record.row_count):
        more = f" ({record.problem_count} lines can't be used)" if record.problem_count > 1 else ""
        raise TakingInError(f"{first_problem(record)}{more}", number=number)
    if not record.row_count:
        raise TakingInError("The file holds no examples.", number=number)


def first_problem(record: Import) -> str:
    """What is wrong with its first bad line; empty where nothing is."""
    problem = ImportProblem.objects.filter(import_record=record).order_by("line", "pk").first()
    if problem is None:
        return ""
    place = f"Line {problem.line}: " if problem.line else ""
    return f"{place}{problem.message}"
