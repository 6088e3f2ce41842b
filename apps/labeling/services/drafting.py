"""A candidate proposes answers to the items of a session; what people make of them stands in their own answers."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.labeling.drafting import asks_for_chances, drafted_questions, read_answers, reply_chance
from apps.labeling.item_content import content_of
from apps.labeling.models import Draft, DraftRun, DraftRunState, Item, Question, Session, SessionState
from apps.labeling.services.ordering import session_order_again
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress
from apps.operations.services import operation_start
from apps.providers.asking import Outcome, Patience, ask_all
from apps.providers.asking import Question as Asking
from apps.registry.inference import chat_request, questions_at_once, variant_provider
from apps.registry.models import Variant
from apps.registry.prompts import messages_for

DRAFT_KIND = "labeling.draft"
MOST_CHARACTERS = 20_000
NOT_YET = (SessionState.DRAFT, SessionState.PREPARING)


def drafts_request(*, session: Session, variant: Variant, actor: User) -> DraftRun:
    """Queue the drafts. Asked for again, a run that stopped goes on with what is missing."""
    if session.state in NOT_YET:
        raise ConflictError("Open the session first: drafts are for its items.")
    if not drafted_questions(list(session.questions.all())):
        raise PortalError("None of the questions can be answered by a text, so a model can propose nothing.")
    with transaction.atomic():
        try:
            with transaction.atomic():
                run = DraftRun.objects.create(session=session, variant=variant, created_by=actor)
        except IntegrityError:
            run = DraftRun.objects.get(session=session, variant=variant)
            transition(run, DraftRunState.RUNNING, error="")
        operation_start(
            workspace=session.project.workspace,
            kind=DRAFT_KIND,
            subject=run,
            title=f"Drafts for {session} by {variant}",
            actor=actor,
            url=session.get_absolute_url(),
        )
        record(
            workspace=session.project.workspace,
            actor=actor,
            action="labeling.drafts_requested",
            target=session,
            data={"variant": variant.pk, "hash": variant.hash},
        )
    return run


def drafts_make(*, run: DraftRun, progress: Progress) -> None:
    """Ask for every item that nobody has labeled and that has no draft of this candidate yet."""
    if run.state != DraftRunState.RUNNING:
        return
    run.drafts.exclude(error="").delete()  # what failed before gets another chance
    questions = list(run.session.questions.all())
    # What is sent to other providers may be refused with it.
    with_chances = run.variant.base_model.provider == "local" and asks_for_chances(questions)
    asking = list(_askings(run, with_chances=with_chances))
    done = run.drafts.count()
    total = done + len(asking)
    progress.report(done, total=total, unit="drafts", message="Loading the model", force=True)
    if asking:
        provider = variant_provider(run.variant, waiting=lambda why: progress.report(message=why))
        outcomes = ask_all(
            provider,
            asking,
            in_flight=questions_at_once(run.variant),
            patience=Patience(seconds=settings.FTPORTAL_INFERENCE_PATIENCE),
        )
        try:
            for batch in outcomes:
                _store(run, questions, batch)
                done += len(batch)
                progress.report(done, message=f"{done:,} of {total:,} items")
        finally:
            outcomes.close()
    run.refresh_from_db()
    if run.failed_count and not run.draft_count - run.failed_count:
        first = run.drafts.exclude(error="").values_list("error", flat=True).first()
        raise PortalError(f"Every draft failed. The first error: {first}")
    session_order_again(session=run.session)
    transition(run, DraftRunState.DONE)


def drafts_stopped(*, run: DraftRun, operation: Operation) -> None:
    """The operation ended before the drafts were there: the run says why, and what is there stays."""
    if run.state == DraftRunState.RUNNING:
        cancelled = operation.state == OperationState.CANCELLED
        error = "Cancelled. The drafts so far are kept." if cancelled else operation.error
        transition(run, DraftRunState.FAILED, error=error)


def _askings(run: DraftRun, *, with_chances: bool) -> Iterator[Asking]:
    items = (
        Item.objects.filter(session=run.session, done=0)
        .exclude(drafts__run=run)
        .order_by("position")
        .values_list("pk", "example__payload")
    )
    for item_id, payload in items.iterator(chunk_size=1000):
        context = content_of(payload).context
        messages = [
            {"role": str(message["role"]), "content": message["content"]}
            for message in context
            if isinstance(message.get("content"), str)
        ]
        request = chat_request(run.variant, messages_for(run.variant, messages))
        # 0: of no other candidates than the token itself, which costs nothing.
        yield Asking(item_id, replace(request, top_chances=0) if with_chances else request)


def _store(run: DraftRun, questions: list[Question], batch: list[Outcome]) -> None:
    if not batch:
        return
    with transaction.atomic():
        Draft.objects.bulk_create(
            (_draft(run, questions, outcome) for outcome in batch), ignore_conflicts=True
        )
        counts = run.drafts.aggregate(all=Count("pk"), failed=Count("pk", filter=~Q(error="")))
        usages = [outcome.reply.usage for outcome in batch if outcome.reply and outcome.reply.usage]
        run.prompt_tokens += sum(usage.prompt_tokens for usage in usages)
        run.completion_tokens += sum(usage.completion_tokens for usage in usages)
        DraftRun.objects.filter(pk=run.pk).update(
            draft_count=counts["all"],
            failed_count=counts["failed"],
            prompt_tokens=run.prompt_tokens,
            completion_tokens=run.completion_tokens,
            # On one's own machine an answer has no price; what others charge is not known here.
            cost=Decimal(0) if run.variant.base_model.provider == "local" else None,
            updated_at=timezone.now(),
        )


def _draft(run: DraftRun, questions: list[Question], outcome: Outcome) -> Draft:
    if outcome.reply is None:
        return Draft(run=run, item_id=outcome.item_id, error=outcome.error or "No reason was given.")
    text = outcome.reply.text.replace("\x00", "\ufffd")[:MOST_CHARACTERS]
    answers = read_answers(questions, text)
    chance = reply_chance(outcome.reply.raw) if answers else None
    return Draft(run=run, item_id=outcome.item_id, text=text, answers=answers, chance=chance)
