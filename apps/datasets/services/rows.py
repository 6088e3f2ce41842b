"""One row of what stands in a dataset: edited, added, removed, brought back, tagged. Each leaves a record."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.datasets.chat_rows import ChatRow, check_row
from apps.datasets.models import Change, ChangeAction, ChangeRow, ChangeState, Dataset, Example
from apps.datasets.problems import RowProblem
from apps.datasets.row_filters import TAG_CHARACTERS
from apps.datasets.selectors import forms_of, standing_form

TAGS_A_ROW = 30


class RowProblemsError(PortalError):
    """The row would not pass the checks of an import. `problems` says why, one by one."""

    status = 422
    code = "row_problems"

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = list(problems)


class StaleRowError(ConflictError):
    """Somebody else edited or removed the row first. `current`: the form that stands now, None if it is removed."""

    code = "stale_row"

    def __init__(self, current: Example | None) -> None:
        happened = "was removed" if current is None else "was edited"
        super().__init__(
            f"The row {happened} while you had it open, so nothing was saved. Look at what stands there now."
        )
        self.current = current


def checked_row(raw: bytes) -> ChatRow:
    """The row of a line, or `RowProblemsError`."""
    found = check_row(raw)
    if not isinstance(found, ChatRow):
        raise RowProblemsError(found)
    return found


def next_form(old: Example, raw: bytes, row: ChatRow, actor: User | None) -> Example:
    """A form that replaces `old`, not stored yet."""
    return Example(
        dataset_id=old.dataset_id,
        source_id=old.source_id,
        line=old.line,
        row=old.key,
        replaces_id=old.pk,
        split=old.split,
        tags=old.tags,
        raw=raw,
        payload=row.payload,
        content_hash=row.content_hash,
        text=row.text,
        created_by=actor,
    )


def row_edit(*, example: Example, raw: bytes, actor: User) -> Example:
    """Put another form in the place of this one; the form that stands then is returned.

    Raises `RowProblemsError` for a row that would not pass an import, `StaleRowError` when the form is no longer the
    one that stands.
    """
    row = checked_row(raw)
    with transaction.atomic():
        locked = _standing(example)
        if locked.chat_line == raw:
            return locked
        Example.objects.filter(pk=locked.pk).update(removed_at=timezone.now())
        form = next_form(locked, raw, row, actor)
        form.save(force_insert=True)
        _record(locked.dataset, ChangeAction.EDIT, actor, before=locked, after=form)
    return form


def row_add(*, dataset: Dataset, raw: bytes, actor: User) -> Example:
    """A row made by hand, at the end."""
    row = checked_row(raw)
    with transaction.atomic():
        example = Example.objects.create(
            dataset=dataset,
            raw=raw,
            payload=row.payload,
            content_hash=row.content_hash,
            text=row.text,
            created_by=actor,
        )
        _count(dataset, 1)
        _record(dataset, ChangeAction.ADD, actor, after=example)
    return example


def row_remove(*, example: Example, actor: User, reason: str = "") -> None:
    """Take the row out of what the next version is frozen from. Versions that hold it keep it."""
    with transaction.atomic():
        locked = _standing(example)
        Example.objects.filter(pk=locked.pk).update(removed_at=timezone.now())
        _count(locked.dataset, -1)
        _record(locked.dataset, ChangeAction.REMOVE, actor, before=locked, reason=reason)


def row_bring_back(*, example: Example, actor: User) -> Example:
    """Let this form of the row stand again: after a removal itself, in the place of a later form as a copy."""
    with transaction.atomic():
        forms = {form.pk: form for form in forms_of(example.key).select_for_update(of=("self",))}
        wanted = forms[example.pk]
        current = next((form for form in forms.values() if form.removed_at is None), None)
        if current is not None and current.pk == wanted.pk:
            raise ConflictError("This form of the row stands in the dataset already. Reload the page.")
        if current is not None:
            return row_edit(example=current, raw=wanted.chat_line, actor=actor)
        Example.objects.filter(pk=wanted.pk).update(removed_at=None)
        _count(wanted.dataset, 1)
        _record(wanted.dataset, ChangeAction.BRING_BACK, actor, after=wanted)
    return wanted


def row_tag(*, example: Example, tags: Sequence[str], actor: User) -> None:
    """Give the row these tags and no others."""
    wanted = sorted({tag_name(tag) for tag in tags if tag.strip()})
    if len(wanted) > TAGS_A_ROW:
        raise PortalError(f"A row takes at most {TAGS_A_ROW} tags; these are {len(wanted)}.")
    with transaction.atomic():
        locked = _standing(example)
        if sorted(locked.tags) == wanted:
            return
        before = sorted(locked.tags)
        Example.objects.filter(pk=locked.pk).update(tags=wanted)
        tag_names_add(locked.dataset, wanted)
        _record(locked.dataset, ChangeAction.TAG, actor, before=locked, after=locked, old=before, new=wanted)


def tag_name(text: str) -> str:
    """A tag as it is stored. Commas separate tags, so none is in a tag."""
    name = " ".join(text.replace("\x00", "").replace(",", " ").split())
    if not name or len(name) > TAG_CHARACTERS:
        raise PortalError(f"A tag has between 1 and {TAG_CHARACTERS} characters.", code="bad_tag")
    return name


def tag_names_add(dataset: Dataset, tags: Sequence[str]) -> None:
    """Remember the names for the filter; those that no row has any more are still offered."""
    known = Dataset.with_deleted.values_list("tag_names", flat=True).get(pk=dataset.pk)
    if set(tags) - set(known):
        Dataset.with_deleted.filter(pk=dataset.pk).update(tag_names=sorted({*known, *tags}))


def _standing(example: Example) -> Example:
    """The form, locked, if it is the one that stands."""
    locked = (
        Example.objects.select_for_update(of=("self",))
        .select_related("dataset__project__workspace")
        .get(pk=example.pk)
    )
    if locked.removed_at is not None:
        raise StaleRowError(standing_form(locked))
    return locked


def _count(dataset: Dataset, more: int) -> None:
    Dataset.objects.filter(pk=dataset.pk).update(
        example_count=F("example_count") + more, updated_at=timezone.now()
    )


def _record(
    dataset: Dataset,
    action: ChangeAction,
    actor: User,
    *,
    before: Example | None = None,
    after: Example | None = None,
    reason: str = "",
    **more: Any,
) -> None:
    change = Change.objects.create(
        dataset=dataset,
        action=action,
        state=ChangeState.DONE,
        row_count=1,
        parameters=({"reason": reason} if reason else {}) | more,
        created_by=actor,
    )
    ChangeRow.objects.create(change=change, before=before, after=after)
    target = after or before
    record(
        workspace=dataset.project.workspace,
        actor=actor,
        action=f"row.{_PAST[action]}",
        target=target,
        data={"dataset": dataset.pk, "change": change.pk} | change.parameters,
    )


_PAST = {
    ChangeAction.EDIT: "edited",
    ChangeAction.ADD: "added",
    ChangeAction.REMOVE: "removed",
    ChangeAction.BRING_BACK: "brought_back",
    ChangeAction.TAG: "tagged",
}
