"""What people do with checks: ask for them, and decide about what they found."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.formatting import format_number
from apps.datasets.checks.personal.redaction import Replacement, mask, placeholder_with, redacted_payload
from apps.datasets.checks.results import (
    ACCEPT,
    DROP_REPEATS,
    DROP_ROWS,
    DROP_TRAIN,
    MASK,
    PLACEHOLDER,
    REFUSE,
    TRUNCATE,
)
from apps.datasets.models import (
    CheckReport,
    CheckState,
    Dataset,
    Example,
    Finding,
    FindingRow,
    Version,
    VersionState,
)
from apps.datasets.selectors_checks import blocking_findings, latest_report, refused_row_count
from apps.datasets.services.bulk_edits import Report, clean_rows, silent
from apps.operations.services import operation_start

CHECK_KIND = "datasets.run_checks"
DROPS = (DROP_ROWS, DROP_REPEATS, DROP_TRAIN)
KEEPING = (ACCEPT, TRUNCATE)
"""Decisions that change no row."""
LOOKED_UP = 5000


def checks_request(*, dataset: Dataset, version: Version | None = None, actor: User | None) -> CheckReport:
    """Queue all checks of what stands in the dataset, or of a frozen version. A stopped report is taken up again."""
    if version is not None and version.state != VersionState.FROZEN:
        raise ConflictError(f"{version} is not frozen yet. It can be checked once it is.")
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        if not locked.example_count and version is None:
            raise ConflictError("The dataset has no rows yet. Import a file first.")
        report = latest_report(dataset, version)
        if report is not None and report.state == CheckState.CHECKING:
            raise ConflictError("The checks are under way already. Wait for them, or cancel them first.")
        if report is None or report.state == CheckState.DONE:
            report = CheckReport.objects.create(dataset=dataset, version=version, created_by=actor)
        operation_start(
            workspace=dataset.project.workspace,
            kind=CHECK_KIND,
            subject=report,
            title=f"Check {version or dataset}",
            actor=actor,
            url=report.get_absolute_url(),
        )
    return report


def refuse_undecided_leakage(dataset: Dataset) -> None:
    """Raise `ConflictError` when the newest report knows of leakage that nobody has decided about."""
    blocking = blocking_findings(dataset)
    if blocking:
        titles = "; ".join(finding.title for finding in blocking[:3])
        raise ConflictError(
            f"The checks of “{dataset.name}” found leakage that nobody has decided about: {titles}."
            " Open its checks, and drop these rows or accept them with a reason; then freeze. If you have mended the"
            " rows already, run the checks again.",
            code="undecided_leakage",
        )


def refuse_refused_rows(dataset: Dataset) -> None:
    """Raise `ConflictError` while rows stand that somebody refused for their length."""
    count = refused_row_count(dataset)
    if count:
        rows = "1 row is" if count == 1 else f"{format_number(count)} rows are"
        raise ConflictError(
            f"{rows} longer than the model reads, and it was decided to refuse such rows. Shorten or drop them, or"
            " open the finding in the checks and let training cut them.",
            code="refused_rows",
        )


def refuse_decision(*, finding: Finding, action: str, reason: str) -> None:
    """Raise where `action` can't be done about the finding, whatever its rows are."""
    if action not in finding.actions:
        raise PortalError("This can't be done about this finding. Reload the page.", code="unknown_action")
    if action == ACCEPT and not reason.strip():
        raise PortalError(
            "Say why these may stay: whoever reads the report later will ask.", code="no_reason"
        )
    if action != ACCEPT and finding.report.version_id is not None:
        raise ConflictError(
            "A version never changes. Clean up what stands in the dataset, and freeze another version from it."
        )


def finding_decide(
    *,
    finding: Finding,
    action: str,
    reason: str = "",
    items: Sequence[int] | None = None,
    actor: User,
    report: Report = silent,
) -> int:
    """Do `action` on the open items of a finding, or on some of them, and record who decided it and why.

    Returns how many rows changed; `report` is told as it goes on. Rows are only ever taken out of what stands in the
    dataset, or replaced there by new forms: versions keep theirs.
    """
    refuse_decision(finding=finding, action=action, reason=reason)
    reason = reason.strip()[:300]
    checked = finding.report
    with transaction.atomic():
        dataset = Dataset.objects.select_for_update().get(pk=checked.dataset_id)
        current = Finding.objects.select_for_update().get(pk=finding.pk)
        rows = FindingRow.objects.filter(finding=current, decided="")
        if items is not None:
            rows = rows.filter(item__in=list(items))
        decided = rows.values("item").distinct().count()
        if not decided:
            raise ConflictError("These were decided in the meantime. Reload the page to see how.")
        if action == REFUSE:  # they stay open: somebody must still shorten, drop or cut them
            _remember(dataset, current, action=action, reason=reason, items=items, actor=actor)
            _record(checked, current, action=action, reason=reason, items=decided, rows=0, actor=actor)
            return 0
        changed = 0
        if action not in KEEPING:
            changed = _Cleaning(dataset, current, action, reason, actor).run(rows, report)
        _remember(dataset, current, action=action, reason=reason, items=items, actor=actor)
        rows.update(decided=action)
        Finding.objects.filter(pk=current.pk).update(open_count=F("open_count") - decided)
        _count_open(checked)
        _record(checked, current, action=action, reason=reason, items=decided, rows=changed, actor=actor)
    return changed


def _record(
    report: CheckReport, finding: Finding, *, action: str, reason: str, items: int, rows: int, actor: User
) -> None:
    record(
        workspace=report.dataset.project.workspace,
        actor=actor,
        action="finding.decided",
        target=report.dataset,
        data={
            "finding": finding.title,
            "code": finding.code,
            "decision": action,
            "reason": reason,
            "items": items,
            "rows": rows,
            "version": report.version.number if report.version else None,
        },
    )


def _remember(
    dataset: Dataset, finding: Finding, *, action: str, reason: str, items: Sequence[int] | None, actor: User
) -> None:
    statement = """
        INSERT INTO datasets_decision (dataset_id, key, code, title, action, rule, reason, actor_id, created_at)
        SELECT DISTINCT %s::bigint, key, %s, %s, %s, %s, %s, %s::bigint, now() FROM datasets_findingrow
        WHERE finding_id = %s AND decided = '' AND (%s::int[] IS NULL OR item = ANY(%s::int[]))
    """
    chosen = None if items is None else list(items)
    values: list[Any] = [
        dataset.pk,
        finding.code,
        finding.title,
        ACCEPT if action == TRUNCATE else action,  # what is accepted is not asked again
        TRUNCATE if action == TRUNCATE else "",
        reason,
        actor.pk,
        finding.pk,
        chosen,
        chosen,
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _count_open(report: CheckReport) -> None:
    counts: Counter[str] = Counter(
        Finding.objects.filter(report=report, open_count__gt=0).values_list("severity", flat=True)
    )
    CheckReport.objects.filter(pk=report.pk).update(
        problem_count=counts["problem"],
        attention_count=counts["attention"],
        info_count=counts["info"],
        updated_at=timezone.now(),
    )


@dataclass(frozen=True)
class _Cleaning:
    """A decision that changes rows."""

    dataset: Dataset
    finding: Finding
    action: str
    reason: str
    actor: User

    def run(self, rows: Any, report: Report) -> int:
        """How many of the rows changed."""
        edit = None
        if self.action not in DROPS:
            key = _placeholder_key(self.dataset)
            replace = mask if self.action == MASK else placeholder_with(key)
            edit = partial(_redacted_row, kind=self.finding.code, replace=replace)
        parameters = {"rows": self.finding.title, "finding": self.finding.code}
        return clean_rows(
            dataset=self.dataset,
            ids=_standing(self.dataset, rows, self.action),
            edit=edit,
            parameters=parameters | ({"reason": self.reason} if self.reason else {}),
            actor=self.actor,
            report=report,
        )


def _standing(dataset: Dataset, rows: Any, action: str) -> list[int]:
    """What stands in the dataset now of the rows to change: the same rows, in the form that they have by now.

    Where the row that a set would keep is gone by another decision, the first that still stands is kept.
    """
    listed = list(
        rows.filter(example__isnull=False).values_list("item", "keep", "example_id", "example__row")
    )
    keys = {example: row or example for _, _, example, row in listed}
    current = _current_forms(dataset, sorted(set(keys.values())))
    kept = {item for item, keep, example, _ in listed if keep and keys[example] in current}
    chosen: set[int] = set()
    spared: set[int] = set()
    for item, keep, example, _ in sorted(listed, key=lambda each: (each[0], each[2])):
        form = current.get(keys[example])
        if keep or form is None:
            continue
        if action == DROP_REPEATS and item not in kept:
            kept.add(item)
            spared.add(form)
            continue
        chosen.add(form)
    return sorted(chosen - spared)


def _current_forms(dataset: Dataset, keys: Sequence[int]) -> dict[int, int]:
    """Row key -> the form that stands in the dataset."""
    found: dict[int, int] = {}
    for start in range(0, len(keys), LOOKED_UP):
        part = keys[start : start + LOOKED_UP]
        forms = Example.objects.filter(
            Q(pk__in=part, row=None) | Q(row__in=part), dataset=dataset, removed_at=None
        )
        found |= {row or pk: pk for pk, row in forms.values_list("pk", "row")}
    return found


def _redacted_row(row: dict[str, Any], *, kind: str, replace: Replacement) -> dict[str, Any] | None:
    """The row without the personal data of one kind; None where it holds none by now."""
    cleaned: dict[str, Any] = redacted_payload(row, {kind}, replace)
    return None if cleaned == row else cleaned


def _placeholder_key(dataset: Dataset) -> bytes:
    """One for each dataset: a value has the same placeholder in all its rows, and another one elsewhere."""
    return hmac.new(
        settings.SECRET_KEY.encode(), f"datasets.placeholder.{dataset.pk}".encode(), hashlib.sha256
    ).digest()


ACTIONS: dict[str, tuple[str, Callable[[int], str]]] = {
    DROP_REPEATS: (
        "Drop the repeats",
        lambda n: f"{format_number(n)} repeated rows are dropped; one of each set stays.",
    ),
    DROP_ROWS: ("Drop the rows", lambda n: f"{format_number(n)} rows are dropped."),
    DROP_TRAIN: (
        "Drop on the training side",
        lambda n: f"{format_number(n)} rows are dropped on the training side.",
    ),
    MASK: ("Mask", lambda n: f"{format_number(n)} rows are masked."),
    PLACEHOLDER: ("Put placeholders", lambda n: f"{format_number(n)} rows have placeholders now."),
    TRUNCATE: ("Cut in training", lambda n: "Kept. Training on the next version cuts them at the end."),
    REFUSE: ("Refuse", lambda n: "Refused: nothing is frozen before these rows are shorter, cut or gone."),
    ACCEPT: ("Accept", lambda n: "Accepted. Later reports will not ask again."),
}
"""What the button says, and what is said afterwards with the number of rows."""
