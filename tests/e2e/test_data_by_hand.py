"""What somebody new does with a table of their own: read it, check it, decide, freeze, mend, freeze, compare."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import Watch
from tests.e2e.data_places import ASKED, PLACES, THINGS
from tests.e2e.screens import BACKGROUND, Data, Projects, SignIn
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e
ROWS = len(ASKED) * len(THINGS) * len(PLACES)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of plain rows, of which one comes again in capitals, one in another split, and one is ragged."""
    rows = [
        (f"please {verb} the {thing} in {place} today", verb, "train")
        for verb in ASKED
        for thing in THINGS
        for place in PLACES
    ]
    rows.append((rows[4][0].upper(), rows[4][1], "train"))
    rows.append((rows[9][0], rows[9][1], "test"))
    rows += [(f"what about chair number {number} there", "none", "test") for number in range(1, 9)]
    file = tmp_path / "orders.csv"
    with file.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(("order", "task", "part"))
        writer.writerows(rows)
        output.write("one field too few\r\n")
    return file


@pytest.mark.timeout(900)
def test_a_table_becomes_two_versions_that_can_be_compared(
    page: Page, together: Together, table: Path, watch: list[Watch]
):
    watch[0].expect(422, "/mapping/")  # while the mapping is half filled in
    SignIn(page).enter(together.email, together.password)
    Projects(page).create("Orders", "Name the task of an order.")
    read_by_mapping(page, table)
    check_and_decide(page)
    freeze(page, 1)
    edit_a_row(page)
    freeze(page, 2)
    compare(page)


def read_by_mapping(page: Page, table: Path) -> None:
    data = Data(page)
    data.stage("Data")
    data.upload(table)
    expect(data.title).to_have_text("What the rows mean")
    expect(page.get_by_label("Shape of the rows")).to_have_value("template")
    preview = page.get_by_role("region", name=re.compile("rows as the model will see them"))
    page.get_by_label("Answer").fill("{{task}}")
    page.keyboard.press("Tab")
    expect(preview).not_to_contain_text("The assistant's answer is empty")
    page.get_by_label("Prompt").fill("Order: {{order}}")
    page.keyboard.press("Tab")
    expect(preview).to_contain_text("Order: please find the table in the north wing today")
    page.get_by_label("Split").select_option("part")
    expect(preview).to_contain_text("· train")
    page.get_by_label("Keep this mapping as").fill("Orders")
    data.primary("Check the file").click()
    expect(data.verdict).to_contain_text(f"{ROWS + 10} rows passed", timeout=BACKGROUND)
    expect(data.verdict).to_contain_text("1 line did not")
    expect(data.problems).to_contain_text("The row has 1 field, but the first line names 3 columns")
    page.get_by_label(re.compile("^Keep them")).check()
    data.commit()
    expect(data.verdict).to_contain_text(f"{ROWS + 10} rows added", timeout=BACKGROUND)


def finding(page: Page, title: str) -> Locator:
    return page.locator("article.finding").filter(has_text=title)


def check_and_decide(page: Page) -> None:
    data = Data(page)
    page.get_by_role("link", name="orders", exact=True).first.click()
    page.get_by_role("navigation", name=re.compile("Parts of the")).get_by_role("link", name="Checks").click()
    data.primary("Run the checks").click()
    leak = finding(page, "Nothing can be frozen before this is decided")
    expect(leak.first).to_be_visible(timeout=BACKGROUND)
    page.goto(page.url.replace("/checks/", "/freeze/"))
    expect(page.get_by_text("Leakage must be decided first")).to_be_visible()
    page.go_back()

    while leak.count():
        shown = leak.count()
        title = leak.first.get_by_role("link").first.inner_text()
        drop = leak.first.get_by_role("button", name=re.compile("Drop"))
        drop.first.click()
        expect(page.get_by_text(re.compile("dropped")).first).to_be_visible()
        expect(finding(page, title).get_by_text("Decided")).to_be_visible()
        assert leak.count() < shown
    repeats = page.locator("article.finding").filter(has=page.get_by_role("button", name="Drop the repeats"))
    while repeats.count():
        repeats.first.get_by_role("button", name="Drop the repeats").click()
        expect(page.get_by_text(re.compile("one of each set stays")).first).to_be_visible()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("link", name="Freeze a version")).to_be_visible(timeout=BACKGROUND)
    expect(page.get_by_text("Nothing can be frozen")).to_have_count(0)


def freeze(page: Page, number: int) -> None:
    data = Data(page)
    data.stage("Data")
    data.freeze()
    expect(data.title).to_have_text(f"orders, version {number}")
    expect(page.get_by_role("heading", name="How the rows are divided")).to_be_visible(timeout=BACKGROUND)


def edit_a_row(page: Page) -> None:
    page.get_by_role("link", name="orders", exact=True).first.click()
    data = Data(page)
    data.search("garden gate")
    expect(page).to_have_url(re.compile("q=garden"))
    data.rows.first.get_by_role("link").first.click()
    expect(page.get_by_role("region", name="Conversation")).to_be_visible()
    page.wait_for_load_state()  # its keys work from then on
    page.keyboard.press("e")
    expect(data.title).to_contain_text("Edit row")
    page.get_by_label("Text of message 2").fill("look for")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("look for")


def compare(page: Page) -> None:
    page.get_by_role("link", name="What changed").click()
    expect(Data(page).title).to_have_text("Version 1 → version 2")
    stats = page.locator(".stats")
    expect(stats).to_contain_text(re.compile(r"Changed\s*1\b"))
    expect(stats).to_contain_text(re.compile(r"Added\s*0\b"))
    differing = page.locator("#differing")
    expect(differing.locator("ins")).to_contain_text("look for")
    differing.get_by_role("link", name="Link to this difference").click()
    expect(page).to_have_url(re.compile(r"row=\d+"))
    expect(page.locator("#differing ins")).to_contain_text("look for")
