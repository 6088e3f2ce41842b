"""A model proposes, people decide, and the record says what they made of it."""

import math
import re

import pytest
from django.urls import reverse

from apps.labeling.drafting import proposed_prompt, read_answers
from apps.labeling.models import Answer, Draft, DraftRun, Question, Submission
from apps.labeling.services.claiming import seats_claim
from apps.labeling.services.sessions import QuestionWish
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.registry.models import BaseModel
from tests.evaluations.inference_server import InferenceServer, refuse, say
from tests.labeling.worlds import LABELS, label_next, label_one, make_session, submit

ONE = [Question(key="intent", kind="choose_one", title="What is it about?", options={"labels": LABELS})]
THREE = [
    *ONE,
    Question(key="good", kind="rate", title="How good?", options={"low": 1, "high": 5}),
    Question(key="why", kind="text", title="Why?", options={}),
]


@pytest.mark.parametrize(
    ("questions", "text", "answers"),
    [
        (ONE, "refund", {"intent": "refund"}),
        (ONE, "“Refund.”", {}),
        (ONE, "```\nRefund\n```", {"intent": "refund"}),
        (ONE, "I think it is a refund", {}),
        (
            THREE,
            "intent: delivery\ngood: 4\nwhy: It is late.",
            {"intent": "delivery", "good": 4, "why": "It is late."},
        ),
        (THREE, "intent: nonsense\ngood: 9", {}),
        (THREE, "good: 2", {"good": 2}),
        ([THREE[2]], "Because it is late.", {"why": "Because it is late."}),
    ],
)
def test_a_reply_is_read_in_the_form_that_was_asked_for(questions, text, answers):
    assert read_answers(questions, text) == answers


def test_the_proposed_prompt_names_the_labels_and_the_form():
    assert proposed_prompt(ONE) == "What is it about? Answer with one of: refund, delivery, other."
    assert "good: <How good? Answer with one of: 1, 2, 3, 4, 5.>" in proposed_prompt(THREE)


@pytest.fixture
def inference(settings):
    server = InferenceServer()
    settings.FTPORTAL_INFERENCE_URL = server.url
    settings.FTPORTAL_INFERENCE_TOKEN = "token"
    yield server
    server.close()


@pytest.fixture
def ask(project, people, client_of):
    """`ask(session)`: a lead lets the base model propose, through the page; the worker runs here."""

    def send(session, prompt="What is it about?") -> DraftRun:
        base, _ = BaseModel.objects.get_or_create(
            workspace=project.workspace, reference="/models/tiny", defaults={"name": "Tiny"}
        )
        address = reverse("labeling:drafts", args=[project.workspace.slug, project.slug, session.pk])
        form = {"model": f"base-{base.pk}", "system_prompt": prompt}
        answer = client_of(people.lea).post(address, form)
        assert answer.status_code == 302, answer.content.decode()
        for operation in Operation.objects.filter(state=OperationState.QUEUED):
            operation_run(operation_id=operation.pk)
        assert client_of(people.lea).get(address).status_code == 200
        return DraftRun.objects.filter(session=session).latest("pk")

    return send


def even_is_a_refund(body):
    number = int(re.findall(r"\d+", body["messages"][-1]["content"])[0])
    return say("refund" if number % 2 == 0 else "delivery")


@pytest.mark.django_db(transaction=True)
def test_drafts_are_shown_and_what_people_make_of_them_is_kept(project, people, inference, ask):
    inference.script = even_is_a_refund
    session = make_session(project, people.lea, rows=4, order="given")
    label_one(session, people.ben)  # before any draft: independent

    run = ask(session)

    assert (run.state, run.draft_count, run.failed_count, run.cost) == ("done", 3, 0, 0)
    # 12 and 5 tokens a reply, says the server.
    assert (run.prompt_tokens, run.completion_tokens) == (36, 15)
    assert not Submission.objects.filter(item__drafts__isnull=False).exists(), "a draft is no label"
    label_one(session, people.ben, {"intent": "refund"})  # the second: as proposed
    label_one(session, people.ben, {"intent": "other"})  # the third: delivery was proposed
    uses = Answer.objects.order_by("pk").values_list("draft_use", flat=True)
    assert list(uses) == ["none", "unchanged", "rejected"]


@pytest.mark.django_db(transaction=True)
def test_an_edited_draft_has_its_distance(project, people, inference, ask):
    inference.script = lambda body: say("Sorry for that")
    question = QuestionWish(key="answer", kind="write", title="Write the answer")
    session = make_session(project, people.lea, rows=1, questions=[question])
    ask(session)

    submit(
        session, people.ben, seats_claim(session=session, user=people.ben)[0], {"answer": "Sorry for this"}
    )

    answer = Answer.objects.get()
    # "at" becomes "is": 2 of 14 characters.
    assert answer.draft_use == "edited"
    assert answer.edit_distance == pytest.approx(2 / 14)


@pytest.mark.django_db(transaction=True)
def test_failures_are_kept_and_asked_again(project, people, inference, ask):
    inference.script = lambda body: (
        refuse(400, "too_long", "The prompt is too long.")
        if "Ticket 2" in body["messages"][-1]["content"]
        else say("refund")
    )
    session = make_session(project, people.lea, rows=3)

    run = ask(session)
    assert (run.state, run.draft_count, run.failed_count) == ("done", 3, 1)
    inference.script = lambda body: say("refund")
    run = ask(session)

    assert (run.state, run.draft_count, run.failed_count) == ("done", 3, 0)
    assert len(inference.bodies) == 4, "what was there is not asked again"
    assert Draft.objects.filter(answers={"intent": "refund"}).count() == 3


@pytest.mark.django_db(transaction=True)
def test_when_every_draft_fails_the_run_says_why(project, people, inference, ask):
    inference.script = lambda body: refuse(400, "too_long", "The prompt is too long.")
    session = make_session(project, people.lea, rows=2)

    run = ask(session)

    assert run.state == "failed"
    assert "too long" in run.error


def positions_handed_out(session, user):
    places = []
    while (item := label_next(session, user)) is not None:
        places.append(item.position)
    return places


@pytest.mark.django_db(transaction=True)
def test_uncertain_first_begins_where_the_drafts_of_several_candidates_differ(
    project, people, inference, ask
):
    session = make_session(project, people.lea, rows=4, order="uncertain_first")
    inference.script = lambda body: say("refund")
    ask(session)
    inference.script = lambda body: say(
        "delivery" if "Ticket 3" in body["messages"][-1]["content"] else "refund"
    )
    ask(session, "Another prompt")

    assert positions_handed_out(session, people.ben) == [3, 1, 2, 4]


def chance_of(share):
    """A reply of two tokens with the same chance: together the share."""
    status, body = say("refund")
    token = {"chosen": {"text": "re", "logarithm": math.log(share) / 2}, "top": []}
    return status, body | {"chances": [token, token]}


@pytest.mark.django_db(transaction=True)
def test_uncertain_first_begins_where_the_model_was_unsure(project, people, inference, ask):
    session = make_session(project, people.lea, rows=3, order="uncertain_first")
    shares = {"Ticket 1": 0.9, "Ticket 2": 0.4, "Ticket 3": 0.6}
    inference.script = lambda body: chance_of(shares[body["messages"][-1]["content"].split(":")[0]])

    ask(session)

    assert inference.bodies[0]["top_chances"] == 0
    drafts = Draft.objects.order_by("item__position").values_list("chance", flat=True)
    assert list(drafts) == pytest.approx([0.9, 0.4, 0.6])
    assert positions_handed_out(session, people.ben) == [2, 3, 1]


@pytest.mark.django_db(transaction=True)
def test_the_chance_of_a_free_text_says_nothing_and_is_not_asked_for(project, people, inference, ask):
    question = QuestionWish(key="answer", kind="write", title="Write the answer")
    session = make_session(project, people.lea, rows=1, questions=[question])

    ask(session)

    assert inference.bodies[0]["top_chances"] is None
    assert Draft.objects.get().chance is None
