"""The pages of agreement, review and adjudication, as people use them."""

import re

import pytest
from django.core.cache import cache
from django.urls import reverse

from apps.labeling.models import Cause, Item, QuestionKind, Resolution, Submission, SubmissionState
from apps.labeling.services.sessions import QuestionWish
from apps.labeling.services.settling import session_settle
from tests.labeling.judging import items_of, label_all
from tests.labeling.worlds import LABELS, chat, labelers, make_session

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def three(project):
    return labelers(project, 3)


@pytest.fixture
def session(project, people, three):
    made = make_session(
        project,
        people.lea,
        people=three,
        rows=12,
        overlap=3,
        audit_share=0.0,
        is_pilot=True,
        gate_minimum=0.6,
    )
    one = ["refund", "delivery", "other"] * 4
    two = [*one[:9], "refund", "refund", "refund"]
    label_all(made, {three[0]: one, three[1]: two, three[2]: one})
    session_settle(session=made)
    return made


def at(name, project, *more):
    return reverse(f"labeling:{name}", args=[project.workspace.slug, project.slug, *more])


def page(response):
    assert response.status_code == 200, response.content[:500]
    return response.content.decode()


def test_the_report_says_the_verdict_first_and_links_its_cells(project, people, session, client_of):
    rob = client_of(people.rob)
    html = page(rob.get(at("agreement", project, session.pk)))
    assert re.search(r"α = 0\.\d+ \(95 % CI \d\.\d+ to \d\.\d+\)", html)
    assert "Fleiss" in html
    assert "Gwet" in html
    link = re.search(r'href="([^"]+\?question=intent&amp;a=refund&amp;b=delivery)"', html)
    assert link is not None
    items = page(rob.get(link[1].replace("&amp;", "&")))
    assert at("judge", project, items_of(session)[10].pk) in items
    assert "One person said <strong>refund</strong>" in items


def test_a_labeler_sees_nothing_of_it(project, people, session, three, client_of):
    labeler = client_of(three[0])
    item = items_of(session)[0]
    for name, pk in (
        ("agreement", session.pk),
        ("adjudication", session.pk),
        ("judge", item.pk),
        ("review", session.pk),
    ):
        assert labeler.get(at(name, project, pk)).status_code == 403
    stranger = client_of(people.zoe)
    assert stranger.get(at("agreement", project, session.pk)).status_code == 404


def test_adjudication_by_form(project, people, session, client_of):
    rob = client_of(people.rob)
    queue = page(rob.get(at("adjudication", project, session.pk)))
    first = Item.objects.filter(session=session, stage="adjudication").order_by("agreement", "position")[0]
    address = at("judge", project, first.pk)
    assert f'href="{address}"' in queue
    html = page(rob.get(address))
    assert "Which answer stands?" in html
    for labeler in ("Labeler 1", "labeler1@example.org"):
        assert labeler not in html
    shown = re.search(r'name="choice-intent" value="(\d+)"', html)
    assert shown is not None
    refused = rob.post(address, {"choice-intent": shown[1]})
    assert refused.status_code == 422
    body = refused.content.decode()
    assert "choose a cause" in body
    done = rob.post(address, {"choice-intent": shown[1], "cause": Cause.GUIDELINE_GAP, "seconds": "4.5"})
    assert done.status_code == 302
    resolution = Resolution.objects.get(item=first)
    assert (resolution.cause, resolution.seconds, resolution.decided_by) == (
        Cause.GUIDELINE_GAP,
        4.5,
        people.rob,
    )
    after = page(rob.get(address))
    assert "The answer that stands" in after


def test_an_answer_of_ones_own_by_form(project, people, session, client_of):
    rob = client_of(people.rob)
    item = Item.objects.filter(session=session, stage="adjudication")[0]
    address = at("judge", project, item.pk)
    data = {"choice-intent": "own", "own-intent": "other", "cause": "edge_case", "note": "Neither."}
    assert rob.post(address, data).status_code == 302
    assert Resolution.objects.get(item=item).answers.get().value == "other"


def test_every_kind_of_question_can_be_judged(project, people, three, client_of):
    questions = [
        QuestionWish(
            key="several", kind=QuestionKind.CHOOSE_SEVERAL, title="Which?", options={"labels": LABELS}
        ),
        QuestionWish(key="stars", kind=QuestionKind.RATE, title="How good?", options={"low": 1, "high": 5}),
        QuestionWish(key="edit", kind=QuestionKind.EDIT, title="Mend it", options={}),
        QuestionWish(
            key="better", kind=QuestionKind.PREFER, title="Which is better?", options={"ties": True}
        ),
        QuestionWish(key="order", kind=QuestionKind.RANK, title="Order", options={}),
        QuestionWish(
            key="parts",
            kind=QuestionKind.SPANS,
            title="Mark",
            options={"labels": LABELS, "about": "question"},
        ),
        QuestionWish(key="ok", kind=QuestionKind.VERDICT, title="Is it right?", options={}),
    ]
    rows = [chat("My parcel is late", candidates=["Sorry.", "Wait."])]
    session = make_session(project, people.lea, people=three[:2], rows=rows, overlap=2, questions=questions)

    def label(stars, verdict):
        return {
            "several": ["refund"],
            "stars": stars,
            "edit": f"I am sorry {stars}",
            "better": "1",
            "order": [["1"], ["2"]],
            "parts": [{"start": 3, "end": 9, "label": "delivery"}],
            "ok": verdict,
        }

    label_all(session, {three[0]: [label(4, "accept")], three[1]: [label(5, "reject")]})
    session_settle(session=session)
    (item,) = items_of(session)
    rob = client_of(people.rob)
    address = at("judge", project, item.pk)
    html = page(rob.get(address))
    assert "delivery: “parcel”" in html
    assert "<ins>" in html
    own = {
        "choice-several": "own",
        "own-several": ["refund", "other"],
        "choice-stars": "own",
        "own-stars": "3",
        "choice-edit": "own",
        "own-edit": "Sorry about that.",
        "choice-better": "own",
        "own-better": "tie",
        "choice-order": "own",
        "own-order": "b > a",
        "choice-parts": "own",
        "own-parts": "refund: late\ndelivery: parcel",
        "choice-ok": "own",
        "own-ok": "accept",
        "cause": Cause.SUBJECTIVE,
        "note": "All of it anew.",
    }
    refused = rob.post(address, own | {"own-parts": "refund: nowhere"})
    assert refused.status_code == 422
    assert "does not stand in the text" in refused.content.decode()
    response = rob.post(address, own)
    assert response.status_code == 302, response.content.decode()
    values = dict(Resolution.objects.get(item=item).answers.values_list("question__key", "value"))
    assert values == {
        "several": ["refund", "other"],
        "stars": 3,
        "edit": "Sorry about that.",
        "better": "tie",
        "order": [["2"], ["1"]],
        "parts": [{"start": 3, "end": 9, "label": "delivery"}, {"start": 13, "end": 17, "label": "refund"}],
        "ok": "accept",
    }
    assert "The answer that stands" in page(rob.get(address))


def test_reviewing_by_form(project, people, three, client_of):
    session = make_session(project, people.lea, people=three[:1], rows=2, reviews_every_label=True)
    label_all(session, {three[0]: ["refund", "other"]})
    session_settle(session=session)
    rob = client_of(people.rob)
    html = page(rob.get(at("review", project, session.pk)))
    first, second = Submission.objects.order_by("item__position")
    assert at("accept_label", project, first.pk) in html
    assert "Labeler 1" not in html
    assert rob.post(at("accept_label", project, first.pk)).status_code == 302
    assert rob.post(at("return_label", project, second.pk), {"reason": "Read rule 2."}).status_code == 302
    second.refresh_from_db()
    assert second.state == SubmissionState.RETURNED
    assert "Nothing to review now" in page(rob.get(at("review", project, session.pk)))
    waiting = page(rob.get(at("adjudication", project, session.pk)))
    assert "labels returned to them" in waiting
    assert "Labeler 1" in waiting


def test_the_gate_is_decided_on_the_page(project, people, session, client_of):
    lea = client_of(people.lea)
    assert lea.post(at("decide_gate", project, session.pk)).status_code == 302
    html = page(lea.get(at("agreement", project, session.pk)))
    assert "Not passed" in html or "Passed" in html
    lea.post(at("overrule_gate", project, session.pk), {"opens": "1", "reason": "Settled in the meeting."})
    assert "Settled in the meeting." in page(lea.get(at("agreement", project, session.pk)))
    assert client_of(people.rob).post(at("decide_gate", project, session.pk)).status_code == 403


def test_item_text_cannot_run_scripts(project, people, three, client_of):
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    question = QuestionWish(key="why", kind=QuestionKind.TEXT, title="Why?", options={})
    session = make_session(
        project, people.lea, people=three[:2], rows=[chat(attack)], overlap=2, questions=[question]
    )
    label_all(session, {three[0]: [{"why": attack}], three[1]: [{"why": "fine"}]})
    session_settle(session=session)
    (item,) = items_of(session)
    rob = client_of(people.rob)
    for address in (
        at("judge", project, item.pk),
        at("agreement_items", project, session.pk),
        at("agreement", project, session.pk),
    ):
        html = page(rob.get(address))
        assert "<script>alert" not in html
        assert "<img src=x" not in html
