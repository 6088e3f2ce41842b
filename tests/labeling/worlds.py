"""A session over a small frozen version, open and ready to be labeled."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.accounts.permissions import Role
from apps.core.canonical import canonical_hash
from apps.core.states import transition
from apps.datasets.models import Dataset, Example, Version, VersionRow, VersionState
from apps.labeling.leases import Lease
from apps.labeling.models import Item, QuestionKind, Session
from apps.labeling.services.claiming import seats_claim
from apps.labeling.services.sessions import (
    QuestionWish,
    SessionWish,
    question_add,
    session_create,
    session_open,
)
from apps.labeling.services.submitting import Kept, Submit, label_submit
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.projects.models import Project

LABELS = [{"value": "refund"}, {"value": "delivery"}, {"value": "other"}]


def chat(asked: str, answer: str = "I am sorry to hear that.", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def frozen(project: Project, rows: Sequence[dict[str, Any]], name: str = "Tickets") -> Version:
    """A frozen version with these rows, all of them for training."""
    dataset = Dataset.objects.create(project=project, name=name, example_count=len(rows))
    version = Version.objects.create(
        dataset=dataset, number=1, manifest_hash="ab" * 32, row_count=len(rows), frozen_at=timezone.now()
    )
    examples = Example.objects.bulk_create(
        Example(
            dataset=dataset,
            raw=json.dumps(row).encode(),
            payload=row,
            content_hash=canonical_hash(row["messages"]),
            text=row["messages"][0]["content"],
        )
        for row in rows
    )
    VersionRow.objects.bulk_create(
        VersionRow(version=version, example=example, position=position, split="train")
        for position, example in enumerate(examples, 1)
    )
    transition(version, VersionState.FROZEN)
    return version


def make_session(  # noqa: PLR0913 - everything has a default
    project: Project,
    lead: User,
    *,
    rows: Sequence[dict[str, Any]] | int = 5,
    people: Sequence[User] = (),
    questions: Sequence[QuestionWish] = (),
    version: Version | None = None,
    opened: bool = True,
    **wish: Any,
) -> Session:
    if isinstance(rows, int):
        rows = [chat(f"Ticket {number}: my order is late") for number in range(1, rows + 1)]
    number = Session.objects.count() + 1
    wished = SessionWish(
        name=wish.pop("name", f"Intents {number}"),
        version=version or frozen(project, rows, f"To label {number}"),
        everyone=wish.pop("everyone", not people),
        members=tuple(user.pk for user in people),
        **wish,
    )
    session = session_create(project=project, wish=wished, actor=lead)
    default = QuestionWish(
        key="intent", kind=QuestionKind.CHOOSE_ONE, title="What is it about?", options={"labels": LABELS}
    )
    for question in questions or [default]:
        question_add(session=session, wish=question, actor=lead)
    if opened:
        open_session(session, lead)
    return session


def open_session(session: Session, lead: User) -> None:
    session_open(session=session, actor=lead)
    for operation in Operation.objects.filter(state=OperationState.QUEUED).order_by("pk"):
        operation_run(operation_id=operation.pk)
    session.refresh_from_db()


def labelers(project: Project, count: int) -> list[User]:
    made = []
    for number in range(1, count + 1):
        user = User.objects.create_user(f"labeler{number}@example.org", name=f"Labeler {number}")
        Membership.objects.create(workspace=project.workspace, user=user, role=Role.LABELER)
        made.append(user)
    return made


def submit(
    session: Session, user: User, lease: Lease, answers: dict[str, Any] | None = None, **more: Any
) -> Kept:
    wished = Submit(
        item_id=lease.item_id,
        token=more.get("token", lease.token),
        client_id=more.get("client_id", uuid.uuid4()),
        answers={"intent": "refund"} if answers is None else answers,
        seconds=more.get("seconds", 3.0),
    )
    return label_submit(session=session, user=user, submit=wished)


def label_next(session: Session, user: User, answers: dict[str, Any] | None = None) -> Item | None:
    """Claim one item and submit; None when nothing is left."""
    leases = seats_claim(session=session, user=user, wanted=1)
    if not leases:
        return None
    submit(session, user, leases[0], answers)
    return Item.objects.get(pk=leases[0].item_id)


def label_one(session: Session, user: User, answers: dict[str, Any] | None = None) -> Item:
    item = label_next(session, user, answers)
    assert item is not None, "nothing is left for this person"
    return item
