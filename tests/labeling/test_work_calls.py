"""What the labeling page's calls give to whom. Nobody reads another's answer before giving their own."""

import json
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.labeling.models import Comment, Submission
from apps.labeling.services.guidelines import GuidelineText, guideline_create, guideline_save
from apps.labeling.services.sessions import QuestionWish, session_close, session_pause
from tests.labeling.worlds import chat, label_one, make_session

pytestmark = pytest.mark.django_db

SECRET = "the one answer that nobody else may read"
TEXT = [QuestionWish(key="note", kind="text", title="What do you think?")]


class Worker:
    """Somebody's browser on the labeling page."""

    def __init__(self, client, session) -> None:
        self.client, self.session = client, session

    def call(self, name, data=None, *more, status=200):
        project = self.session.project
        address = reverse(
            f"labeling:{name}", args=[project.workspace.slug, project.slug, self.session.pk, *more]
        )
        answer = self.client.post(address, json.dumps(data or {}), content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json() if status != 404 else {}

    def submit(self, held, answers, *, status=200, client_id=None, **more):
        return self.call(
            "submit",
            {
                "item": held["item"],
                "token": held["token"],
                "client_id": client_id or str(uuid.uuid4()),
                "answers": answers,
                "seconds": 4.5,
                **more,
            },
            status=status,
        )


@pytest.fixture
def at_work(client_of):
    return lambda user, session: Worker(client_of(user), session)


def test_a_submit_keeps_the_label_and_brings_the_next_item(project, people, at_work):
    ben = at_work(people.ben, make_session(project, people.lea, rows=5))

    first = ben.call("claim")
    after = ben.submit(first["held"][0], {"intent": "refund"})

    assert len(first["items"]) == 2
    assert "Ticket" in first["items"][0]["context"]
    assert after["kept"]["state"] == "counts"
    assert after["tally"] == {"mine": 1, "done": 1, "wanted": 5}
    assert [lease["item"] for lease in after["held"]][0] == first["held"][1]["item"]
    known = ben.call("claim", {"have": [lease["item"] for lease in after["held"]]})
    assert known["items"] == [], "what the page has is not sent again"


def test_a_refused_answer_names_its_question(project, people, at_work):
    ben = at_work(people.ben, make_session(project, people.lea))
    held = ben.call("claim")["held"][0]

    answer = ben.submit(held, {"intent": "nonsense"}, status=422)

    assert "intent" in answer["error"]["problems"]
    assert ben.submit(held, {"intent": "refund"})["kept"]["state"] == "counts"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"item": "1"}', b'{"item": true}', b'{"item": 1e400}'])
def test_a_broken_body_is_refused(body, project, people, client_of):
    session = make_session(project, people.lea)
    address = reverse("labeling:submit", args=[project.workspace.slug, project.slug, session.pk])

    answer = client_of(people.ben).post(address, body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


def test_no_call_ever_gives_another_persons_answer(project, people, at_work, client_of):
    """Rob labels every item; Ben then does everything that a labeler can do."""
    session = make_session(
        project, people.lea, rows=2, people=[people.ben, people.rob], overlap=2, questions=TEXT
    )
    rob, ben = at_work(people.rob, session), at_work(people.ben, session)
    for _ in range(2):
        held = rob.call("claim")["held"][0]
        rob.call("comments", {"text": SECRET}, held["item"])
        rob.submit(held, {"note": SECRET})
    seen = [ben.call("claim")]
    held = seen[0]["held"][0]
    seen += [
        ben.call("heartbeat"),
        ben.call("save", {"item": held["item"], "answers": {"note": "mine"}, "revision": 1}),
        ben.call("comments", {"text": "Unclear"}, held["item"]),
        ben.call("flag", {"item": held["item"], "reason": "Odd"}),
        ben.submit(held, {"note": "mine"}),
        ben.call("undo"),
    ]
    pages = [
        client_of(people.ben)
        .get(reverse(f"labeling:{name}", args=[project.workspace.slug, project.slug, session.pk]))
        .content.decode()
        for name in ("work", "mine")
    ]

    assert SECRET not in json.dumps(seen) + "".join(pages)
    assert Comment.objects.filter(text=SECRET).count() == 2


def test_a_reviewer_who_labels_is_blind_until_the_item_is_complete(project, people, client_of):
    session = make_session(
        project, people.lea, rows=1, people=[people.ben, people.rob], overlap=2, questions=TEXT
    )
    item = label_one(session, people.ben, {"note": SECRET})
    address = reverse("labeling:item", args=[project.workspace.slug, project.slug, item.pk])

    assert SECRET not in client_of(people.rob).get(address).content.decode()
    assert SECRET in client_of(people.lea).get(address).content.decode(), "Lea does not label here"
    label_one(session, people.rob, {"note": "mine"})
    assert SECRET in client_of(people.rob).get(address).content.decode()


def test_a_session_that_is_not_ones_own_does_not_exist(project, people, at_work, client_of):
    session = make_session(project, people.lea, people=[people.rob], name="Only for Rob")
    ben = at_work(people.ben, session)

    for name in ("claim", "submit", "save", "heartbeat", "skip", "flag", "undo"):
        ben.call(name, status=404)
    slugs = [project.workspace.slug, project.slug]
    browser = client_of(people.ben)
    assert browser.get(reverse("labeling:work", args=[*slugs, session.pk])).status_code == 404
    assert browser.get(reverse("labeling:session", args=[*slugs, session.pk])).status_code == 403
    assert "Only for Rob" not in browser.get(reverse("labeling:index", args=slugs)).content.decode()
    assert "Only for Rob" in client_of(people.rob).get(reverse("labeling:index", args=slugs)).content.decode()


def test_comments_are_only_for_items_in_ones_hands(project, people, at_work):
    session = make_session(project, people.lea, rows=3)
    ben, rob = at_work(people.ben, session), at_work(people.rob, session)
    item = ben.call("claim")["held"][0]["item"]

    rob.call("comments", {"text": "Hello"}, item, status=409)
    ben.call("comments", {"text": "Is that a refund?"}, item)
    lines = ben.call("comments", {}, item)["comments"]

    assert [line["text"] for line in lines] == ["Is that a refund?"]


def test_the_rows_own_answer_stays_hidden_where_the_session_says_so(project, people, at_work):
    hidden = make_session(project, people.lea, rows=[chat("My card is gone", SECRET)], shows_answer=False)
    shown = make_session(project, people.lea, rows=[chat("My card is gone", SECRET)])

    assert SECRET not in json.dumps(at_work(people.ben, hidden).call("claim"))
    assert at_work(people.ben, shown).call("claim")["items"][0]["answer"] == SECRET


def test_hostile_rows_are_escaped(project, people, at_work):
    session = make_session(project, people.lea, rows=[chat("<img src=x onerror=alert(1)>", "<b>x</b>")])

    item = at_work(people.ben, session).call("claim")["items"][0]

    assert "<img" not in item["context"]
    assert "&lt;img" in item["context"]
    assert item["answer"] == "<b>x</b>", "goes onto the page as text"


def test_the_order_of_answers_to_compare_differs_but_what_is_kept_does_not(project, people, at_work):
    rows = [
        chat(f"Ticket {n}", "chosen", rejected=[{"role": "assistant", "content": "rejected"}])
        for n in range(25)  # that one stands first in all of them has a chance of 1 in 2 ** 24
    ]
    questions = [QuestionWish(key="better", kind="prefer", title="Which is better?")]
    session = make_session(project, people.lea, rows=rows, questions=questions)
    ben = at_work(people.ben, session)

    first_shown = set()
    answer = ben.call("claim")
    while answer["items"]:
        item = answer["items"][0]
        first_shown.add(item["candidates"][0]["text"])
        chosen = next(each["number"] for each in item["candidates"] if each["text"] == "chosen")
        held = next(lease for lease in answer["held"] if lease["item"] == item["id"])
        ben.submit(held, {"better": chosen})
        answer = ben.call("claim")

    assert first_shown == {"chosen", "rejected"}
    assert {answer.value for each in Submission.objects.all() for answer in each.answers.all()} == {"1"}


@pytest.mark.django_db(transaction=True)
def test_a_submit_takes_six_statements_however_many_items_there_are(
    project, people, at_work, django_assert_num_queries
):
    """Who asks (2), the session (1), the row (1), the label (1), the next item with its content and the tally (1)."""
    ben = at_work(people.ben, make_session(project, people.lea, rows=30))
    held = ben.call("claim")["held"]
    held = ben.submit(held[0], {"intent": "refund"})[
        "held"
    ]  # the process knows the session and its questions now

    with django_assert_num_queries(6):
        ben.submit(held[0], {"intent": "refund"})
    with django_assert_num_queries(4):
        ben.call("claim")


# --- Comments to people ---------------------------------------------------------------------------------------


def test_a_comment_is_announced_to_the_others_of_the_thread_until_they_read_it(
    project, people, at_work, client_of
):
    session = make_session(project, people.lea, rows=2, people=[people.ben])
    ben, rob, lea = at_work(people.ben, session), client_of(people.rob), client_of(people.lea)
    item = ben.call("claim")["held"][0]["item"]
    slugs = [project.workspace.slug, project.slug]
    listed = reverse("labeling:index", args=slugs)
    mine = reverse("labeling:mine", args=[*slugs, session.pk])

    ben.call("comments", {"text": "Is this a refund?"}, item)

    assert "1 to read" in lea.get(listed).content.decode(), "who set the session up hears the question"
    assert "to read" not in rob.get(listed).content.decode(), "Rob is not in the thread"
    assert ben.call("claim")["replies"] == 0, "nobody is told of their own words"
    session_page = lea.get(session.get_absolute_url()).content.decode()
    assert "?show=replies" in session_page
    items = lea.get(reverse("labeling:items", args=[*slugs, session.pk]) + "?show=replies").content.decode()
    assert reverse("labeling:item", args=[*slugs, item]) in items

    rob.post(reverse("labeling:comment", args=[*slugs, item, people.ben.pk]), {"text": "Yes, it is."})

    assert "2 to read" in lea.get(listed).content.decode()
    assert ben.call("claim")["replies"] == 1
    assert "Yes, it is." in client_of(people.ben).get(mine).content.decode()

    lea.get(reverse("labeling:item", args=[*slugs, item]))
    assert "to read" not in lea.get(listed).content.decode()

    client_of(people.ben).post(
        reverse("labeling:read_thread", args=[*slugs, session.pk]), {"item": item, "text": "Thanks"}
    )
    assert ben.call("claim")["replies"] == 0
    assert "Yes, it is." not in client_of(people.ben).get(mine).content.decode()
    assert "1 to read" in rob.get(listed).content.decode(), "Rob wrote in it, so he is told"


def test_a_labeler_marks_only_threads_of_their_own_items(project, people, at_work, client_of):
    session = make_session(project, people.lea, rows=2, people=[people.ben, people.rob])
    rob = at_work(people.rob, session)
    item = rob.call("claim")["held"][0]["item"]
    rob.call("comments", {"text": "Mine"}, item)
    address = reverse("labeling:read_thread", args=[project.workspace.slug, project.slug, session.pk])

    answer = client_of(people.ben).post(address, {"item": item, "text": "Let me in"})

    assert answer.status_code == 409
    assert not Comment.objects.filter(text="Let me in").exists()


# --- What may have changed since the page was opened ---------------------------------------------------------------


def test_a_page_that_somebody_else_left_open_labels_nothing(project, people, at_work):
    session = make_session(project, people.lea)
    ben = at_work(people.ben, session)
    held = ben.call("claim", {"me": people.ben.pk})["held"][0]

    answer = ben.submit(held, {"intent": "refund"}, status=401, me=people.rob.pk)

    assert answer["error"]["code"] == "other_person"
    assert not Submission.objects.exists()
    assert ben.submit(held, {"intent": "refund"}, me=people.ben.pk)["kept"]["state"] == "counts"


@pytest.mark.parametrize(("change", "again"), [("meaning", True), ("wording", False), ("structure", False)])
def test_a_label_belongs_to_the_guideline_that_was_shown(change, again, project, people, at_work):
    guideline = guideline_create(
        project=project, name="Intents", content=GuidelineText("Old"), actor=people.lea
    )
    session = make_session(project, people.lea, guideline=guideline)
    ben = at_work(people.ben, session)
    before = ben.call("claim")
    guideline_save(
        guideline=guideline, based_on=1, change=change, content=GuidelineText("New"), actor=people.lea
    )

    after = ben.submit(before["held"][0], {"intent": "refund"}, guideline=before["guideline"])
    ben.submit(after["held"][0], {"intent": "refund"}, guideline=after["guideline"])

    made = Submission.objects.order_by("pk").values_list("guideline_version__number", "look_again")
    assert list(made) == [(1, again), (2, False)]


def test_a_guideline_of_elsewhere_is_none_that_was_shown(project, people, at_work):
    mine, other = (
        guideline_create(project=project, name=name, content=GuidelineText("Text"), actor=people.lea)
        for name in ("Mine", "Other")
    )
    ben = at_work(people.ben, make_session(project, people.lea, guideline=mine))
    held = ben.call("claim")["held"][0]

    ben.submit(held, {"intent": "refund"}, guideline=other.versions.get().pk)

    assert Submission.objects.get().guideline_version == mine.versions.get()


def test_the_page_learns_why_nothing_is_handed_out(project, people, at_work):
    session = make_session(project, people.lea)
    ben = at_work(people.ben, session)

    assert ben.call("claim")["stopped_by"] == ""
    session_pause(session=session, actor=people.lea)
    assert ben.call("claim")["stopped_by"] == "paused"
    session_close(session=session, actor=people.lea)
    assert ben.call("claim")["stopped_by"] == "closed"
    late = make_session(project, people.lea, deadline=timezone.now() - timedelta(minutes=1))
    assert at_work(people.ben, late).call("claim")["stopped_by"] == "deadline"


def test_lists_show_what_a_row_asks_and_not_the_prompt_that_all_rows_share(project, people, client_of):
    row = chat("Where is my parcel?")
    row["messages"].insert(0, {"role": "system", "content": "You help customers."})
    session = make_session(project, people.lea, rows=[row])
    address = reverse("labeling:items", args=[project.workspace.slug, project.slug, session.pk])

    page = client_of(people.lea).get(address).content.decode()

    assert "Where is my parcel?" in page
    assert "You help customers." not in page


def test_a_lead_who_labels_exports_others_labels_only_of_items_that_are_complete(project, people, client_of):
    session = make_session(project, people.lea, rows=1, overlap=2, questions=TEXT)
    address = reverse("labeling:export_labels", args=[project.workspace.slug, project.slug, session.pk])
    lea = client_of(people.lea)
    label_one(session, people.ben, {"note": SECRET})

    assert SECRET not in b"".join(lea.get(address).streaming_content).decode()
    label_one(session, people.lea, {"note": "mine"})
    both = b"".join(lea.get(address).streaming_content).decode()

    assert SECRET in both
    assert "mine" in both
