"""A lead sets up a session through its pages; the forms say what is wrong and keep what was written."""

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.labeling.models import GateState, Item, Session
from apps.labeling.services.sessions import QuestionWish, session_open
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from tests.labeling.worlds import chat, frozen, make_session, open_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def lea(client_of, people):
    return client_of(people.lea)


@pytest.fixture
def version(project):
    return frozen(
        project, [chat(f"Ticket {number}: {'card' if number % 2 else 'parcel'}") for number in range(1, 21)]
    )


def url(name, project, *more):
    return reverse(f"labeling:{name}", args=[project.workspace.slug, project.slug, *more])


def wish(version, **changes):
    fields = {
        "name": "Intents",
        "version": version.pk,
        "overlap": 2,
        "overlap_percent": 100,
        "order": "random",
        "lease_minutes": 10,
        "audit_percent": 5,
        "everyone": "on",
        "shows_answer": "on",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


QUESTION = {
    "title": "What is it about?",
    "kind": "choose_one",
    "labels": "refund | money back\ndelivery",
    "required": "on",
}


def test_from_the_form_to_open_items(project, people, lea, version):
    made = lea.post(url("create", project), wish(version, row_filter="q=card", row_limit=6))
    session = Session.objects.get()
    assert made.headers["Location"] == session.get_absolute_url()
    lea.post(url("add_question", project, session.pk), QUESTION)
    page = lea.get(session.get_absolute_url()).content.decode()
    assert "10 rows fit now" in page, "every second ticket is about a card"

    lea.post(url("open", project, session.pk))
    operation_run(operation_id=Operation.objects.get(state=OperationState.QUEUED).pk)

    session.refresh_from_db()
    assert (session.state, session.item_count, session.seat_count) == ("open", 6, 12)
    texts = Item.objects.values_list("example__text", flat=True)
    assert all("card" in text for text in texts)
    question = session.questions.get()
    assert question.key == "what_is_it_about"
    assert question.options == {
        "labels": [{"value": "refund", "help": "money back"}, {"value": "delivery", "help": ""}],
        "ordered": False,
    }
    actions = set(AuditEvent.objects.filter(action__startswith="labeling").values_list("action", flat=True))
    assert actions == {"labeling_session.created", "labeling_question.added", "labeling_session.preparing"}


def test_the_same_seed_chooses_the_same_sample(project, people, version):
    samples = []
    for number in (1, 2):
        session = make_session(project, people.lea, version=version, row_limit=7, name=f"Sample {number}")
        samples.append(list(session.items.order_by("position").values_list("example", flat=True)))

    assert samples[0] == samples[1]
    assert len(samples[0]) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "This field is required"),
        ({"everyone": None}, "Choose who takes part"),
        ({"overlap": 0}, "greater than or equal to 1"),
        ({"is_pilot": "on", "overlap": 1}, "at least two labels an item"),
        ({"row_filter": "nonsense"}, "nothing that rows can be found by"),
    ],
)
def test_a_form_that_cannot_be_kept_says_why(changes, message, project, lea, version):
    answer = lea.post(url("create", project), wish(version, instructions="Read slowly.", **changes))

    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert "Read slowly." in answer.content.decode()
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "only one"}, "at least 2 labels"),
        ({"labels": "a\na"}, "stands there twice"),
        ({"kind": "rate", "low": 5, "high": 1}, "from a lower to a higher number"),
        ({"kind": "edit", "labels": ""}, "hides the row"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(changes, message, project, people, lea):
    session = make_session(project, people.lea, opened=False, shows_answer=False)

    answer = lea.post(url("add_question", project, session.pk), QUESTION | changes)

    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert session.questions.count() == 1


def test_questions_are_changed_moved_and_removed_until_the_session_opens(project, people, lea):
    session = make_session(project, people.lea, opened=False)
    lea.post(url("add_question", project, session.pk), QUESTION | {"key": "second"})
    second = session.questions.get(key="second")

    lea.post(url("move_question", project, second.pk))
    assert list(session.questions.values_list("key", flat=True)) == ["second", "intent"]
    lea.post(url("question", project, second.pk), QUESTION | {"key": "second", "title": "Really?"})
    assert session.questions.get(key="second").title == "Really?"
    lea.post(url("remove_question", project, second.pk))
    assert list(session.questions.values_list("key", flat=True)) == ["intent"]
    open_session(session, people.lea)
    first = session.questions.get()
    assert lea.post(url("remove_question", project, first.pk)).status_code == 409
    assert "opened already" in lea.post(url("add_question", project, session.pk), QUESTION).content.decode()


def test_nothing_opens_without_a_question_or_without_rows(project, people, version):
    session = make_session(project, people.lea, version=version, opened=False, row_filter="q=zebra")
    open_session(session, people.lea)
    assert (session.state, Item.objects.count()) == ("draft", 0)
    assert "No row of the version fits" in session.error

    session.questions.all().delete()
    with pytest.raises(ConflictError, match="at least one question"):
        session_open(session=session, actor=people.lea)


def test_a_session_waits_for_its_pilot(project, people, version):
    pilot = make_session(
        project, people.lea, version=version, is_pilot=True, gate_minimum=0.667, overlap=2, row_limit=5
    )
    session = make_session(project, people.lea, version=version, pilot=pilot, opened=False)

    with pytest.raises(ConflictError, match="has not passed"):
        session_open(session=session, actor=people.lea)
    Session.objects.filter(pk=pilot.pk).update(gate_state=GateState.OPEN)
    open_session(session, people.lea)

    assert session.state == "open"


def test_what_is_fixed_cannot_be_changed_after_opening(project, people, lea, version):
    session = make_session(project, people.lea, version=version, overlap=2)

    answer = lea.post(
        url("edit", project, session.pk), wish(version, name="New name", overlap=5, instructions="Slowly")
    )

    assert answer.status_code == 302
    session.refresh_from_db()
    assert (session.name, session.overlap, session.instructions) == ("New name", 2, "Slowly")


def test_who_is_taken_out_loses_the_session_and_what_they_hold(project, people, lea, client_of, version):
    session = make_session(project, people.lea, version=version, people=[people.ben, people.rob])
    ben = client_of(people.ben)
    claim = url("claim", project, session.pk)
    assert ben.post(claim, "{}", content_type="application/json").status_code == 200

    lea.post(url("edit", project, session.pk), wish(version, everyone=None, members=[people.rob.pk]))

    assert ben.post(claim, "{}", content_type="application/json").status_code == 404
    assert not session.seats.filter(state="held").exists()
    assert list(session.participants.filter(is_active=True).values_list("user", flat=True)) == [people.rob.pk]


def test_the_page_comes_anew_when_the_session_is_prepared(project, people, lea, version):
    session = make_session(project, people.lea, version=version, opened=False)
    place, part = url("session", project, session.pk), {"HX-Request": "true", "HX-Target": "div#live"}
    session_open(session=session, actor=people.lea)
    assert "?was=preparing" in lea.get(place).content.decode()
    assert "HX-Refresh" not in lea.get(f"{place}?was=preparing", headers=part).headers
    operation_run(operation_id=Operation.objects.get(state=OperationState.QUEUED).pk)
    assert lea.get(f"{place}?was=preparing", headers=part).headers["HX-Refresh"] == "true"
    assert "HX-Refresh" not in lea.get(place, headers=part).headers, "an open session's figures come alone"


def test_the_page_warns_when_items_want_more_labels_than_there_are_people(project, people, lea, version):
    few = make_session(project, people.lea, version=version, overlap=3, people=[people.ben, people.rob])
    enough = make_session(project, people.lea, version=version, overlap=3)  # five members may label

    assert "only 2 people take part" in lea.get(few.get_absolute_url()).content.decode()
    assert "Too few people" not in lea.get(enough.get_absolute_url()).content.decode()


def test_the_answer_is_not_hidden_under_a_question_about_it(project, people, lea, version):
    edit = QuestionWish(key="better", kind="edit", title="Make it better")
    session = make_session(project, people.lea, version=version, questions=[edit], opened=False)

    answer = lea.post(url("edit", project, session.pk), wish(version, shows_answer=None))

    assert answer.status_code == 422
    assert "is about the answer" in answer.content.decode()
    session.refresh_from_db()
    assert session.shows_answer
