"""A pilot decides whether the next session may open: by the lower bound of agreement, not by its middle."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import GateState, Item, ItemStage, Session
from apps.labeling.selectors.agreement import QuestionReport, agreement_of

DEFAULT_GATE = 0.667
"""The lowest alpha from which Krippendorff draws even tentative conclusions (2004, p. 241)."""


def pilots_decide() -> int:
    """Every pilot whose labels are all in and whose gate is waiting; how many were decided."""
    waiting = Session.objects.filter(is_pilot=True, gate_state=GateState.WAITING, opened_at__isnull=False)
    decided = 0
    for session in waiting.select_related("project__workspace"):
        if not Item.objects.filter(session=session, stage=ItemStage.LABELING).exists():
            pilot_decide(session=session, by=None)
            decided += 1
    return decided


def pilot_decide(*, session: Session, by: User | None) -> Session:
    """Open or close the gate by the agreement as it is now. May be asked again after more labels."""
    if not session.is_pilot:
        raise ConflictError("Only a pilot has a gate.")
    minimum = session.gate_minimum if session.gate_minimum is not None else DEFAULT_GATE
    results = {
        report.question.key: _result(report, minimum)
        for report in agreement_of(session, fresh=True).questions
    }
    measured = [result for result in results.values() if result["is_measured"]]
    passed = bool(measured) and all(result["passed"] for result in measured)
    with transaction.atomic():
        Session.objects.filter(pk=session.pk).update(
            gate_state=GateState.OPEN if passed else GateState.CLOSED,
            gate_result={"minimum": minimum, "questions": results},
            gate_decided_at=timezone.now(),
        )
        _record(session, by, "labeling.gate_decided", passed=passed, minimum=minimum)
    session.refresh_from_db()
    return session


def pilot_overrule(*, session: Session, by: User, opens: bool, reason: str) -> None:
    """A lead decides against the figure, or where there is none; the reason stays in the record."""
    reason = reason.strip().replace("\x00", "")[:2000]
    if not reason:
        raise PortalError("Say why the gate is decided by hand: it stays in the record.")
    if not session.is_pilot:
        raise ConflictError("Only a pilot has a gate.")
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=session.pk)
        result = locked.gate_result | {"overruled": {"by": by.pk, "reason": reason, "opens": opens}}
        Session.objects.filter(pk=session.pk).update(
            gate_state=GateState.OPEN if opens else GateState.CLOSED,
            gate_result=result,
            gate_decided_at=timezone.now(),
        )
        _record(session, by, "labeling.gate_overruled", opens=opens, reason=reason)
    session.refresh_from_db()


def _result(report: QuestionReport, minimum: float) -> dict[str, Any]:
    """Of one question. Those without an alpha (texts, spans) and optional ones are shown, and decide nothing."""
    headline = report.agreement.headline
    figure, interval = headline.figure, headline.figure.interval
    return {
        "coefficient": headline.name,
        "value": figure.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "n": figure.items,
        "reason": figure.reason or figure.interval_reason,
        "is_measured": not headline.is_share and report.question.required,
        "passed": interval is not None and interval.low >= minimum,
    }


def _record(session: Session, by: User | None, action: str, **data: Any) -> None:
    record(workspace=session.project.workspace, actor=by, action=action, target=session, data=data)
