"""The labeling page when something comes in between: other tabs, other people, a changed guideline, the end."""

import json
import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.labeling import open_session
from tests.e2e.screens import SignIn
from tests.e2e.test_labeling_together import join
from tests.integration.main_job import Work, last_number, new_project
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e

TONE = {"title": "Tone", "kind": "choose_one", "key": "tone", "labels": "calm\nangry"}
TOPICS = {"title": "Topics", "kind": "choose_several", "key": "topics", "labels": "card\nbill\nloan"}
KEPT = (
    "SELECT i.position, u.email, q.key, a.value FROM labeling_answer a"
    " JOIN labeling_question q ON q.id = a.question_id JOIN labeling_submission s ON s.id = a.submission_id"
    " JOIN accounts_user u ON u.id = s.user_id JOIN labeling_item i ON i.id = s.item_id"
    " WHERE s.session_id = %s AND s.state = 'counts' ORDER BY i.position, q.position"
)


@pytest.fixture(scope="module")
def work(together: Together) -> Work:
    return new_project(together, "Labeling with troubles")


@pytest.fixture(scope="module")
def version(work: Work) -> int:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Ticket {number}: my card is gone"},
                {"role": "assistant", "content": "We are sorry."},
            ],
            "candidates": ["Sorry.", "Wait.", "Go away."],
        }
        for number in range(1, 5)
    ]
    return work.freeze(
        work.imported(b"".join(json.dumps(row).encode() + b"\n" for row in rows), "asked.jsonl")
    )


def address(work: Work, session: int) -> str:
    return f"{work.base}label/sessions/{session}/work/"


def enter(page: Page, work: Work, together: Together, session: int) -> None:
    sign_in(page, together)
    look_at(page, work, session)


def sign_in(page: Page, together: Together) -> None:
    SignIn(page).enter(together.email, together.password)
    expect(page).not_to_have_url(re.compile("/sign-in/"))


def look_at(page: Page, work: Work, session: int) -> None:
    page.goto(address(work, session))
    expect(page.locator("[data-columns]")).to_be_visible()


def state_is(page: Page, name: str) -> None:
    expect(page.locator(".label-state")).to_have_attribute("data-state", name)


def test_several_labels_texts_and_one_of_three_answers_by_keyboard(
    page: Page, work: Work, version: int, together: Together
) -> None:
    why = {"title": "Why?", "kind": "text", "key": "why", "required": None}
    right = {"title": "Is the answer right?", "kind": "verdict", "key": "right"}
    best = {"title": "Which is best?", "kind": "prefer", "key": "best"}
    session = open_session(work, version, "Several labels", TOPICS, why, best, right)
    enter(page, work, together, session)
    press = page.keyboard.press
    expect(page.locator("[data-answer-box]")).to_contain_text("We are sorry.")
    shown = page.locator(".candidate .chat-text").all_inner_texts()

    press("1")
    press("3")
    press("n")
    page.keyboard.type("Because")
    press("Escape")
    press("3")
    press("2")
    press("Enter")

    expect(page.locator("[data-mine]")).to_have_text("1")
    values = {row["key"]: row["value"] for row in together.rows(KEPT, session)}
    best_number = str(["Sorry.", "Wait.", "Go away."].index(shown[2]) + 1)
    assert values == {"topics": ["card", "loan"], "why": "Because", "best": best_number, "right": "reject"}


def test_two_tabs_without_a_network_keep_what_was_labeled_in_either(
    context: BrowserContext, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "Two tabs", TONE)
    first, second = context.new_page(), context.new_page()
    enter(first, work, together, session)
    look_at(second, work, session)

    context.set_offline(True)
    for tab, items in ((second, 2), (first, 1)):
        for _ in range(items):
            expect(tab.locator("[data-columns]")).to_be_visible()
            tab.keyboard.press("2")
            tab.keyboard.press("Enter")
        state_is(tab, "offline")
    first.close()
    second.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(address(work, session))

    expect(again.locator("[data-mine]")).to_have_text("2")
    assert [(row["position"], row["value"]) for row in together.rows(KEPT, session)] == [
        (1, "angry"),
        (2, "angry"),
    ]


def test_signing_in_again_in_another_tab_is_enough(
    context: BrowserContext, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "Signed in again", TONE)
    page, other = context.new_page(), context.new_page()
    enter(page, work, together, session)
    other.goto("/")
    SignIn(other).leave()

    page.keyboard.press("1")
    page.keyboard.press("Enter")
    state_is(page, "signed-out")
    sign_in(other, together)

    expect(page.locator("[data-mine]")).to_have_text("1")
    state_is(page, "ready")


def test_labels_never_become_those_of_who_signed_in_meanwhile(
    context: BrowserContext, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "Another person", TONE)
    page, other = context.new_page(), context.new_page()
    enter(page, work, together, session)
    other.goto("/")
    SignIn(other).leave()
    join(work, other, "Dee")

    page.keyboard.press("1")
    page.keyboard.press("Enter")
    state_is(page, "other-person")
    assert together.rows(KEPT, session) == []
    SignIn(other).leave()
    sign_in(other, together)

    expect(page.locator("[data-mine]")).to_have_text("1")
    assert [row["email"] for row in together.rows(KEPT, session)] == [together.email]


def test_a_label_stands_under_the_guideline_that_its_author_saw(
    page: Page, work: Work, version: int, together: Together
) -> None:
    form = work.visitor.get(f"{work.base}label/guidelines/new/")
    guideline = last_number(work.visitor.submit(form, "Save", name="Tones", text="Angry is loud."))
    session = open_session(work, version, "Guided", TONE, guideline=guideline)
    enter(page, work, together, session)
    expect(page.locator("#label-guideline")).to_contain_text("Angry is loud.")

    form = work.visitor.get(f"{work.base}label/guidelines/{guideline}/change/")
    work.visitor.submit(form, "Save", text="Angry is rude.", change="meaning")
    page.keyboard.press("1")
    page.keyboard.press("Enter")

    expect(page.locator("#label-guideline")).to_contain_text("Angry is rude.")
    expect(page.locator("[data-guideline-changed]")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("[data-mine]")).to_have_text("2")
    made = together.rows(
        "SELECT v.number, s.look_again FROM labeling_submission s"
        " JOIN labeling_guidelineversion v ON v.id = s.guideline_version_id"
        " WHERE s.session_id = %s ORDER BY s.id",
        session,
    )
    assert [(row["number"], row["look_again"]) for row in made] == [(1, True), (2, False)]


def test_the_end_says_why_there_is_nothing_left(
    page: Page, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "The end", TONE)
    title = page.locator("[data-empty-title]")
    enter(page, work, together, session)

    for number in range(1, 5):
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        expect(page.locator("[data-mine]")).to_have_text(str(number))
    expect(title).to_have_text("Everything is labeled")
    for verb, words in (("Pause", "The session is paused"), ("Close the session", "The session is closed")):
        work.visitor.submit(work.visitor.get(f"{work.base}label/sessions/{session}/"), verb)
        page.reload()
        expect(title).to_have_text(words)


def test_the_deadline_is_told(page: Page, work: Work, version: int, together: Together) -> None:
    session = open_session(work, version, "Too late", TONE, deadline="2020-01-01T12:00")
    sign_in(page, together)
    page.goto(address(work, session))

    expect(page.locator("[data-empty-title]")).to_have_text("The deadline has passed")
