"""Three people label the same pilot in three browsers, differ, get adjudicated; the new version holds the gold."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Watch
from tests.e2e.screens import BACKGROUND, SignIn
from tests.e2e.test_accessibility import assert_accessible
from tests.ftportal.running import wait_for
from tests.integration.main_job import Work, last_number, new_project
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e

LABELS = ("refund", "delivery", "account")
TRUTH = {
    "I want my money back": "refund",
    "Please return what I paid": "refund",
    "You charged me twice": "refund",
    "Where is my parcel": "delivery",
    "The courier never came": "delivery",
    "My package is late": "delivery",
    "I cannot log in": "account",
    "My password does not work": "account",
    "Delete my profile": "account",
    "The parcel came broken, I want my money": "refund",
    "Change my address for the next delivery": "delivery",
    "I forgot which e-mail I used": "account",
}
BROKEN, ADDRESS, EMAIL = list(TRUTH)[-3:]
# Two disputes with a majority, and one in which everybody says something else.
ADA: dict[str, str] = {}
BO = {BROKEN: "delivery", EMAIL: "refund"}
CY = {ADDRESS: "account", EMAIL: "delivery"}
GOLD = TRUTH | {ADDRESS: "account"}
PASSWORD = "correct horse battery staple"


@pytest.fixture
def people(browser: Browser, together: Together, watch: list[Watch]) -> Iterator[list[Page]]:
    """Three browsers, each with cookies of its own."""
    contexts = [
        browser.new_context(base_url=together.url, viewport={"width": 1280, "height": 800}) for _ in range(3)
    ]
    pages = [context.new_page() for context in contexts]
    watch.extend(Watch(page) for page in pages)
    yield pages
    for context in contexts:
        context.close()


def test_three_people_label_a_pilot_and_its_gold_becomes_the_next_version(
    page: Page, people: list[Page], together: Together
) -> None:
    work = new_project(together, "Intents of customers")
    rows = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "unlabeled"}]}
        for text in TRUTH
    ]
    version = work.freeze(
        work.imported(b"".join(json.dumps(row).encode() + b"\n" for row in rows), "asked.jsonl")
    )
    members = [join(work, person, name) for person, name in zip(people, ("Ada", "Bo", "Cy"), strict=True)]
    session = open_pilot(work, version, members)

    for person, slips in zip(people, (ADA, BO, CY), strict=True):
        label_everything(person, f"{work.base}label/sessions/{session}/work/", TRUTH | slips)
    stages = "SELECT count(*) FROM labeling_item WHERE session_id = %s AND stage = %s"
    # The items settle as their last labels come in, by lot the disputed ones first or last.
    wait_for(
        lambda: [together.value(stages, session, name) for name in ("resolved", "adjudication")] == [9, 3],
        BACKGROUND / 1000,
        "nine items resolved and three that differ",
    )

    SignIn(page).enter(together.email, together.password)
    read_agreement(page, work, session)
    adjudicate(page, work, session)
    new = hand_over(page, work, session)
    check_gold(together, new, session, members)
    import_page(page, work, session)


def join(work: Work, page: Page, name: str) -> int:
    """Invited by the owner, each makes an account in a browser of their own; the number of the account."""
    workspace = work.base.split("p/")[0]
    form = work.visitor.get(f"{workspace}settings/members/")
    invited = work.visitor.send(
        form,
        next(one for one in form.forms if any(field == "email" for field, _ in one.fields)),
        role="labeler",
    )
    link = re.search(r"/join/[\w\-]+/", invited.text)
    assert link is not None, invited.text
    email = f"{name.lower()}-{work.base.strip('/').replace('/', '-')}@example.org"
    page.goto(link[0])
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account and join").click()
    expect(page).not_to_have_url(re.compile("/join/"))
    number: int = work.stack.value("SELECT id FROM accounts_user WHERE email = %s", email)
    return number


def open_pilot(work: Work, version: int, members: list[int]) -> int:
    form = work.visitor.get(f"{work.base}label/sessions/new/")
    page = work.visitor.submit(
        form,
        "Create session",
        name="Pilot of intents",
        version=version,
        shows_answer=None,
        overlap=3,
        audit_percent=0,
        is_pilot="on",
        members=members,
    )
    session = last_number(page)
    form = work.visitor.get(f"{work.base}label/sessions/{session}/questions/new/")
    page = work.visitor.submit(
        form,
        "Add question",
        title="What is it about?",
        kind="choose_one",
        key="intent",
        labels="\n".join(LABELS),
    )
    assert page.status == 200, page.text
    work.visitor.submit(work.visitor.get(f"{work.base}label/sessions/{session}/"), "Open the session")
    state = "SELECT state FROM labeling_session WHERE id = %s"
    wait_for(lambda: work.stack.value(state, session) == "open", BACKGROUND / 1000, "the open session")
    return session


def label_everything(page: Page, address: str, answers: dict[str, str]) -> None:
    """By keyboard only: a digit and Enter for each item, as fast as the page shows them."""
    page.goto(address)
    done = 0
    while done < len(answers):
        expect(page.locator("[data-mine]")).to_have_text(str(done))
        expect(page.locator("[data-columns]")).to_be_visible()
        shown = page.locator("[data-context]").inner_text()
        (asked,) = [text for text in answers if text in shown]
        page.keyboard.press(str(LABELS.index(answers[asked]) + 1))
        page.keyboard.press("Enter")
        done += 1
    expect(page.locator("[data-mine]")).to_have_text(str(done))
    expect(page.locator("[data-empty]")).to_be_visible()


def read_agreement(page: Page, work: Work, session: int) -> None:
    page.goto(f"{work.base}label/sessions/{session}/agreement/")
    expect(page.locator(".verdict-title")).to_contain_text("α = 0.")
    everybody_can_use(page)
    # Of the 36 pairs of labels 27 + 1 + 1 agree.
    expect(page.get_by_role("row", name=re.compile("^Raw agreement"))).to_contain_text("80.6")
    page.locator(".confusion-table").get_by_role("link", name="3", exact=True).first.click()
    expect(page.get_by_text("One person said")).to_be_visible()
    expect(page.locator("#items tbody tr")).to_have_count(2)
    everybody_can_use(page)


def everybody_can_use(page: Page) -> None:
    """In light and dark, narrow and wide; the window is as before afterwards."""
    assert_accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})


def adjudicate(page: Page, work: Work, session: int) -> None:
    """By keyboard: the owner labeled nothing, so everything waits for them; the item without a majority comes first."""
    page.goto(f"{work.base}label/sessions/{session}/adjudication/")
    expect(page.get_by_role("link", name=re.compile("Start with item 12"))).to_be_visible()
    everybody_can_use(page)
    page.keyboard.press("a")
    expect(page.locator("#judge")).to_be_visible()
    everybody_can_use(page)
    for asked, cause in ((EMAIL, "l"), (BROKEN, "e"), (ADDRESS, "g")):
        expect(page.locator(".chat")).to_contain_text(asked)
        for name in ("Ada", "Bo", "Cy"):
            expect(page.locator("#judge")).not_to_contain_text(name)
        digit = (
            page.locator(".judge-answer")
            .filter(has_text=GOLD[asked])
            .locator("input")
            .get_attribute("data-digit")
        )
        page.keyboard.press(str(digit))
        page.keyboard.press(cause)
        page.keyboard.press("Enter")
        expect(page.locator("#content")).not_to_contain_text(asked)
    expect(page.get_by_text("Everything is settled")).to_be_visible()


def hand_over(page: Page, work: Work, session: int) -> int:
    page.goto(f"{work.base}label/sessions/{session}/outcome/")
    expect(page.get_by_label("The assistant's answer")).to_have_value("intent")
    everybody_can_use(page)
    page.get_by_role("button", name="Put them in").click()
    link = page.get_by_role("link", name=re.compile("Look at .* v2"))
    expect(link).to_be_visible(timeout=BACKGROUND)
    link.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("version 2")
    number = int(page.url.rstrip("/").rsplit("/", 1)[-1])
    state = "SELECT state FROM datasets_version WHERE id = %s"
    wait_for(lambda: work.stack.value(state, number) == "frozen", BACKGROUND / 1000, "the new version")
    return number


def import_page(page: Page, work: Work, session: int) -> None:
    page.goto(f"{work.base}label/sessions/{session}/import/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Import labels")
    everybody_can_use(page)


def check_gold(stack: Together, version: int, session: int, members: list[int]) -> None:
    rows = stack.rows(
        "SELECT e.payload FROM datasets_versionrow v JOIN datasets_example e ON e.id = v.example_id"
        " WHERE v.version_id = %s",
        version,
    )
    payloads = [row["payload"] for row in rows]
    answers = {payload["messages"][0]["content"]: payload["messages"][-1]["content"] for payload in payloads}
    assert answers == GOLD
    known = {payload["messages"][0]["content"]: payload["metadata"]["labeling"] for payload in payloads}
    disputed = {BROKEN: "edge_case", ADDRESS: "guideline_gap", EMAIL: "labeler_error"}
    for asked, labeling in known.items():
        assert labeling["session_id"] == session
        assert sorted(labeling["labelers"]) == sorted(members)
        assert labeling["provenance"] == ("adjudicated" if asked in disputed else "unanimous")
        assert labeling.get("cause") == disputed.get(asked)
    assert known[EMAIL]["distribution"] == {"intent": {"account": 1, "delivery": 1, "refund": 1}}
    # Every label that was given is still there.
    assert stack.value("SELECT count(*) FROM labeling_submission WHERE session_id = %s", session) == 36
