"""Setting up a session, opening, pausing and closing it; who takes part."""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.accounts.permissions import Permission
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.datasets.models import Version, VersionState
from apps.labeling.models import (
    GateState,
    Guideline,
    ItemOrder,
    Participant,
    Question,
    Session,
    SessionState,
)
from apps.operations.services import operation_start
from apps.projects.models import Project

PREPARE_KIND = "labeling.prepare"
PILOT_ITEMS = 100
PILOT_GATE = 0.667
"""The lowest α at which Krippendorff still draws tentative conclusions; the lower bound must reach it."""


@dataclass(frozen=True, kw_only=True)
class SessionWish:
    """What a person sets up."""

    name: str
    version: Version
    row_filter: str = ""
    row_limit: int | None = None
    guideline: Guideline | None = None
    instructions: str = ""
    shows_answer: bool = True
    overlap: int = 1
    overlap_share: float = 1.0
    order: str = ItemOrder.RANDOM
    seed: int = 42
    lease_seconds: int = 600
    deadline: datetime | None = None
    everyone: bool = False
    is_pilot: bool = False
    gate_minimum: float | None = None
    pilot: Session | None = None
    reviews_every_label: bool = False
    audit_share: float = 0.05
    members: tuple[int, ...] = field(default=())
    """Ids of the users who take part."""


def session_create(*, project: Project, wish: SessionWish, actor: User) -> Session:
    """A draft with its participants. Raises `ConflictError` where the project has a session of the name."""
    try:
        with transaction.atomic():
            session = Session(project=project, created_by=actor)
            _fill(session, wish)
            session.save()
            participants_set(session=session, user_ids=wish.members, actor=actor)
            record(
                workspace=project.workspace,
                actor=actor,
                action="labeling_session.created",
                target=session,
                after=_summary(session),
            )
    except IntegrityError as error:
        raise ConflictError(f"This project has a session called “{wish.name}” already.") from error
    return session


def session_update(*, session: Session, wish: SessionWish, actor: User) -> None:
    """Change what is set up. Once a session was opened, its rows, overlap and order stay as they are."""
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=session.pk)
        locked.project = session.project
        before = _summary(locked)
        if locked.state == SessionState.DRAFT:
            _fill(locked, wish)
        elif locked.state == SessionState.PREPARING:
            raise ConflictError("The session is being prepared. Change it when that is done.")
        else:
            locked.name, locked.instructions = wish.name, wish.instructions
            locked.deadline, locked.everyone = wish.deadline, wish.everyone
            locked.lease_seconds = wish.lease_seconds
        try:
            with transaction.atomic():
                locked.save()
        except IntegrityError as error:
            raise ConflictError(f"This project has a session called “{wish.name}” already.") from error
        participants_set(session=locked, user_ids=wish.members, actor=actor)
        record(
            workspace=session.project.workspace,
            actor=actor,
            action="labeling_session.changed",
            target=locked,
            before=before,
            after=_summary(locked),
        )
    session.refresh_from_db()


def _fill(session: Session, wish: SessionWish) -> None:
    if wish.version.state != VersionState.FROZEN or wish.version.dataset.project_id != session.project_id:
        raise PortalError("Choose a frozen version of a dataset of this project.")
    if wish.pilot is not None and not (wish.pilot.is_pilot and wish.pilot.project_id == session.project_id):
        raise PortalError("Choose a pilot of this project.")
    for wished in fields(wish):
        if wished.name != "members":  # these are rows of their own
            setattr(session, wished.name, getattr(wish, wished.name))
    session.guideline_version = (
        wish.guideline.versions.order_by("-number").first() if wish.guideline is not None else None
    )
    session.gate_minimum = wish.gate_minimum if wish.is_pilot else None
    session.gate_state = GateState.WAITING if session.gate_minimum is not None else GateState.NONE


def _summary(session: Session) -> dict[str, Any]:
    names = ("name", "row_filter", "row_limit", "overlap", "overlap_share", "order", "lease_seconds", "is_pilot",
             "everyone", "shows_answer")  # fmt: skip
    summary: dict[str, Any] = {name: getattr(session, name) for name in names}
    return summary | {
        "version": str(session.version),
        "guideline": str(session.guideline_version) if session.guideline_version else "",
        "deadline": session.deadline.isoformat() if session.deadline else None,
    }


def participants_set(*, session: Session, user_ids: tuple[int, ...], actor: User) -> None:
    """Who takes part. Somebody who is taken out keeps what they did; what they hold goes back."""
    from apps.labeling.models import Seat, SeatState

    may_label = {
        member.user_id
        for member in Membership.objects.filter(workspace=session.project.workspace, user_id__in=user_ids)
        if member.allows(Permission.LABEL)
    }
    if may_label != set(user_ids):
        raise PortalError("Only members of the workspace whose role lets them label can take part.")
    known = {one.user_id: one for one in Participant.objects.filter(session=session)}
    Participant.objects.bulk_create(
        Participant(session=session, user_id=user_id, added_by=actor) for user_id in may_label - set(known)
    )
    added = may_label - {user_id for user_id, one in known.items() if one.is_active}
    Participant.objects.filter(session=session, user_id__in=may_label).update(is_active=True)
    gone = {user_id for user_id, one in known.items() if one.is_active} - may_label
    if gone and not session.everyone:
        Participant.objects.filter(session=session, user_id__in=gone).update(is_active=False)
        Seat.objects.filter(session=session, user_id__in=gone, state=SeatState.HELD).update(
            state=SeatState.OPEN, user=None, token=None, held_until=None, held_since=None
        )
    if added or gone:
        record(
            workspace=session.project.workspace,
            actor=actor,
            action="labeling_session.people_changed",
            target=session,
            data={"added": sorted(added), "taken_out": sorted(gone)},
        )


@dataclass(frozen=True, kw_only=True)
class QuestionWish:
    key: str
    kind: str
    title: str
    help: str = ""
    required: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def question_add(*, session: Session, wish: QuestionWish, actor: User) -> Question:
    """At the end of a draft's questions. Raises `ConflictError` where its name is taken or the session is no draft."""
    with transaction.atomic():
        _refuse_unless_draft(session)
        last = session.questions.aggregate(last=Max("position"))["last"] or 0
        try:
            with transaction.atomic():
                question = Question.objects.create(session=session, position=last + 1, **asdict(wish))
        except IntegrityError as error:
            raise ConflictError(f"The session has a question with the name “{wish.key}” already.") from error
        record(
            workspace=session.project.workspace,
            actor=actor,
            action="labeling_question.added",
            target=session,
            after=asdict(wish),
        )
    return question


def question_change(*, question: Question, wish: QuestionWish, actor: User) -> None:
    """Raises `ConflictError` where its name is taken or the session is no draft."""
    with transaction.atomic():
        _refuse_unless_draft(question.session)
        before = {name: getattr(question, name) for name in asdict(wish)}
        for name, value in asdict(wish).items():
            setattr(question, name, value)
        try:
            with transaction.atomic():
                question.save()
        except IntegrityError as error:
            raise ConflictError(f"The session has a question with the name “{wish.key}” already.") from error
        record(
            workspace=question.session.project.workspace,
            actor=actor,
            action="labeling_question.changed",
            target=question.session,
            before=before,
            after=asdict(wish),
        )


def question_remove(*, question: Question, actor: User) -> None:
    """Raises `ConflictError` where the session is no draft."""
    with transaction.atomic():
        _refuse_unless_draft(question.session)
        record(
            workspace=question.session.project.workspace,
            actor=actor,
            action="labeling_question.removed",
            target=question.session,
            before={"key": question.key, "title": question.title},
        )
        question.delete()


def question_move_up(*, question: Question, actor: User) -> None:
    """Change places with the question before."""
    with transaction.atomic():
        _refuse_unless_draft(question.session)
        before = (
            Question.objects.filter(session=question.session, position__lt=question.position)
            .order_by("-position")
            .first()
        )
        if before is None:
            return
        before.position, question.position = question.position, before.position
        Question.objects.bulk_update([before, question], ["position"])
        record(
            workspace=question.session.project.workspace,
            actor=actor,
            action="labeling_question.moved",
            target=question.session,
            after={"key": question.key, "position": question.position},
        )


def _refuse_unless_draft(session: Session) -> None:
    state = Session.objects.select_for_update().values_list("state", flat=True).get(pk=session.pk)
    if state != SessionState.DRAFT:
        raise ConflictError(
            "The session was opened already: its questions stay as they are, so that all its labels answer the same."
        )


def session_open(*, session: Session, actor: User) -> None:
    """Make the items in the background, then hand them out. A paused or closed session goes on at once."""
    with transaction.atomic():
        locked = Session.objects.select_for_update(of=("self",)).select_related("pilot").get(pk=session.pk)
        _refuse_closed_gate(locked)
        if locked.state == SessionState.DRAFT:
            if not locked.questions.exists():
                raise ConflictError("Ask at least one question before you open the session.")
            if not locked.everyone and not locked.participants.filter(is_active=True).exists():
                raise ConflictError(
                    "Nobody takes part yet. Choose people, or let everyone who may label take part."
                )
            transition(locked, SessionState.PREPARING, error="")
            operation_start(
                workspace=session.project.workspace,
                kind=PREPARE_KIND,
                subject=locked,
                title=f"Prepare {locked}",
                actor=actor,
                url=session.get_absolute_url(),
            )
        else:
            transition(locked, SessionState.OPEN, closed_at=None)
        _record_state(session, actor, locked.state)
    session.refresh_from_db()


def _refuse_closed_gate(session: Session) -> None:
    pilot = session.pilot
    if pilot is not None and pilot.gate_state != GateState.OPEN:
        raise ConflictError(
            f"This session waits for its pilot “{pilot}”, which has not passed: the lower bound of agreement must reach"
            f" {pilot.gate_minimum or PILOT_GATE}. Improve the guideline, hold another pilot on fresh items, and"
            " choose that one here."
        )


def session_pause(*, session: Session, actor: User) -> None:
    """Hand out nothing for now. What people hold may still be finished."""
    _move(session, SessionState.PAUSED, actor)


def session_close(*, session: Session, actor: User) -> None:
    """Nothing is handed out any more; labels that come in late are kept."""
    _move(session, SessionState.CLOSED, actor, closed_at=timezone.now())


def _move(session: Session, to: str, actor: User, **fields: Any) -> None:
    with transaction.atomic():
        transition(session, to, **fields)
        _record_state(session, actor, to)


def _record_state(session: Session, actor: User, state: str) -> None:
    record(
        workspace=session.project.workspace,
        actor=actor,
        action=f"labeling_session.{state}",
        target=session,
    )
