"""Labels that were made elsewhere become labels of a session: on its seats, never more than wanted."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.artifacts.storage import blob_read, blob_store
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.labeling.answers import AnswerError, checked_value
from apps.labeling.fitting import fitted
from apps.labeling.item_content import ItemContent, content_of
from apps.labeling.label_files import FoundLabel, UnknownFormat, read_labels
from apps.labeling.models import (
    Answer,
    Item,
    ItemStage,
    LabelImport,
    LabelImportState,
    Participant,
    Question,
    Seat,
    SeatState,
    Session,
    SessionState,
    Submission,
    SubmissionState,
)
from apps.labeling.services.submitting import LONGEST_SECONDS, participant_count
from apps.operations.models import Operation
from apps.operations.progress import Progress
from apps.operations.services import operation_start

KIND = "labeling.import_labels"
MOST_BYTES = 50 * 1024 * 1024
PROBLEMS_KEPT = 500
BATCH = 200
_NAMESPACE = uuid.UUID("a2c8d8a0-52fb-4a54-9f7b-0c4f3f8d3f11")


def label_import_create(*, session: Session, data: bytes, file_name: str, actor: User) -> LabelImport:
    """Read a file and say what is in it. Nothing is labeled yet."""
    if session.state in (SessionState.DRAFT, SessionState.PREPARING):
        raise ConflictError("Open the session first: labels are matched with its items.")
    if len(data) > MOST_BYTES:
        raise PortalError("The file has more than 50 MB. Split it and import the parts.")
    try:
        found = read_labels(data, file_name)
    except UnknownFormat as error:
        raise PortalError(str(error), code="unknown_format") from error
    people = [label for label in found.labels if not label.is_draft]
    return LabelImport.objects.create(
        session=session,
        blob=blob_store(content=[data]),
        file_name=file_name[:200],
        format=found.format,
        found={
            "records": found.records,
            "labels": len(people),
            "drafts": len(found.labels) - len(people),
            "left_out": found.left_out,
            "labelers": _counted(label.labeler for label in people),
            "questions": _counted(name for label in people for name in label.answers),
        },
        problems=[[one.record, one.message, one.excerpt] for one in found.problems[:PROBLEMS_KEPT]],
        problem_count=len(found.problems),
        created_by=actor,
    )


def label_import_request(
    *,
    label_import: LabelImport,
    labelers: Mapping[str, int],
    questions: Mapping[str, str],
    is_independent: bool,
    actor: User,
) -> None:
    """Queue the import: who is who, and which question answers which. What is not named is left out."""
    session = label_import.session
    if not labelers or not questions:
        raise PortalError("Choose at least one person and one question.")
    if len(set(questions.values())) != len(questions):
        raise PortalError("Two questions of the file can't answer the same question here.")
    members = Membership.objects.filter(workspace=session.project.workspace, user_id__in=labelers.values())
    if set(members.values_list("user_id", flat=True)) != set(labelers.values()):
        raise PortalError("Only members of the workspace can be the authors of labels.")
    with transaction.atomic():
        transition(
            label_import,
            LabelImportState.WAITING,
            labelers=dict(labelers),
            questions=dict(questions),
            is_independent=is_independent,
            error="",
        )
        operation_start(
            workspace=session.project.workspace,
            kind=KIND,
            subject=label_import,
            title=f"Import {label_import}",
            actor=actor,
            url=f"{session.get_absolute_url()}import/{label_import.pk}/",
        )


def _counted(names: Iterator[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


# --- What the worker does -----------------------------------------------------------------------------------


@dataclass
class _Work:
    """One import while it runs."""

    label_import: LabelImport
    questions: Mapping[str, Question]
    places: Mapping[str, list[tuple[int, ItemContent]]]
    counts: dict[str, int] = field(default_factory=lambda: {"labels": 0, "surplus": 0, "known": 0})
    problems: list[list[Any]] = field(default_factory=list)


def label_import_run(*, label_import: LabelImport, progress: Progress) -> None:
    """Label by label. After a crash it goes on: a label that came in already is passed by."""
    if label_import.state != LabelImportState.WAITING:
        return
    session = label_import.session
    by_key = {question.key: question for question in session.questions.all()}
    chosen = {name: by_key[key] for name, key in label_import.questions.items() if key in by_key}
    work = _Work(label_import, chosen, _places(session))
    found = read_labels(b"".join(blob_read(label_import.blob)), label_import.file_name)
    labels = [
        label for label in found.labels if not label.is_draft and label.labeler in label_import.labelers
    ]
    for start in range(0, len(labels), BATCH):
        progress.report(start, total=len(labels), unit="labels", message="Labeling the items")
        with transaction.atomic():
            for label in labels[start : start + BATCH]:
                _take(work, label)
    problems = [[one.record, one.message, one.excerpt] for one in found.problems] + work.problems
    with transaction.atomic():
        transition(
            label_import,
            LabelImportState.DONE,
            label_count=work.counts["labels"],
            surplus_count=work.counts["surplus"],
            known_count=work.counts["known"],
            problem_count=len(problems),
            problems=problems[:PROBLEMS_KEPT],
        )
        record(
            workspace=session.project.workspace,
            actor=label_import.created_by,
            action="labeling.labels_imported",
            target=session,
            data={"file": label_import.file_name, "problems": len(problems)} | work.counts,
        )


def label_import_stopped(*, label_import: LabelImport, operation: Operation) -> None:
    """The operation ended before the import did: the import says why. Labels that are in stay."""
    if label_import.state == LabelImportState.WAITING:
        error = operation.error or "It was cancelled. Labels that had come in stay."
        transition(label_import, LabelImportState.FAILED, error=error)


def _places(session: Session) -> dict[str, list[tuple[int, ItemContent]]]:
    """Items by their texts: the question, and everything in the conversation."""
    places: dict[str, list[tuple[int, ItemContent]]] = defaultdict(list)
    items = Item.objects.filter(session=session).order_by("position")
    for pk, payload in items.values_list("pk", "example__payload").iterator(chunk_size=500):
        content = content_of(payload)
        for text in {_plain(content.question), _plain(content.answer)} - {""}:
            places[text].append((pk, content))
    return places


def _plain(text: str) -> str:
    return " ".join(text.split())


def _take(work: _Work, label: FoundLabel) -> None:
    try:
        item_id, content = _item_of(work, label)
        values = _values(work, label, content)
    except AnswerError as error:
        work.problems.append([label.record, str(error), label.labeler])
        return
    user_id = work.label_import.labelers[label.labeler]
    work.counts[_store(work.label_import, item_id, user_id, label, values)] += 1


def _item_of(work: _Work, label: FoundLabel) -> tuple[int, ItemContent]:
    """The item whose texts are those of the record: of several items with one text, the one that has the next, too."""
    found: dict[int, ItemContent] = {}
    for text in label.texts:
        here = dict(work.places.get(_plain(text), ()))
        found = {pk: content for pk, content in here.items() if pk in found} or found or here
        if len(found) == 1:
            return next(iter(found.items()))
    if found:
        raise AnswerError(
            f"{len(found)} items of the session have this text, so it is unclear which one is meant."
        )
    raise AnswerError("No item of the session has this text.")


def _values(work: _Work, label: FoundLabel, content: ItemContent) -> dict[int, Any]:
    values = {}
    for name, given in label.answers.items():
        question = work.questions.get(name)
        if question is None or given is None:
            continue
        value = checked_value(
            question.kind, question.options, fitted(question.kind, question.options, given), content.texts
        )
        if value is not None:
            values[question.pk] = value
    if not values:
        raise AnswerError("It answers none of the chosen questions.")
    return values


def _store(
    label_import: LabelImport, item_id: int, user_id: int, label: FoundLabel, values: Mapping[int, Any]
) -> str:
    session = label_import.session
    # Seats first, then the item: as a submit locks them.
    seats = list(Seat.objects.select_for_update().filter(item=item_id).order_by("number"))
    item = Item.objects.select_for_update().get(pk=item_id)
    mine = Submission.objects.filter(item=item, user=user_id)
    if mine.exclude(state=SubmissionState.UNDONE).exists():
        return "known"
    seat = _filled(item, seats, user_id)
    Participant.objects.get_or_create(
        session=session, user_id=user_id, defaults={"is_active": False, "added_by": label_import.created_by}
    )
    seconds = min(label.seconds or 0.0, LONGEST_SECONDS)
    submission = Submission.objects.create(
        session=session,
        item=item,
        user_id=user_id,
        seat=seat,
        state=SubmissionState.COUNTS if seat else SubmissionState.SURPLUS,
        client_id=uuid.uuid5(_NAMESPACE, f"{label_import.pk}:{item.pk}:{user_id}"),
        is_independent=label_import.is_independent,
        seconds=seconds,
    )
    Answer.objects.bulk_create(
        Answer(submission=submission, question_id=question, value=value) for question, value in values.items()
    )
    completes = False
    if seat is not None:
        completes = item.done + 1 >= item.wanted
        Item.objects.filter(pk=item.pk).update(
            done=F("done") + 1,
            stage=Case(When(done__gte=F("wanted") - 1, then=Value(ItemStage.LABELED)), default=F("stage")),
        )
    participant_count(
        session_id=session.pk,
        user_id=user_id,
        submitted=int(seat is not None),
        surplus=int(seat is None),
        completed=int(completes),
        seconds=seconds,
    )
    return "labels" if seat is not None else "surplus"


def _filled(item: Item, seats: Sequence[Seat], user_id: int) -> Seat | None:
    """The seat that the person holds already, or a free one, filled; None: all wanted labels are there."""
    if item.stage != ItemStage.LABELING:
        return None
    mine = (seat for seat in seats if seat.state == SeatState.HELD and seat.user_id == user_id)
    free = (seat for seat in seats if seat.state == SeatState.OPEN)
    seat = next(mine, None) or next(free, None)
    if seat is not None:
        Seat.objects.filter(pk=seat.pk).update(
            state=SeatState.FILLED,
            user_id=user_id,
            token=uuid.uuid4(),
            held_until=None,
            held_since=timezone.now(),
        )
    return seat
