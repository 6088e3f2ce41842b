"""Doing the work of a comparison: ask what is missing, score, decide. Called again after a crash, it goes on."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from apps.core.errors import StaleStateError
from apps.core.formatting import format_number
from apps.core.states import transition
from apps.evaluations.models import Answer, Comparison, ComparisonState, Run, Suite, SuiteItem
from apps.evaluations.run_metrics import run_metrics
from apps.evaluations.selectors.answers import scored_answers
from apps.evaluations.services.deciding import comparison_decide
from apps.operations.progress import Progress
from apps.providers.asking import AskingStoppedError, Outcome, Patience, Question, ask_all
from apps.registry.inference import chat_request, questions_at_once, variant_provider
from apps.registry.models import Variant
from apps.registry.prompts import messages_for
from apps.scoring.answers import Form, form_from_dict
from apps.scoring.metrics import score_answer

FAILURES_IN_A_ROW = 25
"""So many questions without one answer are no accident: asking stops, and nothing counts as unscored."""


@dataclass(frozen=True)
class PlannedRun:
    """`what` is how the progress line calls the contender."""

    run: Run
    what: str


def comparison_run(*, comparison: Comparison, progress: Progress) -> None:
    """Bring a comparison from where it stands to its verdict. Raises when it should stop; answers are kept."""
    if comparison.state == ComparisonState.DONE:
        return
    if comparison.state == ComparisonState.QUEUED:
        transition(comparison, ComparisonState.RUNNING)
    if comparison.state != ComparisonState.RUNNING:
        raise StaleStateError(f"{comparison.name} was stopped in the meantime.")
    plan = comparison_plan(comparison)
    total = sum(planned.run.suite.item_count for planned in plan)
    done = _answered([planned.run for planned in plan])
    progress.report(done, total=total, unit="answers", message="Counting what is missing", force=True)
    for planned in plan:
        # Another comparison may have finished it in the meantime.
        planned.run.refresh_from_db(fields=["finished_at"])
        if not planned.run.is_finished:
            done = run_ask(planned, progress, done)
            run_finish(run=planned.run)
    progress.report(done, message="Working out the verdict", force=True)
    comparison_decide(comparison=comparison)


def comparison_plan(comparison: Comparison) -> list[PlannedRun]:
    """Every run it needs, made if missing: the untuned model first, one variant after the other."""
    wanted: list[tuple[Suite, Variant, str]] = []
    for contender in comparison.contenders.select_related("variant__base_model", "variant__model_version"):
        wanted.append((comparison.suite, contender.variant, contender.label))
    if comparison.general_suite is not None and comparison.general_base is not None:
        wanted.append((comparison.general_suite, comparison.general_base, "untuned, general skills"))
    wanted.append((comparison.suite, comparison.candidate, "fine-tuned"))
    if comparison.general_suite is not None:
        wanted.append((comparison.general_suite, comparison.candidate, "fine-tuned, general skills"))
    plan = []
    for suite, variant, what in wanted:
        run, _ = Run.objects.get_or_create(suite=suite, variant=variant)
        run.suite, run.variant = suite, variant
        plan.append(PlannedRun(run, what))
    return plan


def run_finish(*, run: Run) -> None:
    """Freeze the run with its figures. What has no answer by now stays unscored."""
    form = form_from_dict(run.suite.answer_form)
    answers = scored_answers(run)
    metrics = run_metrics(form, answers)
    Run.objects.filter(pk=run.pk, finished_at=None).update(
        metrics=metrics,
        answered=metrics["items"] - metrics["unscored"],
        failed=metrics["unscored"],
        finished_at=timezone.now(),
        updated_at=timezone.now(),
    )
    run.refresh_from_db(fields=["metrics", "answered", "failed", "finished_at"])


def run_ask(planned: PlannedRun, progress: Progress, done: int) -> int:
    """Ask what the run lacks; returns the answers of all runs so far."""
    run = planned.run
    # What failed in an attempt that was stopped gets another chance; finished runs stay as they are.
    again, _ = run.answers.exclude(error="").delete()
    done -= again
    questions = list(_questions(run))
    if not questions:
        return done  # its model may be gone by now, and isn't needed
    progress.report(done, message=f"Loading the model: {planned.what}", force=True)
    provider = variant_provider(run.variant, waiting=lambda why: progress.report(message=why))
    form = form_from_dict(run.suite.answer_form)
    expected = dict(run.suite.items.values_list("pk", "expected"))
    before = run.suite.item_count - len(questions)
    asked_at = time.monotonic()
    failures = _Failures()
    outcomes = ask_all(
        provider,
        questions,
        in_flight=questions_at_once(run.variant),
        patience=Patience(seconds=settings.FTPORTAL_INFERENCE_PATIENCE),
    )
    try:
        for batch in outcomes:
            _store(run, batch, form, expected)
            asked_at = _note_time(run, asked_at)
            failures.note(batch)
            done += len(batch)
            before += len(batch)
            progress.report(
                done,
                message=f"{planned.what}: {format_number(before)} of {format_number(run.suite.item_count)}"
                f" on {run.suite.name}",
            )
    finally:
        outcomes.close()
    failures.check_end()
    return done


def _questions(run: Run) -> Iterator[Question]:
    """What is missing, similar lengths together, so that a batch carries little padding."""
    answered = set(run.answers.values_list("item_id", flat=True))
    items = SuiteItem.objects.filter(suite=run.suite).values_list("pk", "messages", "tools")
    rows = [row for row in items if row[0] not in answered]
    rows.sort(key=lambda row: sum(len(message["content"]) for message in row[1]), reverse=True)
    for item_id, messages, tools in rows:
        yield Question(item_id, chat_request(run.variant, messages_for(run.variant, messages), tools))


def _store(run: Run, batch: Sequence[Outcome], form: Form, expected: dict[int, str]) -> None:
    """A second copy of an answer, from another comparison that asks the same, is dropped."""
    if not batch:
        return
    with transaction.atomic():
        Answer.objects.bulk_create(
            (_answer(run, outcome, form, expected[outcome.item_id]) for outcome in batch),
            ignore_conflicts=True,
        )
        counts = run.answers.aggregate(
            answered=models.Count("pk", filter=models.Q(error="")),
            failed=models.Count("pk", filter=~models.Q(error="")),
        )
        Run.objects.filter(pk=run.pk).update(updated_at=timezone.now(), **counts)


def _answer(run: Run, outcome: Outcome, form: Form, expected: str) -> Answer:
    reply = outcome.reply
    if reply is None:
        return Answer(run=run, item_id=outcome.item_id, error=(outcome.error or "No reason was given.")[:300])
    scores = score_answer(form, reply.text, expected)
    return Answer(
        run=run,
        item_id=outcome.item_id,
        text=reply.text.replace("\x00", "\ufffd"),
        finish_reason=reply.finish_reason,
        fields=scores.predicted or None,
        exact=scores.exact.passed,
        format_ok=scores.format_ok,
        prompt_tokens=reply.usage.prompt_tokens if reply.usage else None,
        completion_tokens=reply.usage.completion_tokens if reply.usage else None,
        seconds=max(0.0, reply.latency - (reply.queue or 0.0)),
        compute_seconds=reply.compute,
    )


def _note_time(run: Run, since: float) -> float:
    now = time.monotonic()
    Run.objects.filter(pk=run.pk).update(asking_seconds=models.F("asking_seconds") + (now - since))
    return now


def _answered(runs: Sequence[Run]) -> int:
    return Answer.objects.filter(run__in=runs).count()


class _Failures:
    """Tells bad luck from a cause that will not go away."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._any_answer = False
        self._last = ""

    def note(self, batch: Sequence[Outcome]) -> None:
        for outcome in batch:
            if outcome.reply is not None:
                self._in_a_row, self._any_answer = 0, True
            else:
                self._in_a_row, self._last = self._in_a_row + 1, outcome.error
        if self._in_a_row >= FAILURES_IN_A_ROW:
            self._give_up()

    def check_end(self) -> None:
        if self._in_a_row and not self._any_answer:
            self._give_up()

    def _give_up(self) -> None:
        raise AskingStoppedError(
            f"{self._in_a_row} questions in a row got no answer, the last one because: {self._last}"
            " Answers given before are kept; mend the cause, then go on from there."
        )
