"""A job at every provider, in a browser: connection, curve and tuned model, each against the provider's stand-in."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Watch
from tests.e2e.screens import BACKGROUND, Data, Projects, SignIn, Training
from tests.ftportal.running import wait_for
from tests.integration.rows import distinct_tickets, jsonl
from tests.integration.stack import Together
from tests.providers.contract.peer import Peer
from tests.providers.contract.peers import PEERS

pytestmark = pytest.mark.e2e
PROJECT = "Tickets at providers"


@pytest.fixture(scope="module")
def frozen(browser: Browser, together: Together, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with a frozen version of 160 rows; its address."""
    file: Path = tmp_path_factory.mktemp("rows") / "provider tickets.jsonl"
    file.write_bytes(jsonl(distinct_tickets(160)))
    context = browser.new_context(base_url=together.url)
    page = context.new_page()
    SignIn(page).enter(together.email, together.password)
    Projects(page).create(PROJECT, "Sort tickets where others have the machines.")
    expect(Projects(page).title).to_have_text(PROJECT)
    address = page.url
    data = Data(page)
    data.stage("Data")
    data.upload(file)
    expect(data.verdict).to_contain_text("160 rows passed", timeout=BACKGROUND)
    data.commit()
    expect(data.verdict).to_contain_text("160 rows added", timeout=BACKGROUND)
    data.stage("Data")
    data.freeze()
    expect(page.get_by_role("heading", name="How the rows are divided")).to_be_visible(timeout=BACKGROUND)
    context.close()
    return address


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    peer: Peer = request.param()
    peer.start()
    yield peer
    peer.stop()


@pytest.mark.timeout(420)
@pytest.mark.parametrize("peer", PEERS, indirect=True, ids=[peer.name for peer in PEERS])
def test_a_job_from_the_connection_to_the_tuned_model(
    page: Page, watch: list[Watch], together: Together, frozen: str, peer: Peer
):
    SignIn(page).enter(together.email, together.password)
    name = f"Our {peer.name} account"
    connect(page, frozen, peer, name)
    start_training(page, frozen, peer, name)

    handle = handle_of_newest_job(together)
    assert peer.jobs_created() == 1
    training = Training(page)
    if peer.reports_metrics:
        for _ in range(3):
            peer.advance(handle, "metrics")
        expect(training.curve).to_contain_text("at step", timeout=BACKGROUND)
        assert [loss for _, loss in peer.measured(handle)]
    peer.advance(handle, "running")
    expect(page.locator("#job-status")).to_contain_text("Training", timeout=BACKGROUND)

    peer.advance(handle, "succeeded")
    expect(page.get_by_text("The model is trained")).to_be_visible(timeout=BACKGROUND)
    page.locator("#job-status").get_by_role("link", name=re.compile("^model")).click()
    expect(page.get_by_text("known to its provider as")).to_be_visible()
    tuned = together.value("SELECT provider_model FROM registry_modelversion ORDER BY id DESC LIMIT 1")
    assert tuned
    expect(page.get_by_role("main")).to_contain_text(tuned)


def connect(page: Page, project: str, peer: Peer, name: str) -> None:
    """From the settings of the workspace: choose the provider, fill in the account, wait for the live look."""
    page.goto(f"{project.split('/p/', maxsplit=1)[0]}/settings/connections/")
    page.get_by_role("link", name="New connection").first.click()
    page.locator(f'a[href*="provider={peer.name}"]').click()
    page.get_by_label("Name", exact=True).fill(name)
    for setting, value in peer.settings().items():
        field = page.locator(f"[name=setting-{setting}]")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.get_by_role("button", name="Store and check").click()
    add = page.get_by_role("button", name=f"Add {peer.base_model} to the workspace", exact=True)
    expect(add).to_be_visible(timeout=BACKGROUND)
    add.click()
    expect(page.get_by_text("added").first).to_be_visible()


def start_training(page: Page, project: str, peer: Peer, connection: str) -> None:
    page.goto(project)
    training = Training(page)
    training.stage("Train")
    page.get_by_role("link", name="New training job").first.click()
    models = page.get_by_label("Base model", exact=True)
    chosen = models.locator("option", has_text=f"at {connection}").get_attribute("value")
    models.select_option(chosen)
    # A provider's model has a form of its own.
    expect(page).to_have_url(re.compile("/new/at-provider/"))
    expect(training.preview).to_contain_text("128")
    confirm = page.get_by_label("I know that this is charged")
    if confirm.is_visible():
        confirm.check()
    page.get_by_role("button", name=f"Start training at {connection}").click()
    expect(page.locator("#provider-title")).to_be_visible()


def handle_of_newest_job(together: Together) -> str:
    """The provider's name for the job, once it has it."""
    newest = "SELECT handle FROM jobs_trainingjob ORDER BY id DESC LIMIT 1"
    wait_for(lambda: bool(together.value(newest)), 120, "the job at its provider")
    return str(together.value(newest))
