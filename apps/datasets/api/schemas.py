"""What the API says about data, and what it takes."""

from datetime import datetime
from typing import Any

from django.db.models import Model
from ninja import Field, Schema

from apps.operations.selectors import latest_operation_for


class Work(Schema):
    """Background work: how far it is."""

    state: str
    done: int
    total: int | None
    unit: str
    message: str
    error: str


def work_of(subject: Model) -> Work | None:
    operation = latest_operation_for(subject)
    if operation is None:
        return None
    return Work(
        state=operation.state,
        done=operation.done,
        total=operation.total,
        unit=operation.unit,
        message=operation.message,
        error=operation.error,
    )


class DatasetOut(Schema):
    id: int
    name: str
    description: str
    licence: str
    example_count: int
    created_at: datetime


class DatasetIn(Schema):
    name: str = Field(min_length=1, max_length=80)
    description: str = Field("", max_length=2000)
    licence: str = Field("", max_length=100)


class UploadIn(Schema):
    file_name: str = Field(min_length=1, max_length=255)
    size: int = Field(ge=1, lt=2**63, description="Bytes of the whole file.")
    modified: str = Field(
        "",
        max_length=40,
        description="When the file was changed, in any form: tells two files of one name apart.",
    )


class UploadOut(Schema):
    """A file on its way."""

    id: int
    file_name: str
    size: int
    received: int
    piece_bytes: int
    is_whole: bool


class UploadIntoIn(Schema):
    dataset: int | None = Field(None, description="Into this dataset; without it a new one is made.")
    name: str = Field("", max_length=80, description="Name of the new dataset; empty: the file's name.")


class RowIn(Schema):
    row: dict[str, Any] = Field(description="A row in chat format: messages, and what else it carries.")


class RowOut(Schema):
    """One form of a row. An edit makes a new form with its own `id`; `key` stays."""

    id: int
    key: int
    dataset: int
    row: dict[str, Any]
    split: str
    tags: list[str]
    stands: bool


class RowsOut(Schema):
    rows: list[RowOut]
    next: int | None


class FetchIn(Schema):
    url: str = Field(max_length=2000, description="An https address, or a path in the import directory.")
    dataset: int | None = Field(None, description="Into this dataset; without it a new one is made.")
    name: str = Field("", max_length=80, description="Name of the new dataset; empty: the file's name.")


class MappingIn(Schema):
    """Either the name of a saved mapping, or a preset with its columns."""

    saved: str = ""
    preset: str = ""
    fields: dict[str, str] = Field(default_factory=dict, description="Part of the preset -> column.")
    system: str = ""
    prompt: str = Field("", description="Of the preset “template”: text with {{column}}.")
    answer: str = ""
    split: str = Field("", description="The column that names the split.")
    save_as: str = Field("", max_length=80, description="Keep the mapping by this name.")


class CommitIn(Schema):
    keep_duplicates: bool = False


class ImportOut(Schema):
    id: int
    dataset: int
    state: str = Field(
        description="fetching, received, unmapped (choose a mapping), checking, checked (commit or discard),"
        " committing, committed, discarded, failed"
    )
    file_name: str
    bytes: int | None
    sha256: str | None
    mapping: dict[str, Any]
    columns: list[str]
    row_count: int
    problem_count: int
    problem_counts: dict[str, int]
    repeated_in_file: int
    already_in_dataset: int
    added_count: int | None
    error: str
    work: Work | None


class ProblemOut(Schema):
    line: int
    byte_offset: int | None
    path: str
    code: str
    message: str
    excerpt: str


class ProblemsOut(Schema):
    problems: list[ProblemOut]
    after: int | None = Field(description="Send it as `after` for the next page; null: this is the last.")


class FreezeIn(Schema):
    train_percent: int = Field(80, ge=1, le=100)
    validation_percent: int = Field(10, ge=0, le=99)
    test_percent: int = Field(10, ge=0, le=99)
    seed: int = Field(42, ge=0, lt=2**63)
    group_path: str = Field("", max_length=100)
    keeps_splits: bool = False
    note: str = Field("", max_length=300)


class VersionOut(Schema):
    id: int
    dataset: int
    number: int
    state: str
    note: str
    seed: int
    manifest_hash: str
    row_count: int
    train_count: int
    validation_count: int
    test_count: int
    error: str
    work: Work | None
    checks: dict[str, Any] | None = Field(
        None, description="What the newest finished report says of each check; null: not checked."
    )


class ExportOut(Schema):
    kind: str
    label: str
    rows: int
    left_out: int
    dropped: dict[str, int]


class DifferenceOut(Schema):
    before: int
    after: int | None
    summary: dict[str, Any]


class FindingOut(Schema):
    id: int
    check: str
    code: str
    severity: str
    title: str
    detail: str
    actions: list[str]
    blocks: bool
    item_count: int
    open_count: int
    row_count: int


class ReportOut(Schema):
    id: int
    dataset: int
    version: int | None
    state: str
    row_count: int
    checks: list[dict[str, Any]]
    open_problems: int
    open_to_look_at: int
    is_current: bool
    findings: list[FindingOut]
    error: str
    work: Work | None


class DecisionIn(Schema):
    action: str = Field(description="One of the finding's actions.")
    reason: str = Field("", max_length=300)
    items: list[int] | None = Field(None, max_length=5000, description="Null: all that are open.")


class DecisionOut(Schema):
    rows_changed: int
