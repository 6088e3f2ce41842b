"""The steps of an import that a person takes: upload, check again, commit, discard."""

from collections.abc import Iterable

from django.db import transaction

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_store
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.core.states import transition
from apps.datasets.formats import FileError
from apps.datasets.import_files import reading_of, suggestion_for
from apps.datasets.mapping import RowMapping
from apps.datasets.models import Dataset, Import, ImportProblem, ImportRow, ImportState
from apps.datasets.services.datasets import dataset_purge
from apps.operations.services import operation_start

FETCH_KIND = "datasets.fetch_import"
CHECK_KIND = "datasets.check_import"
COMMIT_KIND = "datasets.commit_import"
NAME_CHARACTERS = 200
MAPPABLE = (ImportState.UNMAPPED, ImportState.CHECKED, ImportState.FAILED)


def import_upload(
    *, dataset: Dataset, file_name: str, content: Iterable[bytes], actor: User | None
) -> Import:
    """Store an uploaded file as a stream and look at it."""
    blob = blob_store(content=content, content_type="application/octet-stream")
    return import_create(dataset=dataset, file_name=file_name, blob=blob, actor=actor)


def import_create(
    *,
    dataset: Dataset,
    file_name: str,
    blob: Blob,
    mapping: RowMapping | None = None,
    actor: User | None,
) -> Import:
    """An import of a stored file: its check is queued where it is plain what its rows mean, as with chat rows or a
    given mapping; else a person is asked to confirm."""
    with transaction.atomic():
        record_ = Import.objects.create(
            dataset=dataset, file_name=short_name(file_name), blob=blob, created_by=actor
        )
        record(
            workspace=dataset.project.workspace,
            actor=actor,
            action="import.uploaded",
            target=record_,
            data={"dataset": dataset.pk, "sha256": blob.sha256, "bytes": blob.size},
        )
        import_look(import_record=record_, mapping=mapping, actor=actor)
    return record_


def import_look(*, import_record: Import, mapping: RowMapping | None = None, actor: User | None) -> None:
    """Recognise a file that has come in, and either queue its check or ask what its rows mean."""
    try:
        reading = reading_of(import_record)
    except FileError:
        _start_check(import_record, actor)  # the check says the same, where people look for it
        return
    import_record.reading = reading.as_json()
    import_record.has_byte_order_mark = reading.has_byte_order_mark
    is_sure = mapping is not None
    if mapping is None:
        suggestion = suggestion_for(import_record)
        mapping, is_sure = suggestion.mapping, suggestion.is_sure
    import_record.mapping = mapping.as_json()
    import_record.save(update_fields=["reading", "mapping", "has_byte_order_mark"])
    if is_sure:
        _start_check(import_record, actor)
    else:
        transition(import_record, ImportState.UNMAPPED)


def import_map(*, import_record: Import, mapping: RowMapping, actor: User | None) -> None:
    """Check the file by this mapping, from its first row; what an earlier check staged and found is forgotten."""
    if import_record.state not in MAPPABLE or not import_record.reading:
        raise ConflictError(
            f"{import_record.file_name} can't be read in another way now: it is"
            f" “{import_record.get_state_display().lower()}”. Reload the page."
        )
    with transaction.atomic():
        transition(
            import_record,
            ImportState.CHECKING,
            mapping=mapping.as_json(),
            error="",
            **dict.fromkeys(("checked_bytes", "line_count", "empty_line_count", "row_count"), 0),
            **dict.fromkeys(("problem_count", "repeated_in_file", "already_in_dataset"), 0),
            problem_counts={},
            duplicate_sample=[],
        )
        staged_rows_delete(import_record)
        problems = ImportProblem.objects.filter(import_record=import_record)
        problems._raw_delete(problems.db)
        record(
            workspace=import_record.dataset.project.workspace,
            actor=actor,
            action="import.mapped",
            target=import_record,
            data={"preset": mapping.preset},
        )
        _start_check(import_record, actor)


def import_check_again(*, import_record: Import, actor: User) -> None:
    """Queue the check of a file whose check failed or was cancelled; it goes on where it stopped. A file that could not
    be fetched is fetched again."""
    if import_record.state != ImportState.FAILED:
        raise ConflictError(f"{import_record.file_name} needs no other check. Reload the page.")
    with transaction.atomic():
        if import_record.blob_id is None:
            transition(import_record, ImportState.FETCHING, error="")
            start_fetch(import_record, actor)
            return
        transition(import_record, ImportState.CHECKING, error="")
        _start_check(import_record, actor)


def import_commit_request(*, import_record: Import, keep_duplicates: bool, actor: User | None) -> None:
    """Queue the commit of a checked file. Duplicates are decided when the rows go in, under a lock."""
    if import_record.state != ImportState.CHECKED:
        raise ConflictError(
            f"{import_record.file_name} can't be committed now: it is"
            f" “{import_record.get_state_display().lower()}”. Reload the page."
        )
    if not import_record.row_count:
        raise ConflictError("No row of the file passed, so there is nothing to commit.")
    if not keep_duplicates and not import_record.new_count:
        raise ConflictError(
            "Every row of the file is in the dataset already, so there is nothing to add. Discard the import, or"
            " keep duplicates."
        )
    dataset = import_record.dataset
    with transaction.atomic():
        transition(import_record, ImportState.COMMITTING, keep_duplicates=keep_duplicates, error="")
        operation_start(
            workspace=dataset.project.workspace,
            kind=COMMIT_KIND,
            subject=import_record,
            title=f"Add {import_record.file_name} to {dataset.name}",
            actor=actor,
            url=import_record.get_absolute_url(),
        )


def import_discard(*, import_record: Import, actor: User) -> None:
    """Give up an import: its staged rows go, its report stays. A dataset that was made for it alone goes, too."""
    if import_record.state not in (ImportState.UNMAPPED, ImportState.CHECKED, ImportState.FAILED):
        raise ConflictError(
            f"{import_record.file_name} can't be discarded now: it is"
            f" “{import_record.get_state_display().lower()}”. Cancel the running work first."
        )
    with transaction.atomic():
        transition(import_record, ImportState.DISCARDED)
        staged_rows_delete(import_record)
        record(
            workspace=import_record.dataset.project.workspace,
            actor=actor,
            action="import.discarded",
            target=import_record,
            data={"rows": import_record.row_count, "problems": import_record.problem_count},
        )
        dataset = import_record.dataset
        alone = not dataset.imports.exclude(pk=import_record.pk).exists()
        if alone and not dataset.example_count and not dataset.versions.exists():
            dataset_purge(dataset=dataset, actor=actor)


def staged_rows_delete(import_record: Import) -> None:
    """What was read but never committed is let go of."""
    rows = ImportRow.objects.filter(import_record=import_record)
    rows._raw_delete(rows.db)  # no other table refers to staged rows


def start_fetch(import_record: Import, actor: User | None) -> None:
    """Queue the download of an address that was given."""
    operation_start(
        workspace=import_record.dataset.project.workspace,
        kind=FETCH_KIND,
        subject=import_record,
        title=f"Fetch {import_record.file_name}",
        actor=actor,
        url=import_record.get_absolute_url(),
    )


def _start_check(import_record: Import, actor: User | None) -> None:
    operation_start(
        workspace=import_record.dataset.project.workspace,
        kind=CHECK_KIND,
        subject=import_record,
        title=f"Check {import_record.file_name}",
        actor=actor,
        url=import_record.get_absolute_url(),
    )


def short_name(file_name: str) -> str:
    """The name without folders and control characters, short enough to store, its ending kept."""
    plain = "".join(c for c in file_name.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable()).strip()
    plain = plain or "upload.jsonl"
    if len(plain) <= NAME_CHARACTERS:
        return plain
    stem, dot, ending = plain.rpartition(".")
    ending = f"{dot}{ending}"[-20:]
    return f"{(stem or plain)[: NAME_CHARACTERS - len(ending) - 1]}…{ending}"
