"""The labeling page as somebody uses it for two hours: by keyboard only, over a network that comes and goes."""

import json
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.labeling import open_session
from tests.e2e.screens import SignIn
from tests.integration.main_job import Work, new_project
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e

INTENTS = [
    f"{thing}_{what}"
    for thing in ("card", "account", "transfer", "bill")
    for what in ("lost", "late", "limit")
]
TEXTS = [f"Ticket {number}: my blue card is gone" for number in range(1, 9)]
ANSWER = "We are sorry. Your card will come tomorrow."
REJECTED = "Wait."


@pytest.fixture(scope="module")
def work(together: Together) -> Work:
    return new_project(together, "Labeling by keyboard")


@pytest.fixture(scope="module")
def version(work: Work) -> int:
    rows = [
        {
            "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": ANSWER}],
            "rejected": [{"role": "assistant", "content": REJECTED}],
        }
        for text in TEXTS
    ]
    file = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return work.freeze(work.imported(file, "asked.jsonl"))


def enter(page: Page, work: Work, together: Together, session: int) -> None:
    SignIn(page).enter(together.email, together.password)
    expect(SignIn(page).title).to_have_text("Projects")
    page.goto(f"{work.base}label/sessions/{session}/work/")
    expect(page.locator("[data-columns]")).to_be_visible()


def kept(together: Together, session: int) -> list[dict[str, Any]]:
    return together.rows(
        "SELECT i.position, q.key, a.value, a.edit_distance FROM labeling_answer a"
        " JOIN labeling_question q ON q.id = a.question_id JOIN labeling_submission s ON s.id = a.submission_id"
        " JOIN labeling_item i ON i.id = s.item_id"
        " WHERE s.session_id = %s AND s.state = 'counts' ORDER BY i.position, q.position",
        session,
    )


INTENT = {"title": "What is it about?", "kind": "choose_one", "key": "intent", "labels": "\n".join(INTENTS)}
TONE = {"title": "Tone", "kind": "choose_one", "key": "tone", "labels": "calm\nangry"}


def test_several_questions_are_answered_without_a_mouse(
    page: Page, work: Work, version: int, together: Together
) -> None:
    edit = {"title": "Make the answer better", "kind": "edit", "key": "better"}
    quality = {"title": "How good is it?", "kind": "rate", "key": "quality"}
    session = open_session(work, version, "Several questions", INTENT, TONE, quality, edit)
    enter(page, work, together, session)
    press, write = page.keyboard.press, page.keyboard.type

    for number in range(1, 5):
        expect(page.locator("[data-context]")).to_contain_text(f"Ticket {number}:")
        expect(page.get_by_placeholder("Type to find a label")).to_be_focused()
        write("bill_la")
        press("Enter")
        press("2")  # angry
        press("4")  # of five
        press("n")
        expect(page.get_by_role("textbox", name="Make the answer better")).to_be_focused()
        press("Control+Home")
        write("Hello. ")
        expect(page.locator("[data-difference] ins")).to_have_text("Hello. ")
        press("Control+Enter")
        expect(page.locator("[data-mine]")).to_have_text(str(number))

    by_item: dict[int, dict[str, Any]] = {row["position"]: {} for row in kept(together, session)}
    for row in kept(together, session):
        by_item[row["position"]][row["key"]] = row["value"]
    wanted = {"intent": "bill_late", "tone": "angry", "quality": 4, "better": f"Hello. {ANSWER}"}
    assert by_item == dict.fromkeys(range(1, 5), wanted)
    distance = {row["edit_distance"] for row in kept(together, session) if row["key"] == "better"}
    # 7 characters inserted; the longer text has 50.
    assert distance == {7 / len(f"Hello. {ANSWER}")}
    switches = page.evaluate(
        "() => performance.getEntriesByName('label-to-next').map((entry) => entry.duration)"
    )
    assert len(switches) == 4
    assert sorted(switches)[len(switches) // 2] < 100, switches


def test_preferences_rankings_and_spans_without_a_mouse(
    page: Page, work: Work, version: int, together: Together
) -> None:
    session = open_session(
        work,
        version,
        "Preferences and spans",
        {"title": "Which is better?", "kind": "prefer", "key": "better", "ties": "on"},
        {"title": "Order them", "kind": "rank", "key": "order"},
        {
            "title": "Mark things",
            "kind": "spans",
            "key": "things",
            "labels": "thing\ncolour",
            "about": "question",
        },
    )
    enter(page, work, together, session)
    press = page.keyboard.press
    shown = page.locator(".candidate .chat-text").first.inner_text()

    press("1")
    press("1")
    press("2")
    press("n")
    expect(page.locator("[data-span-text]")).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "2", "ArrowRight", "1"):
        press(key)
    expect(page.locator("[data-span-list] li")).to_have_text(["colour: blueRemove", "thing: cardRemove"])
    press("Enter")
    expect(page.locator("[data-mine]")).to_have_text("1")

    first = "1" if shown == ANSWER else "2"
    second = "2" if first == "1" else "1"
    values = {row["key"]: row["value"] for row in kept(together, session)}
    start = TEXTS[0].index("blue")
    assert values == {
        "better": first,
        "order": [[first], [second]],
        "things": [
            {"start": start, "end": start + 4, "label": "colour"},
            {"start": start + 5, "end": start + 9, "label": "thing"},
        ],
    }


def test_what_was_written_survives_a_crash_of_the_browser(
    page: Page, context: BrowserContext, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "A crash", {"title": "Why?", "kind": "text", "key": "why"})
    enter(page, work, together, session)
    page.keyboard.type("It took me long to write")
    expect(page.locator(".label-state")).to_have_attribute("data-state", "saved")
    page.evaluate("() => localStorage.clear()")  # another machine knows only what the server has
    page.close()

    again = context.new_page()
    again.goto(f"{work.base}label/sessions/{session}/work/")

    expect(again.get_by_role("textbox", name="Why?")).to_have_value("It took me long to write")


def test_labels_made_without_a_network_arrive_once_it_is_back(
    context: BrowserContext, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "No network", TONE)
    page = context.new_page()  # not watched: its requests are meant to fail
    enter(page, work, together, session)
    expect(page.locator(".label-state")).to_have_attribute("data-state", "ready")

    context.set_offline(True)
    for _ in range(2):  # the one on the screen and the one that was fetched before
        expect(page.locator("[data-columns]")).to_be_visible()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    expect(page.locator(".label-state")).to_have_attribute("data-state", "offline")
    assert kept(together, session) == []
    page.close()  # and the browser goes, too
    context.set_offline(False)

    again = context.new_page()
    again.goto(f"{work.base}label/sessions/{session}/work/")

    expect(again.locator("[data-mine]")).to_have_text("2")
    expect(again.locator(".label-state")).to_have_attribute("data-state", "ready")
    assert [(row["position"], row["value"]) for row in kept(together, session)] == [(1, "calm"), (2, "calm")]


def test_skip_undo_and_comment_without_a_mouse(
    page: Page, work: Work, version: int, together: Together
) -> None:
    session = open_session(work, version, "Skip and undo", TONE)
    enter(page, work, together, session)
    press, write = page.keyboard.press, page.keyboard.type

    press("s")
    write("Not my language")
    press("Enter")
    expect(page.locator("[data-context]")).to_contain_text("Ticket 2:")
    press("c")
    expect(page.get_by_role("textbox", name="Write a comment")).to_be_focused()
    write("Is this one calm?")
    page.get_by_role("button", name="Send").press("Enter")
    expect(page.locator("[data-thread] li")).to_contain_text("Is this one calm?")
    press("Escape")
    expect(page.locator("#label-comments")).to_be_hidden()
    press("2")
    press("Enter")
    expect(page.locator("[data-mine]")).to_have_text("1")
    expect(page.locator("[data-context]")).to_contain_text("Ticket 3:")
    press("u")
    expect(page.locator("[data-context]")).to_contain_text("Ticket 2:")
    expect(page.get_by_role("radio", name="angry")).to_be_checked()
    press("1")
    press("Enter")
    expect(page.locator("[data-mine]")).to_have_text("1")

    assert [(row["position"], row["value"]) for row in kept(together, session)] == [(2, "calm")]
    assert together.value("SELECT reason FROM labeling_skip") == "Not my language"
