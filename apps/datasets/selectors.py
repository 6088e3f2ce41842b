"""Reads about datasets, scoped to a project. Lists never load payloads; large reads come in pages by key."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.db.models import (
    BigIntegerField,
    CharField,
    Count,
    F,
    Func,
    Max,
    Prefetch,
    Q,
    QuerySet,
    Value,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Left

from apps.core.pagination import KeysetPage, keyset_page
from apps.datasets.chat_lines import chat_line, made_payload
from apps.datasets.exports import ExportRow
from apps.datasets.groups import GroupPath, group_paths
from apps.datasets.manifest import ManifestRow
from apps.datasets.models import (
    Change,
    ChangeAction,
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
from apps.datasets.row_filters import RowFilter, number_of
from apps.datasets.row_finding import find_ids
from apps.projects.models import Project

PAGE = 50
ROWS_A_READ = 1000
EXCERPT = 400
ROWS_LOOKED_AT_FOR_GROUPS = 500


# --- Datasets, imports, versions ----------------------------------------------------------------------------


def datasets_of(project: Project) -> QuerySet[Dataset]:
    """Those in the trash are left out."""
    return Dataset.objects.filter(project=project)


def deleted_datasets_of(project: Project) -> QuerySet[Dataset]:
    """The trash, the latest first."""
    deleted = Dataset.with_deleted.filter(project=project, deleted_at__isnull=False)
    return deleted.select_related("project__workspace", "deleted_by").order_by("-deleted_at")


def datasets_with_versions(project: Project) -> QuerySet[Dataset]:
    """For the index: every dataset with its versions, newest first, in two queries."""
    versions = Version.objects.defer("statistics").order_by("-number")
    return datasets_of(project).prefetch_related(Prefetch("versions", queryset=versions))


def versions_of(project: Project) -> QuerySet[Version]:
    """Of every state, of datasets that are not in the trash."""
    return Version.objects.filter(dataset__project=project, dataset__deleted_at=None).select_related(
        "dataset__project__workspace"
    )


def next_version_number(dataset: Dataset) -> int:
    """The number that the next version gets, as far as one can see now."""
    last: int | None = dataset.versions.aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def frozen_versions_of(project: Project) -> QuerySet[Version]:
    """What can be trained and evaluated on, newest first, without statistics."""
    frozen = versions_of(project).filter(state=VersionState.FROZEN)
    return frozen.defer("statistics").order_by("-frozen_at")


def imports_of(project: Project) -> QuerySet[Import]:
    """Of every state, into datasets that are not in the trash."""
    return Import.objects.filter(dataset__project=project, dataset__deleted_at=None).select_related(
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
    """What did not pass in one import; `code` of the parameters narrows it."""
    problems = ImportProblem.objects.filter(import_record=import_record)
    code = parameters.get("code")
    if code:
        problems = problems.filter(code=code)
    return keyset_page(problems, parameters, size=PAGE)


# --- Rows of a dataset --------------------------------------------------------------------------------------


def examples_of(project: Project) -> QuerySet[Example]:
    """Every form of every row, removed ones too."""
    return Example.objects.filter(dataset__project=project, dataset__deleted_at=None)


def head_of(dataset: Dataset) -> QuerySet[Example]:
    """What stands in the dataset now, from which the next version is frozen."""
    return Example.objects.filter(dataset=dataset, removed_at=None)


def forms_of(key: int) -> QuerySet[Example]:
    """Every form of one row, the first one first."""
    return Example.objects.filter(Q(pk=key) | Q(row=key)).order_by("pk")


def standing_form(example: Example) -> Example | None:
    """The form of the row that stands in the dataset now; None when the row is removed."""
    return forms_of(example.key).filter(removed_at=None).first()


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
    dataset: Dataset, parameters: Mapping[str, Any], wanted: RowFilter | None = None
) -> KeysetPage[Example]:
    """A page of rows, in the order in which they came, of those that fit the filter of the URL."""
    wanted = wanted or RowFilter.of(parameters)
    examples = Example.objects.filter(dataset=dataset)
    if wanted.is_active:
        after, before = number_of(parameters.get("after")), number_of(parameters.get("before"))
        ids = find_ids(
            dataset, wanted, after=None if before is not None else after, before=before, limit=PAGE + 1
        )
        examples = examples.filter(pk__in=ids)
    else:
        examples = examples.filter(removed_at=None)
    rows = _with_excerpts(examples).defer("raw", "payload", "text", "words")
    return keyset_page(rows, parameters, key="key", size=PAGE)


@dataclass(frozen=True)
class Neighbours:
    previous: int | None
    next: int | None


def neighbours_of(example: Example, wanted: RowFilter, version: Version | None = None) -> Neighbours:
    """The rows before and after it in the list that the person came from."""
    place: int | None = example.key
    if version is not None:
        rows = VersionRow.objects.filter(version=version, example=example)
        place = rows.values_list("position", flat=True).first()
    if place is None:
        return Neighbours(None, None)

    def one(**bound: int) -> int | None:
        found = find_ids(example.dataset, wanted, version=version, limit=1, **bound)
        return found[0] if found else None

    return Neighbours(previous=one(before=place), next=one(after=place))


def version_rows_with(example: Example) -> list[VersionRow]:
    """Where any form of the row stands in versions, the newest first."""
    return list(
        VersionRow.objects.filter(example__in=forms_of(example.key))
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


def sources_of(dataset: Dataset) -> QuerySet[Import]:
    """Files whose rows are or were in the dataset, those of merged datasets too; the newest hundred."""
    merged = Change.objects.filter(dataset=dataset, action=ChangeAction.MERGE)
    others = merged.annotate(other=Cast(KeyTextTransform("other", "parameters"), BigIntegerField())).values(
        "other"
    )
    return (
        Import.objects.filter(Q(dataset=dataset) | Q(dataset__in=others), state=ImportState.COMMITTED)
        .only("file_name", "committed_at")
        .order_by("-pk")[:100]
    )


def tested_rows_of(dataset: Dataset) -> QuerySet[VersionRow, tuple[int, str]]:
    """Key and content of every row that a frozen version of the dataset tested on."""
    rows = VersionRow.objects.filter(
        version__dataset=dataset, version__state=VersionState.FROZEN, split=Split.TEST
    )
    return rows.order_by().values_list("example__key", "example__content_hash")


def common_answers_of(dataset: Dataset) -> list[str]:
    """The most frequent answers of the newest frozen version, to choose from; none while each differs."""
    statistics = (
        Version.objects.filter(dataset=dataset, state=VersionState.FROZEN)
        .order_by("-number")
        .values_list("statistics__answers__answers", flat=True)
        .first()
    )
    return [each["answer"] for each in statistics or () if each["rows"] > 1]


def group_paths_of(dataset: Dataset) -> list[GroupPath]:
    """Places in the data that could name groups, judged by the first few hundred rows."""
    without_messages = Func(
        F("payload"), template="(%(expressions)s - 'messages')::text", output_field=CharField()
    )
    rows = (
        head_of(dataset)
        .order_by("key")
        .annotate(rest=without_messages)
        .values_list("rest", flat=True)[:ROWS_LOOKED_AT_FOR_GROUPS]
    )
    return group_paths(msgspec.json.decode(row) for row in rows)


# --- Rows of a version --------------------------------------------------------------------------------------


def version_rows_page(
    version: Version, wanted: RowFilter, parameters: Mapping[str, Any]
) -> KeysetPage[VersionRow]:
    """Rows of a frozen version that fit the filter, in the order of the version, with the beginning of their texts."""
    rows = VersionRow.objects.filter(version=version)
    if replace(wanted, split="").is_active:
        after, before = number_of(parameters.get("after")), number_of(parameters.get("before"))
        ids = find_ids(
            version.dataset,
            wanted,
            version=version,
            after=None if before is not None else after,
            before=before,
            limit=PAGE + 1,
        )
        rows = rows.filter(example_id__in=ids)
    elif wanted.split:
        rows = rows.filter(split=wanted.split)
    return keyset_page(_with_excerpts(rows, "example__"), parameters, key="position", size=PAGE)  # type: ignore[arg-type]


def _version_pages(
    version: Version, split: str | None, *fields: str, longest: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """Values of a version's rows in order, a page by key at a time: constant memory, no transaction held open."""
    rows = VersionRow.objects.filter(version=version).order_by("position")
    if "made" in fields:
        rows = rows.annotate(made=made_payload("example__"))
    if split is not None:
        rows = rows.filter(split=Split(split))
    if longest is not None:
        rows = rows.filter(token_count__lte=longest)
    last = 0
    while True:
        page = list(rows.filter(position__gt=last).values_list("position", *fields)[:ROWS_A_READ])
        yield from page
        if len(page) < ROWS_A_READ:
            return
        last = page[-1][0]


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


def version_export_rows(
    version: Version, split: str | None = None, *, longest: int | None = None
) -> Iterator[ExportRow]:
    """The rows to be written in another form, in order; of one split or of all, and of at most `longest` tokens."""
    fields = ("split", "example__raw", "made")
    for position, row_split, raw, made in _version_pages(version, split, *fields, longest=longest):
        yield ExportRow(position, row_split, chat_line(raw, made))


def version_manifest_rows(version: Version) -> Iterator[ManifestRow]:
    """The manifest's rows made anew from what is stored: their hash must be the version's."""
    fields = ("example__content_hash", "example__raw", "made", "split")
    for position, content_hash, raw, made, split in _version_pages(version, None, *fields):
        yield ManifestRow(position, content_hash, hashlib.sha256(chat_line(raw, made)).hexdigest(), split)


def origin_of(version: Version) -> list[dict[str, Any]]:
    """The files that a version's rows came with, each with its rows; those made by hand have none."""
    files = version.statistics.get("origin", {}).get("files", [])
    records = imports_of(version.dataset.project).in_bulk(
        [each["import"] for each in files if each["import"]]
    )
    return [each | {"record": records.get(each["import"])} for each in files]


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
