"""The main job in one sitting: from the first sign-in to the verdict, in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.screens import BACKGROUND, Data, Evaluation, Projects, SignIn, Training
from tests.integration.rows import distinct_tickets, general_items, jsonl, row
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e

GOOD, REPEATED = 160, 3
BAD = [
    b'{"messages": [{"role": "user", "content": "cut',
    row(("human", "Where is my parcel?"), ("assistant", "shipping")),
    row(("user", "Anybody there?")),
]


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """Good rows, three of them twice, and three lines that are wrong in different ways."""
    good = distinct_tickets(GOOD)
    lines = [*good[:50], BAD[0], *good[50:100], BAD[1], *good[100:], BAD[2], *good[:REPEATED]]
    file = tmp_path / "tickets.jsonl"
    file.write_bytes(jsonl(lines))
    return file


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    file = tmp_path / "skills.jsonl"
    file.write_bytes(general_items(20))
    return file


@pytest.mark.timeout(900)
def test_from_the_first_sign_in_to_the_verdict(page: Page, together: Together, tickets: Path, skills: Path):
    SignIn(page).enter(together.email, together.password)
    expect(Projects(page).title).to_have_text("Projects")
    Projects(page).create("Ticket triage", "Sort support tickets by category and priority.")
    expect(Projects(page).title).to_have_text("Ticket triage")

    import_and_commit(page, tickets)
    browse_and_search(page)
    freeze(page)
    train_and_watch(page)
    compare(page, skills)

    SignIn(page).leave()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in/"))


def import_and_commit(page: Page, file: Path) -> None:
    data = Data(page)
    data.stage("Data")
    data.upload(file)
    expect(data.title).to_have_text("tickets.jsonl")
    expect(data.verdict).to_contain_text(f"{GOOD + REPEATED} rows passed", timeout=BACKGROUND)
    expect(data.verdict).to_contain_text("3 lines did not")
    expect(data.problems).to_have_count(3)
    expect(data.problems.nth(0)).to_contain_text("The line ends in the middle of its JSON")
    expect(data.problems.nth(1)).to_contain_text('“human” is not a role; write "user"')
    expect(data.problems.nth(1)).to_contain_text("102")
    expect(data.problems.nth(2)).to_contain_text("nothing to learn from")
    data.commit()
    expect(data.verdict).to_contain_text(f"{GOOD} rows added", timeout=BACKGROUND)


def browse_and_search(page: Page) -> None:
    data = Data(page)
    page.get_by_role("link", name="Look at the rows of this file").click()
    expect(data.rows.first).to_be_visible()
    everything = data.rows.count()
    data.search("refund")
    expect(page).to_have_url(re.compile("q=refund"))
    expect(data.rows.first).to_contain_text(re.compile("refund", re.IGNORECASE))
    assert data.rows.count() < everything
    data.rows.first.get_by_role("link").click()
    expect(page.get_by_role("region", name="Conversation")).to_contain_text(
        re.compile("refund", re.IGNORECASE)
    )
    page.go_back()
    expect(page).to_have_url(re.compile("q=refund"))


def freeze(page: Page) -> None:
    data = Data(page)
    data.stage("Data")
    data.freeze()
    expect(data.title).to_have_text("tickets, version 1")
    expect(page.get_by_role("heading", name="How the rows are divided")).to_be_visible(timeout=BACKGROUND)
    expect(page.locator(".split-legend")).to_contain_text("Test 16")


def train_and_watch(page: Page) -> None:
    training = Training(page)
    training.stage("Train")
    training.primary("New training job").or_(page.get_by_role("link", name="New training job")).first.click()
    training.fill_in(epochs="4", batch_size="4", lora_rank="4")
    expect(training.preview).to_contain_text("128 (32 an epoch)")  # 128 training rows, 4 a step, four times
    page.get_by_role("button", name="Start training").click()
    expect(training.title).to_have_text("Training 1")

    # Points arrive in the open page: nothing is reloaded between these two.
    expect(training.curve).to_contain_text("at step", timeout=BACKGROUND)
    early = training.last_step()
    expect(page.locator("[data-loss-main] canvas")).to_have_count(1)
    page.evaluate("() => { window.sameDocument = true }")
    expect(training.curve).not_to_contain_text(f"(smoothed) at step {early} ", timeout=BACKGROUND)
    assert page.evaluate("() => window.sameDocument === true")
    later = training.last_step()
    assert later > early

    page.reload()
    expect(training.curve).to_contain_text("at step")
    assert training.last_step() >= later, "a reload shows at least what was shown before"
    expect(page.get_by_text("The model is trained")).to_be_visible(timeout=BACKGROUND)
    expect(training.curve).to_contain_text("at step 128 of 128")
    expect(training.curve).to_contain_text("Lowest validation loss")
    page.locator("[data-loss-main]").press("ArrowLeft")
    expect(page.locator("[data-loss-reading]")).to_contain_text("training")
    page.get_by_text("Values as a table").click()
    values = page.locator("[data-loss-table] tbody tr")
    expect(values.last.locator("th")).to_have_text("128")
    expect(page.locator("[data-loss-table] thead")).to_contain_text("Validation loss")
    page.get_by_role("link", name=re.compile("^model 1")).click()
    expect(page.get_by_role("heading", name="Lineage")).to_be_visible()
    expect(page.locator(".lineage")).to_contain_text("tickets v1")


def compare(page: Page, skills: Path) -> None:
    evaluation = Evaluation(page)
    evaluation.stage("Evaluate")
    evaluation.upload_items("Twenty skills", skills)
    expect(evaluation.title).to_have_text("Twenty skills")
    expect(page.get_by_text("20 frozen items")).to_be_visible()

    evaluation.stage("Evaluate")
    evaluation.primary("New comparison").click()
    page.get_by_label("Best prompt", exact=False).first.fill(
        "Answer with two lines: category and priority of the ticket."
    )
    page.get_by_label("Few-shot examples").fill("2")
    expect(page.locator("#preview")).to_contain_text("16 of the task, 20 general")
    evaluation.primary("Start comparison").click()
    expect(evaluation.verdict).to_be_visible(timeout=BACKGROUND)
    expect(evaluation.verdict).to_contain_text("n = 16")
    for contender in ("The base model as it is", "The written prompt", "Few-shot (2 examples)", "Fine-tuned"):
        expect(
            page.get_by_role("rowheader", name=contender).or_(page.get_by_role("cell", name=contender)).first
        ).to_be_visible()

    both_wrong = evaluation.flip("Both wrong")
    wanted = int(both_wrong.locator(".count").inner_text())
    both_wrong.click()
    expect(page).to_have_url(re.compile("flip="))
    expect(evaluation.flip("Both wrong")).to_have_attribute("aria-current", "true")
    expect(evaluation.items).to_have_count(wanted)
    evaluation.stage("Overview")
    expect(page.locator(".verdict")).to_contain_text("Latest verdict")
