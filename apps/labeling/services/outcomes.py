"""Accepted answers go back into the dataset: rows with their answer and provenance, preference pairs, a new version."""

from collections.abc import Iterator
from functools import partial

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.datasets.models import Dataset
from apps.datasets.services import version_freeze_request
from apps.datasets.services.apart import reporting_apart
from apps.datasets.services.bulk_edits import clean_rows
from apps.datasets.services.rewriting import rows_add, rows_rewrite
from apps.labeling.gold import BECOME_ANSWERS, Gold, GoldAnswer, Row, gold_row, preference_pairs
from apps.labeling.models import (
    Cause,
    Item,
    Outcome,
    OutcomeState,
    Resolution,
    Session,
    Submission,
    SubmissionState,
)
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress
from apps.operations.services import operation_start

KIND = "labeling.outcome"
BATCH = 500


def outcome_request(
    *,
    session: Session,
    answer_from: str = "",
    leaves_out_rejected: bool = True,
    makes_pairs: bool = False,
    freezes: bool = True,
    actor: User,
) -> Outcome:
    """Queue the hand-over of everything that is resolved by then."""
    question = session.questions.filter(key=answer_from).first() if answer_from else None
    if answer_from and (question is None or question.kind not in BECOME_ANSWERS):
        raise PortalError("Choose a question whose answer can stand as the assistant's.")
    if not Resolution.objects.filter(item__session=session, replaced_at=None).exists():
        raise ConflictError("No item has its answer yet, so there is nothing to hand over.")
    with transaction.atomic():
        Session.objects.select_for_update().get(pk=session.pk)
        if Outcome.objects.filter(session=session, state=OutcomeState.WAITING).exists():
            raise ConflictError("The answers are being handed over already. Wait until that is done.")
        outcome = Outcome.objects.create(
            session=session,
            answer_from=answer_from,
            leaves_out_rejected=leaves_out_rejected,
            makes_pairs=makes_pairs,
            freezes=freezes,
            created_by=actor,
        )
        _start(outcome, actor)
    return outcome


def outcome_again(*, outcome: Outcome, actor: User) -> None:
    """Queue one again that failed; nothing of it was done."""
    with transaction.atomic():
        transition(outcome, OutcomeState.WAITING, error="")
        _start(outcome, actor)


def _start(outcome: Outcome, actor: User) -> None:
    session = outcome.session
    operation_start(
        workspace=session.project.workspace,
        kind=KIND,
        subject=outcome,
        title=f"Answers of {session}",
        actor=actor,
        url=f"{session.get_absolute_url()}outcome/",
    )


# --- What the worker does -----------------------------------------------------------------------------------


def outcome_run(*, outcome: Outcome, progress: Progress) -> None:
    """Hand over in one transaction, then freeze if asked. Without effect on one that is done."""
    if outcome.state != OutcomeState.WAITING:
        return
    session, dataset = outcome.session, outcome.session.version.dataset
    with reporting_apart(progress) as report, transaction.atomic():
        Dataset.objects.select_for_update().get(pk=dataset.pk)
        golds = dict(golds_of(session))
        report(0, total=len(golds), unit="rows", message="Writing the answers into the rows")
        left_out = {pk for pk, gold in golds.items() if _is_left_out(outcome, gold)}
        why = {"reason": f"Labeled in “{session.name}”", "session": session.pk}
        written = rows_rewrite(
            dataset=dataset,
            edits={
                pk: partial(gold_row, gold=gold, answer_from=outcome.answer_from)
                for pk, gold in golds.items()
                if pk not in left_out
            },
            parameters=why,
            actor=outcome.created_by,
            report=report,
        )
        removed = _remove(dataset, left_out, why, outcome.created_by)
        pairs = _add_pairs(outcome, golds, why) if outcome.makes_pairs else None
        progress.check()
        transition(
            outcome,
            OutcomeState.DONE,
            error="",
            row_count=written.changed,
            removed_count=removed,
            refused_count=written.refused,
            gone_count=written.gone,
            change=written.change,
            pair_count=pairs[1] if pairs else 0,
            pairs_dataset=pairs[0] if pairs else None,
        )
        record(
            workspace=session.project.workspace,
            actor=outcome.created_by,
            action="labeling.answers_handed_over",
            target=session,
            data={
                "outcome": outcome.pk,
                "rows": written.changed,
                "removed": removed,
                "pairs": outcome.pair_count,
            },
        )
    if outcome.freezes and (written.changed or removed):
        _freeze(outcome, dataset)


def outcome_stopped(*, outcome: Outcome, operation: Operation) -> None:
    """The operation ended before the answers were handed over: the outcome says why."""
    if outcome.state == OutcomeState.WAITING:
        cancelled = operation.state == OperationState.CANCELLED
        error = "It was cancelled. No row was changed." if cancelled else operation.error
        transition(outcome, OutcomeState.FAILED, error=error)


def golds_of(session: Session) -> Iterator[tuple[int, Gold]]:
    """(row's form, what is known about its answer) of every resolved item of a session."""
    labelers: dict[int, list[int]] = {}
    counting = Submission.objects.filter(session=session, state=SubmissionState.COUNTS)
    for item_id, user_id in counting.order_by("pk").values_list("item_id", "user_id"):
        labelers.setdefault(item_id, []).append(user_id)
    standing = (
        Resolution.objects.filter(item__session=session, item__stage="resolved", replaced_at=None)
        .select_related("item", "guideline_version__guideline")
        .prefetch_related("answers__question")
        .order_by("item__position")
    )
    for resolution in standing.iterator(chunk_size=BATCH):
        item: Item = resolution.item
        answers = sorted(resolution.answers.all(), key=lambda answer: answer.question.position)
        yield (
            item.example_id,
            Gold(
                session=session.name,
                session_id=session.pk,
                guideline=str(resolution.guideline_version) if resolution.guideline_version else "",
                provenance=resolution.provenance,
                cause=resolution.cause,
                labelers=tuple(labelers.get(item.pk, ())),
                adjudicator=resolution.decided_by_id,
                decided_at=resolution.created_at.isoformat(timespec="seconds"),
                answers=tuple(
                    GoldAnswer(one.question.key, one.question.kind, one.value, one.distribution)
                    for one in answers
                ),
            ),
        )


def _is_left_out(outcome: Outcome, gold: Gold) -> bool:
    return outcome.leaves_out_rejected and (gold.is_rejected or gold.cause == Cause.BAD_ITEM)


def _remove(dataset: Dataset, ids: set[int], why: dict[str, object], actor: User | None) -> int:
    if not ids or actor is None:
        return 0
    return clean_rows(dataset=dataset, ids=sorted(ids), edit=None, parameters=dict(why), actor=actor)


def _add_pairs(
    outcome: Outcome, golds: dict[int, Gold], why: dict[str, object]
) -> tuple[Dataset, int] | None:
    """The pairs in a dataset of their own: rows with a refused answer are trained on in another way."""
    source = outcome.session.version.dataset
    rows: list[Row] = []
    for example_id, payload in _payloads(outcome.session):
        if example_id in golds:
            rows += preference_pairs(payload, golds[example_id])
    if not rows:
        return None
    target, _ = Dataset.objects.get_or_create(
        project_id=source.project_id,
        name=f"{source.name[:60]} preferences",
        deleted_at=None,
        defaults={
            "description": f"Preference pairs from labeling rows of “{source.name}”.",
            "created_by": outcome.created_by,
        },
    )
    added = rows_add(dataset=target, rows=rows, parameters=dict(why), actor=outcome.created_by)
    return target, added.changed


def _payloads(session: Session) -> Iterator[tuple[int, Row]]:
    """As they were labeled, whatever has become of the rows since."""
    items = Item.objects.filter(session=session, stage="resolved").order_by("position")
    yield from items.values_list("example_id", "example__payload").iterator(chunk_size=BATCH)


def _freeze(outcome: Outcome, dataset: Dataset) -> None:
    """With the split of the version that was labeled. Where freezing is refused, the answers stand in the dataset."""
    labeled = outcome.session.version
    try:
        version = version_freeze_request(
            dataset=dataset,
            seed=labeled.seed,
            validation_share=labeled.validation_share,
            test_share=labeled.test_share,
            group_path=labeled.group_path,
            keeps_splits=labeled.keeps_splits,
            note=f"Answers of “{outcome.session.name}”"[:300],
            actor=outcome.created_by,
        )
    except PortalError as error:
        Outcome.objects.filter(pk=outcome.pk).update(error=f"No version was frozen. {error.message}")
        return
    Outcome.objects.filter(pk=outcome.pk).update(version=version)
