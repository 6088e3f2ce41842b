import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError, PortalError
from apps.evaluations.models import Answer, Comparison, ComparisonState, Run
from apps.evaluations.services.comparisons import LeakageError, comparison_resume
from apps.evaluations.verdict import Verdict
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel
from apps.providers.asking import AskingStoppedError, Patience, Question, ask_all
from apps.providers.contracts import ChatRequest, ModelReference
from apps.registry.inference import provider_for
from apps.registry.models import BaseModel
from tests.evaluations.inference_server import refuse, right_answer, say

pytestmark = pytest.mark.django_db(transaction=True)
PROMPTED = "Sort it well."


def only_tuned_knows(body):
    """The tuned model is always right; the base model when it is prompted and the ticket's number is even."""
    question = body["messages"][-1]["content"]
    system = body["messages"][0]["content"]
    number = int("".join(filter(str.isdigit, question.split(":")[0])) or 0)
    if body["model"] or not question.startswith("Ticket") or (system == PROMPTED and number % 2 == 0):
        return right_answer(body)
    return say("category: nothing\npriority: P1")


def test_a_comparison_runs_from_questions_to_its_verdict(world, work, inference):
    inference.script = only_tuned_knows
    comparison = work(world.comparison(world.suite(), general_suite=world.general_suite(90)))
    assert comparison.state == ComparisonState.DONE, comparison.error
    assert comparison.outcome == "wins"
    verdict = Verdict.from_dict(comparison.verdict)
    assert [(pair.name, pair.counts.fixed, pair.counts.broken) for pair in verdict.comparisons] == [
        ("the base model as it is", 60, 0),
        ("the written prompt", 30, 0),  # tickets 40…99: every second one is already right
    ]
    assert verdict.general is not None
    assert verdict.general.difference == 0.0
    # 60 items x 3 variants + 90 general items x 2, each asked once; the adapter was sent once.
    assert len(inference.asked) == 360 == inference.asked.total() == Answer.objects.count()
    assert list(inference.models.values()) == [b"not really weights"]
    run = Run.objects.get(suite=comparison.suite, variant=comparison.candidate)
    assert run.metrics is not None
    assert run.metrics["exact"]["right"] == 60
    assert run.metrics["labels"]["category"]["macro_f1"] == 1.0
    assert run.metrics["tokens"] == {"prompt": 720, "completion": 300, "missing": 0, "calls": 60}
    assert AuditEvent.objects.filter(action="comparison.decided").count() == 1


@pytest.fixture
def small(make_world):
    """Tickets 12…31 are tested; three contenders make sixty answers."""
    return make_world(train=12, test=20)


def test_what_is_sent_is_what_the_variant_says(small, work, inference):
    comparison = work(small.comparison(small.suite()))
    systems = {(body["model"] is not None, body["messages"][0]["content"]) for body in inference.bodies}
    assert systems == {(False, "Sort the ticket."), (False, PROMPTED), (True, "Sort the ticket.")}
    assert {body["base"] for body in inference.bodies} == {"acme/tiny"}
    assert {body["temperature"] for body in inference.bodies} == {0.0}
    assert comparison.state == ComparisonState.DONE


def test_a_second_comparison_asks_only_what_is_new(small, work, inference):
    suite = small.suite()
    work(small.comparison(suite))
    before = inference.asked.total()
    second = work(
        small.comparison(
            suite,
            baselines=[
                ("the written prompt", small.variant("Base, written prompt", system_prompt=PROMPTED)),
                ("another prompt", small.variant("Base, another prompt", system_prompt="Sort.")),
            ],
        )
    )
    assert second.state == ComparisonState.DONE
    assert inference.asked.total() - before == 20
    assert second.look == 2


def test_a_comparison_that_ended_without_a_verdict_was_no_look(small, work, inference):
    suite = small.suite()
    stopped = small.comparison(suite)
    Comparison.objects.filter(pk=stopped.pk).update(state=ComparisonState.CANCELLED)

    decided = work(small.comparison(suite))

    assert decided.state == ComparisonState.DONE
    assert decided.look == 1


def test_a_refused_question_is_unscored_with_its_reason(small, work, inference):
    def too_long(body):
        if body["model"] and "Ticket 15:" in body["messages"][-1]["content"]:
            return refuse(413, "too_long", "The conversation is longer than the model's context.")
        return only_tuned_knows(body)

    inference.script = too_long
    comparison = work(small.comparison(small.suite()))
    answer = Answer.objects.get(error__gt="")
    assert (answer.exact, answer.format_ok, answer.fields, answer.text) == (None, None, None, "")
    assert answer.error == "The conversation is longer than the model's context."
    metrics = Run.objects.get(pk=answer.run_id).metrics
    assert metrics is not None
    assert (metrics["unscored"], metrics["exact"]["right"], metrics["exact"]["scored"]) == (1, 19, 19)
    assert Verdict.from_dict(comparison.verdict).comparisons[0].unscored_candidate == 1


def test_a_busy_program_is_tried_again(small, work, inference):
    lock, refused = threading.Lock(), set()

    def busy_once(body):
        key = str(body["messages"]) + str(body["model"])
        with lock:
            first = key not in refused
            refused.add(key)
        return refuse(503, "busy", "Too many requests wait.") if first else right_answer(body)

    inference.script = busy_once
    comparison = work(small.comparison(small.suite()))
    assert comparison.state == ComparisonState.DONE, comparison.error
    assert Answer.objects.filter(error="").count() == 60


def test_when_everything_fails_nothing_is_scored(small, work, inference):
    inference.script = lambda body: refuse(422, "bad_template", "This model has no chat template.")
    comparison = work(small.comparison(small.suite()))
    assert comparison.state == ComparisonState.FAILED
    assert "This model has no chat template." in comparison.error
    assert comparison.verdict is None
    assert not Run.objects.filter(finished_at__isnull=False).exists()
    # The cause is mended: what failed is asked again, and nothing of the failure stays.
    inference.script = only_tuned_knows
    comparison_resume(comparison=comparison, by=small.by)
    comparison = work(comparison)
    assert comparison.state == ComparisonState.DONE, comparison.error
    assert not Answer.objects.exclude(error="").exists()


def test_without_the_program_it_fails_with_a_sentence_and_goes_on_later(small, work, inference, settings):
    comparison = small.comparison(small.suite())
    settings.FTPORTAL_INFERENCE_PATIENCE = 0
    settings.FTPORTAL_INFERENCE_URL = "http://127.0.0.1:1"
    comparison = work(comparison)
    assert comparison.state == ComparisonState.FAILED
    assert "can't be reached" in comparison.error
    assert Operation.objects.get().state == OperationState.FAILED
    settings.FTPORTAL_INFERENCE_URL = inference.url
    comparison_resume(comparison=comparison, by=small.by)
    assert work(comparison).state == ComparisonState.DONE


def test_a_worker_that_dies_in_the_middle_loses_no_answer_and_doubles_none(small, work, inference):
    """The worker is gone after some answers; the next one is handed the same operation."""
    comparison = small.comparison(small.suite())
    operation = Operation.objects.get()

    def dies(body):
        if len(inference.bodies) > 30:
            Operation.objects.filter(pk=operation.pk).update(attempts=7)  # another attempt took over
            connection.close()
        return only_tuned_knows(body)

    inference.script = dies
    work(comparison)
    kept = set(Answer.objects.values_list("run_id", "item_id", "created_at"))
    assert 0 < len(kept) < 60
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.QUEUED)
    inference.script = only_tuned_knows
    comparison = work(comparison)
    assert comparison.state == ComparisonState.DONE, comparison.error
    assert Answer.objects.count() == 60
    assert kept <= set(Answer.objects.values_list("run_id", "item_id", "created_at"))


def test_cancelling_keeps_the_answers(small, work, inference):
    comparison = small.comparison(small.suite())
    operation = Operation.objects.get()

    def cancelled(body):
        if len(inference.bodies) == 25:
            operation_cancel(operation=operation, by=small.by)
            connection.close()
        return only_tuned_knows(body)

    inference.script = cancelled
    comparison = work(comparison)
    assert comparison.state == ComparisonState.CANCELLED
    assert comparison.verdict is None
    assert Answer.objects.exists()
    inference.script = only_tuned_knows
    comparison_resume(comparison=comparison, by=small.by)
    assert work(comparison).state == ComparisonState.DONE
    assert Answer.objects.count() == 60


def test_the_verdict_cannot_be_changed(small, work, inference):
    inference.script = only_tuned_knows
    comparison = work(small.comparison(small.suite()))
    assert comparison.verdict_hash == Verdict.from_dict(comparison.verdict).hash
    changes: tuple[dict[str, Any], ...] = (
        {"sentence": "It loses."},
        {"verdict": {}},
        {"state": "queued"},
        {"outcome": "loses"},
    )
    for change in changes:
        with pytest.raises(IntegrityError), transaction.atomic():
            Comparison.objects.filter(pk=comparison.pk).update(**change)
    with pytest.raises(ConflictError, match="can no longer be done"):
        comparison_resume(comparison=comparison, by=small.by)
    Comparison.objects.filter(pk=comparison.pk).update(name="A better name")


def test_items_that_were_trained_on_block_the_comparison(world, make_world):
    other = make_world(train=10, test=100)  # tickets 10…109: 30 of them are trained on in the first version
    leaky = other.suite()
    with pytest.raises(LeakageError, match="30 of the 100 test items occur word for word"):
        world.comparison(leaky)
    assert not Comparison.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {"baselines": []}, "Without a baseline"),
        (lambda w: {"candidate": w.variant("Base")}, "trained here"),
        (lambda w: {"suite": w.general_suite()}, "tests general skills"),
        (lambda w: {"general_suite": w.suite()}, "items of the task"),
        (lambda w: {"baselines": [("a", w.variant("Tuned", tuned=True))]}, "its own baseline"),
        (lambda w: {"baselines": [("a", w.variant("B")), ("b", w.variant("B"))]}, "same way"),
        (lambda w: {"smallest_gain": 0}, "smallest gain"),
    ],
)
def test_what_is_not_a_fair_comparison_is_refused(world, change, said):
    options = {"suite": world.suite(), **change(world)}
    with pytest.raises(PortalError, match=said):
        world.comparison(**options)
    assert not Comparison.objects.exists()


def test_closing_the_questions_stops_asking(inference):
    gate = threading.Event()

    def waits(body):
        gate.wait(5)
        return right_answer(body)

    inference.script = waits
    request = ChatRequest(model=ModelReference(base="b"), messages=[{"role": "user", "content": "Say 1."}])
    outcomes = ask_all(
        provider_for(BaseModel(provider="local")),
        [Question(number, request) for number in range(500)],
        in_flight=4,
    )
    assert next(outcomes) == []
    outcomes.close()
    gate.set()
    assert inference.asked.total() <= 8


def test_an_unreachable_provider_is_waited_for_only_so_long(settings):
    settings.FTPORTAL_INFERENCE_URL = "http://127.0.0.1:1"
    request = ChatRequest(model=ModelReference(base="b"), messages=[{"role": "user", "content": "x"}])
    with pytest.raises(AskingStoppedError, match="can't be reached"):
        list(
            ask_all(
                provider_for(BaseModel(provider="local")),
                [Question(1, request)],
                patience=Patience(seconds=0),
            )
        )
