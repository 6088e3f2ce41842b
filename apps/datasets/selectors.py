"""Reads about datasets, scoped to a project. Lists never load payloads; large reads come in pages by key."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db.models import Case, CharField, Count, F, Func, Max, Prefetch, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Left

from apps.core.canonical import canonical_json
from apps.core.pagination import KeysetPage, keyset_page
from apps.datasets.exports import ExportRow
from apps.datasets.groups import GroupPath, group_paths
from apps.datasets.manifest import ManifestRow
from apps.datasets.models import (
    Dataset,
    Example,
    Import,
    ImportProblem,
    ImportState,
    SavedMapping,
    Split,
    Upload,
    Version,
    VersionRow,
    VersionState,
)
from apps.datasets.search import find_ids, text_query
from apps.projects.models import Project

PAGE = 50
ROWS_A_READ = 1000
EXCERPT = 400
ROWS_LOOKED_AT_FOR_GROUPS = 500


# --- Datasets, imports, versions ----------------------------------------------------------------------------


def datasets_of(project: Project) -> QuerySet[Dataset]:
    return Dataset.objects.filter(project=project)


def datasets_with_versions(project: Project) -> QuerySet[Dataset]:
    """For the index: every dataset with its versions, newest first, in two queries."""
    versions = Version.objects.defer("statistics").order_by("-number")
    return datasets_of(project).prefetch_related(Prefetch("versions", queryset=versions))


def versions_of(project: Project) -> QuerySet[Version]:
    return Version.objects.filter(dataset__project=project).select_related("dataset__project__workspace")


def next_version_number(dataset: Dataset) -> int:
    """The number that the next version gets, as far as one can see now."""
    last: int | None = dataset.versions.aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def frozen_versions_of(project: Project) -> QuerySet[Version]:
    """What can be trained and evaluated on, newest first, without statistics."""
    frozen = versions_of(project).filter(state=VersionState.FROZEN)
    return frozen.defer("statistics").order_by("-frozen_at")


def imports_of(project: Project) -> QuerySet[Import]:
    return Import.objects.filter(dataset__project=project).select_related(
        "dataset__project__workspace", "blob", "created_by"
    )


def open_imports_of(project: Project) -> QuerySet[Import]:
    """Imports that somebody must still decide about."""
    return imports_of(project).filter(state__in=Import.OPEN).order_by("-pk")


def uploads_of(project: Project) -> QuerySet[Upload]:
    """Files that are coming in, by whomever."""
    return Upload.objects.filter(project=project).select_related("blob")


def saved_mappings_of(project: Project) -> QuerySet[SavedMapping]:
    return SavedMapping.objects.filter(project=project)


def earlier_imports_of_file(import_record: Import) -> list[Import]:
    """Imports of the very same bytes that came before, in any dataset of the project."""
    if import_record.blob_id is None:
        return []
    return list(
        imports_of(import_record.dataset.project)
        .filter(blob_id=import_record.blob_id, pk__lt=import_record.pk)
        .exclude(state=ImportState.DISCARDED)
        .order_by("-pk")[:5]
    )


def problems_page(import_record: Import, parameters: Mapping[str, Any]) -> KeysetPage[ImportProblem]:
    problems = ImportProblem.objects.filter(import_record=import_record)
    code = parameters.get("code")
    if code:
        problems = problems.filter(code=code)
    return keyset_page(problems, parameters, size=PAGE)


# --- Rows of a dataset --------------------------------------------------------------------------------------


def examples_of(project: Project) -> QuerySet[Example]:
    """Every form of every row, removed ones too."""
    return Example.objects.filter(dataset__project=project)


def head_of(dataset: Dataset) -> QuerySet[Example]:
    """What stands in the dataset now, from which the next version is frozen."""
    return Example.objects.filter(dataset=dataset, removed_at=None)


def _with_excerpts(examples: QuerySet[Example], prefix: str = "") -> QuerySet[Any]:
    """Annotated with `asked` and `answered`, cut by the database: a row may be a megabyte long."""

    def content(path: str) -> Left:
        found = Func(
            F(f"{prefix}payload"),
            Value(path),
            function="jsonb_path_query_first",
            template="%(function)s(%(expressions)s::jsonpath)",
            output_field=CharField(),
        )
        text = Func(found, template="(%(expressions)s #>> '{{}}')", output_field=CharField())
        return Left(text, EXCERPT)

    return examples.annotate(
        asked=content('$.messages[*] ? (@.role == "user").content'),
        answered=content("$.messages[last].content"),
    )


def examples_page(
    dataset: Dataset, parameters: Mapping[str, Any], *, source_id: int | None = None
) -> KeysetPage[Example]:
    """A page of rows in the order in which they came, of those that hold the words of `q` if there are any."""
    examples = head_of(dataset)
    if source_id is not None:
        examples = examples.filter(source_id=source_id)
    query = text_query(str(parameters.get("q") or ""))
    if query:
        after, before = _key(parameters, "after"), _key(parameters, "before")
        ids = find_ids(
            dataset,
            query,
            source_id=source_id,
            after=None if before is not None else after,
            before=before,
            limit=PAGE + 1,
        )
        examples = examples.filter(pk__in=ids)
    rows = _with_excerpts(examples).defer("raw", "payload", "text", "words")
    return keyset_page(rows, parameters, size=PAGE)


def _key(parameters: Mapping[str, Any], name: str) -> int | None:
    text = str(parameters.get(name) or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True)
class Neighbours:
    previous: int | None
    next: int | None


def neighbours_of(example: Example, *, words: str = "", source_id: int | None = None) -> Neighbours:
    """The rows before and after it in the list that the person came from."""
    query = text_query(words)

    def one(**bound: int) -> int | None:
        if query:
            found = find_ids(example.dataset, query, source_id=source_id, limit=1, **bound)
        else:
            rows = head_of(example.dataset)
            if source_id is not None:
                rows = rows.filter(source_id=source_id)
            rows = (
                rows.filter(pk__gt=bound["after"]).order_by("pk")
                if "after" in bound
                else rows.filter(pk__lt=bound["before"]).order_by("-pk")
            )
            found = list(rows.values_list("pk", flat=True)[:1])
        return found[0] if found else None

    return Neighbours(previous=one(before=example.pk), next=one(after=example.pk))


def version_rows_with(example: Example) -> list[VersionRow]:
    """Where the row stands in versions, the newest first."""
    return list(
        VersionRow.objects.filter(example=example)
        .select_related("version__dataset__project__workspace")
        .defer("version__statistics")
        .order_by("-version__number")[:20]
    )


def same_content_ids(example: Example) -> list[int]:
    """Other rows of the dataset with the same messages; at most ten."""
    return list(
        head_of(example.dataset)
        .filter(content_hash=example.content_hash)
        .exclude(pk=example.pk)
        .order_by("pk")
        .values_list("pk", flat=True)[:10]
    )


def given_splits_of(dataset: Dataset) -> dict[str, int]:
    """How many rows were given each split by their source; those without one are left out."""
    counts = dict(
        head_of(dataset).exclude(split="").values_list("split").annotate(rows=Count("pk")).order_by()
    )
    return {split: counts[split] for split in Split.values if split in counts}


def group_paths_of(dataset: Dataset) -> list[GroupPath]:
    """Places in the data that could name groups, judged by the first few hundred rows."""
    without_messages = Func(
        F("payload"), template="(%(expressions)s - 'messages')::text", output_field=CharField()
    )
    rows = (
        head_of(dataset)
        .order_by("pk")
        .annotate(rest=without_messages)
        .values_list("rest", flat=True)[:ROWS_LOOKED_AT_FOR_GROUPS]
    )
    return group_paths(msgspec.json.decode(row) for row in rows)


# --- Rows of a version --------------------------------------------------------------------------------------


def version_rows_page(
    version: Version, split: str | None, parameters: Mapping[str, Any]
) -> KeysetPage[VersionRow]:
    rows = VersionRow.objects.filter(version=version)
    if split:
        rows = rows.filter(split=split)
    return keyset_page(_with_excerpts(rows, "example__"), parameters, key="position", size=PAGE)  # type: ignore[arg-type]


def _version_pages(version: Version, split: str | None, *fields: str) -> Iterator[tuple[Any, ...]]:
    """Values of a version's rows in order, a page by key at a time: constant memory, no transaction held open."""
    rows = VersionRow.objects.filter(version=version).order_by("position")
    if "made" in fields:
        rows = rows.annotate(made=made_payload("example__"))
    if split is not None:
        rows = rows.filter(split=Split(split))
    last = 0
    while True:
        page = list(rows.filter(position__gt=last).values_list("position", *fields)[:ROWS_A_READ])
        yield from page
        if len(page) < ROWS_A_READ:
            return
        last = page[-1][0]


def chat_line(raw: bytes | memoryview, made: str | None) -> bytes:
    """The row as a line of chat: as it was received, or where that was no chat the canonical JSON of its payload.

    `made` is the payload's text, None where `raw` is the line.
    """
    return bytes(raw) if made is None else canonical_json(json.loads(made))


def made_payload(prefix: str = "") -> Case:
    """Beside `raw` in a query: the payload's text where `raw` is no line of chat, else nothing."""
    text = Cast(F(f"{prefix}payload"), TextField())
    return Case(When(**{f"{prefix}raw_is_chat": False}, then=text), default=None, output_field=TextField())


def version_rows_jsonl(version: Version, split: str | None = None) -> Iterator[bytes]:
    """The rows as lines of chat, each ended by LF; what was received as chat byte for byte. Of one split or of all."""
    for _, raw, made in _version_pages(version, split, "example__raw", "made"):
        yield chat_line(raw, made) + b"\n"


@dataclass(frozen=True, slots=True)
class VersionRowPayload:
    """One row of a version for those who train or evaluate on it."""

    position: int
    example_id: int
    content_hash: str
    group: str
    payload: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.payload["messages"]  # type: ignore[no-any-return]


def version_row_payloads(version: Version, split: str | None = None) -> Iterator[VersionRowPayload]:
    """The rows decoded from their lines of chat, in order; of one split or of all."""
    fields = ("example_id", "example__content_hash", "group", "example__raw", "made")
    for position, example_id, content_hash, group, raw, made in _version_pages(version, split, *fields):
        payload = msgspec.json.decode(raw if made is None else made)
        yield VersionRowPayload(position, example_id, content_hash, group, payload)


def version_export_rows(version: Version, split: str | None = None) -> Iterator[ExportRow]:
    """The rows to be written in another form, in order; of one split or of all."""
    for position, row_split, raw, made in _version_pages(version, split, "split", "example__raw", "made"):
        line = chat_line(raw, made)
        yield ExportRow(position, row_split, line, msgspec.json.decode(line))


def version_manifest_rows(version: Version) -> Iterator[ManifestRow]:
    """The manifest's rows made anew from what is stored: their hash must be the version's."""
    fields = ("example__content_hash", "example__raw", "made", "split")
    for position, content_hash, raw, made, split in _version_pages(version, None, *fields):
        yield ManifestRow(position, content_hash, hashlib.sha256(chat_line(raw, made)).hexdigest(), split)


def identical_versions(version: Version) -> list[Version]:
    """Other frozen versions of the dataset with the same rows in the same splits."""
    if not version.manifest_hash:
        return []
    return list(
        Version.objects.filter(dataset_id=version.dataset_id, manifest_hash=version.manifest_hash)
        .exclude(pk=version.pk)
        .defer("statistics")
        .order_by("number")[:5]
    )
