"""Freezing suites: from the test split of a dataset version, from a file, or the one that ships."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_read, blob_store_file
from apps.audit.services import record
from apps.core.canonical import canonical_hash
from apps.core.errors import PortalError
from apps.datasets.models import Split, Version, VersionState
from apps.datasets.selectors import version_row_payloads
from apps.evaluations.items_file import ItemDraft, read_items, split_answer, tools_of
from apps.evaluations.models import Suite, SuiteItem, SuiteKind
from apps.projects.models import Project
from apps.scoring.answers import Form, FreeText, form_from_dict, form_to_dict, parse_answer
from apps.scoring.proposal import propose_form

GENERAL_SUITE_NAME = "General skills (ships with ftportal)"
ANSWERS_LOOKED_AT = 20_000
"""Training answers read, besides the test answers, to propose how answers are read."""


class SuiteError(PortalError):
    """The rows or the file cannot become a suite."""


def suite_from_version(
    *, project: Project, version: Version, split: str = Split.TEST, by: User | None, name: str = ""
) -> Suite:
    """The suite of a frozen version's split, made once: the same rows in the same form are the same suite."""
    if version.dataset.project_id != project.pk:
        raise SuiteError("This dataset version belongs to another project.")
    if version.state != VersionState.FROZEN:
        raise SuiteError(f"{version} is not frozen yet. Wait until it is, then evaluate on it.")
    items: list[ItemDraft] = []
    unusable: list[str] = []
    for row in version_row_payloads(version, split):
        try:
            messages, expected = split_answer(row.payload["messages"])
            tools = tools_of(row.payload)
        except ValueError as error:
            unusable.append(str(error))
            continue
        items.append(
            ItemDraft(
                messages=messages,
                expected=expected,
                tools=tools,
                group=row.group,
                example_id=row.example_id,
                content_hash=row.content_hash,
            )
        )
    if unusable:
        raise SuiteError(
            f"{len(unusable)} of the {split} rows can't be asked and compared: of the first,"
            f" {unusable[0]} Freeze a version without them."
        )
    if not items:
        raise SuiteError(
            f"{version} has no rows in its {split} split. Freeze a version with a {split} share above zero."
        )
    return _freeze(
        project=project,
        name=name or f"{version}, {Split(split).label.lower()} split",
        kind=SuiteKind.TASK,
        items=items,
        form=_form_for(project, items, version),
        by=by,
        version=version,
        split=split,
    )


def suite_from_file(
    *,
    project: Project,
    name: str,
    kind: str = SuiteKind.GENERAL,
    blob: Blob,
    by: User | None,
) -> Suite:
    """A suite from an uploaded JSON-lines file. Raises `ItemsFileError` naming every bad line."""
    items = read_items(_lines(blob_read(blob)))
    form = _form_for(project, items) if kind == SuiteKind.TASK else propose_form(_expected(items)).form
    return _freeze(project=project, name=name, kind=kind, items=items, form=form, by=by, source=blob)


def general_suite_add(*, project: Project, by: User | None) -> Suite:
    """The general-skills suite that ships with ftportal."""
    path = general_suite_path()
    if not path.is_file():
        raise SuiteError(
            "This installation does not hold the shipped general-skills items. Upload a file of your own instead."
        )
    blob = blob_store_file(path=path, content_type="application/jsonl")
    return suite_from_file(project=project, name=GENERAL_SUITE_NAME, blob=blob, by=by)


def general_suite_path() -> Path:
    """The items of general skill that ship with the product."""
    return Path(settings.FTPORTAL_DEMO) / "general_skills" / "general_skills.jsonl"


def _form_for(project: Project, items: Sequence[ItemDraft], version: Version | None = None) -> Form:
    """What the project declares, else what its answers look like; training answers may know more labels."""
    if project.answer_form:
        return form_from_dict(project.answer_form)
    answers = _expected(items)
    if version is not None:
        for row in islice(version_row_payloads(version, Split.TRAIN), ANSWERS_LOOKED_AT):
            try:
                answers.append(split_answer(row.payload["messages"])[1])
            except (KeyError, ValueError):
                continue
    return propose_form(answers).form


def _expected(items: Iterable[ItemDraft]) -> list[str]:
    return [item.expected for item in items]


def _freeze(
    *,
    project: Project,
    name: str,
    kind: str,
    items: Sequence[ItemDraft],
    form: Form,
    by: User | None,
    version: Version | None = None,
    split: str = "",
    source: Blob | None = None,
) -> Suite:
    stored_form = form_to_dict(form)
    identity = canonical_hash(
        {
            "kind": kind,
            "answer_form": stored_form,
            "items": [_identity(item) for item in items],
        }
    )
    existing = Suite.objects.filter(project=project, hash=identity).first()
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            suite = Suite.objects.create(
                project=project,
                name=name[:120],
                kind=kind,
                version=version,
                split=split,
                source=source,
                answer_form=stored_form,
                item_count=len(items),
                hash=identity,
                created_by=by,
            )
            SuiteItem.objects.bulk_create(
                (_row(suite, position, item, form) for position, item in enumerate(items, start=1)),
                batch_size=1000,
            )
            record(
                workspace=project.workspace,
                actor=by,
                action="suite.frozen",
                target=suite,
                data={"hash": identity, "items": len(items), "kind": kind},
            )
    except IntegrityError:  # somebody else froze the same items in the meantime
        return Suite.objects.get(project=project, hash=identity)
    return suite


def _identity(item: ItemDraft) -> list[Any]:
    """Tools are named where there are any, so that other suites keep the hash that they have always had."""
    said = [item.messages, item.expected, item.group, item.skill]
    return [*said, item.tools] if item.tools else said


def _row(suite: Suite, position: int, item: ItemDraft, form: Form) -> SuiteItem:
    answer = {"role": "assistant", "content": item.expected}
    expected = parse_answer(form, item.expected)
    return SuiteItem(
        suite=suite,
        position=position,
        messages=item.messages,
        tools=item.tools,
        expected=item.expected,
        group=item.group,
        skill=item.skill,
        example_id=item.example_id,
        content_hash=item.content_hash or canonical_hash([*item.messages, answer]),
        expected_fields=dict(expected.fields) if expected.fields and stored_as_fields(form) else None,
    )


def stored_as_fields(form: Form) -> bool:
    """Whether answers in this form have named values worth comparing one by one."""
    return not isinstance(form, FreeText)


def _lines(chunks: Iterable[bytes]) -> Iterable[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
