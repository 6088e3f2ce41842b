"""Every main page, in light and dark, narrow and wide: axe finds nothing serious, and the keyboard gets everywhere."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.data_places import NAMES, data_places
from tests.e2e.labeling import open_session
from tests.e2e.screens import SignIn
from tests.integration.main_job import Work, new_project
from tests.integration.rows import distinct_tickets, general_items, jsonl, row
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TWO_FRAMES = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
SERIOUS = {"serious", "critical"}
NARROW: ViewportSize = {"width": 360, "height": 800}
LABELS_OF_ANN = json.dumps(
    [
        {
            "id": 1,
            "data": {"text": "Where is my order?"},
            "annotations": [
                {
                    "id": 1,
                    "completed_by": {"email": "ann@example.org"},
                    "result": [
                        {
                            "from_name": "intent",
                            "to_name": "text",
                            "type": "choices",
                            "value": {"choices": ["billing"]},
                        }
                    ],
                }
            ],
        }
    ]
).encode()
"""A file of Label Studio."""
WIDE: ViewportSize = {"width": 1440, "height": 900}


@pytest.fixture(scope="session")
def places(together: Together) -> dict[str, str]:
    """A project with one of everything, and the address of each of its pages."""
    work = new_project(together, "One of everything")
    waiting = work.import_number(
        work.upload(jsonl([*distinct_tickets(3), row(("user", "Hello?"))]), "open.jsonl")
    )
    work.wait_for_import(waiting, "checked")
    version = work.version_of_tickets(60)
    job = work.train(version, max_steps="4", evaluation_steps="2")
    model = work.wait_for_job(job, "succeeded")["model_version_id"]
    form = work.visitor.get(f"{work.base}evaluate/suites/new/")
    files = {"file": ("skills.jsonl", general_items(6))}
    suite = work.visitor.submit(form, "Freeze the suite", files=files, name="Six skills").path
    comparison = work.compare(
        model,
        suite=f"version:{version}",
        general_suite=f"suite:{suite.rstrip('/').rsplit('/', 1)[-1]}",
        few_shot="2",
    )
    work.wait_for_comparison(comparison, "done")
    return {
        **addresses(work, waiting, version, job, model, comparison),
        **labeling_addresses(work, version),
        **provider_addresses(work),
        "suite": suite,
    }


def provider_addresses(work: Work) -> dict[str, str]:
    """Of a connection to a port on which nobody answers."""
    connections = f"{work.base.split('p/')[0]}settings/connections/"
    form = work.visitor.get(f"{connections}new/", provider="openai")
    given: dict[str, Any] = {
        "name": "An account",
        "setting-base_url": "https://127.0.0.1:9/v1",
        "setting-api_key": "sk-of-nobody",
    }
    connection = work.visitor.submit(form, "Store and check", **given).path
    return {
        "connections": connections,
        "choice of provider": f"{connections}new/",
        "new connection": f"{connections}new/?provider=openai",
        "connection": connection,
        "change of connection": f"{connection}change/",
        "prices": f"{connections}prices/",
        "where to train": f"{work.base}train/where/",
    }


def labeling_addresses(work: Work, version: int) -> dict[str, str]:
    intent = {"title": "What is it about?", "kind": "choose_one", "labels": "billing\nshipping\naccount"}
    better = {"title": "Make the answer better", "kind": "edit"}
    spans = {"title": "Mark things", "kind": "spans", "labels": "thing"}
    session = open_session(work, version, "Everything", intent, better, spans)
    form = work.visitor.get(f"{work.base}label/guidelines/new/")
    text = "# Intents\n\n| Label | Border |\n| --- | --- |\n| billing | *asked* |"
    guideline = work.visitor.submit(form, "Save", name="Intents", text=text, examples="+ Pay => billing").path
    item = work.stack.value("SELECT min(id) FROM labeling_item WHERE session_id = %s", session)
    question = work.stack.value("SELECT min(id) FROM labeling_question WHERE session_id = %s", session)
    label = f"{work.base}label/"
    import_labels = f"{label}sessions/{session}/import/"
    labels = work.visitor.submit(
        work.visitor.get(import_labels), "Read the file", files={"file": ("labels.json", LABELS_OF_ANN)}
    ).path
    return {
        "labeling": label,
        "new session": f"{label}sessions/new/",
        "session": f"{label}sessions/{session}/",
        "question": f"{label}questions/{question}/",
        "label": f"{label}sessions/{session}/work/",
        "my labels": f"{label}sessions/{session}/mine/",
        "items to label": f"{label}sessions/{session}/items/",
        "item to label": f"{label}items/{item}/",
        "guideline": guideline,
        "import labels": import_labels,
        "imported labels": labels,
        "change of guideline": f"{guideline}change/",
    }


def addresses(
    work: Work, waiting: int, version: int, job: int, model: int, comparison: int
) -> dict[str, str]:
    base, workspace = work.base, work.base.split("p/")[0]
    stored = work.stack.row("SELECT * FROM datasets_version WHERE id = %s", version)
    example = work.stack.value(
        "SELECT min(id) FROM datasets_example WHERE dataset_id = %s", stored["dataset_id"]
    )
    item = work.stack.value(
        "SELECT min(item.id) FROM evaluations_suiteitem item JOIN evaluations_comparison comparison"
        " ON comparison.suite_id = item.suite_id WHERE comparison.id = %s",
        comparison,
    )
    return {
        "projects": workspace,
        "search": f"{workspace}search/?q=tickets",
        "members": f"{workspace}settings/members/",
        "api keys": f"{workspace}settings/keys/",
        "api": f"{workspace}settings/api/",
        "audit": f"{workspace}settings/audit/",
        "background work": f"{workspace}operations/",
        "account": "/account/",
        "overview": base,
        "settings": f"{workspace}p/{base.split('/p/')[1]}settings/",
        "data": f"{base}data/",
        "upload": f"{base}data/upload/",
        "import": f"{base}data/imports/{waiting}/",
        "rows": f"{base}data/datasets/{stored['dataset_id']}/",
        "row": f"{base}data/rows/{example}/",
        "freeze": f"{base}data/datasets/{stored['dataset_id']}/freeze/",
        "version": f"{base}data/versions/{version}/",
        "version rows": f"{base}data/versions/{version}/rows/",
        "jobs": f"{base}train/",
        "new job": f"{base}train/new/",
        "job": f"{base}train/{job}/",
        "models": f"{base}models/",
        "model": f"{base}models/{model}/",
        "import from a provider": f"{base}train/from-provider/",
        "archive": _archive(work),
        "recorded answers": f"{base}evaluate/recordings/",
        "comparisons": f"{base}evaluate/",
        "new comparison": f"{base}evaluate/new/",
        "comparison": f"{base}evaluate/{comparison}/",
        "item": f"{base}evaluate/{comparison}/items/{item}/",
        "provenance": f"{base}evaluate/{comparison}/provenance/",
    }


def _archive(work: Work) -> str:
    """A listing of an account with one job, as a provider would have given it."""
    project = work.stack.row("SELECT * FROM projects_project WHERE slug = %s", work.base.split("/")[-2])
    connection = work.stack.value(
        "INSERT INTO providers_connection (created_at, updated_at, workspace_id, name, provider, settings, offered,"
        " sealed_secrets, check_message, quota)"
        " VALUES (now(), now(), %s, 'Old account', 'openai', '{}', '{}', '', '', '') RETURNING id",
        project["workspace_id"],
    )
    job = {
        "handle": "ftjob-1", "base_model": "gpt-4o-mini-2024-07-18", "state": "succeeded", "status": "succeeded",
        "created_at": "2026-03-01T10:00:00+00:00", "tuned_model": "ft:gpt-4o-mini-2024-07-18:us:tickets:1",
        "training_file": "file-1", "validation_file": None,
    }  # fmt: skip
    archive = work.stack.value(
        "INSERT INTO jobs_archive (created_at, updated_at, project_id, connection_id, files, jobs, fetched_at, error)"
        " VALUES (now(), now(), %s, %s, '[]', %s, now(), '') RETURNING id",
        project["id"],
        connection,
        json.dumps([job]),
    )
    return f"{work.base}train/from-provider/{archive}/"


PAGES = [
    "projects", "search", "members", "api keys", "api", "audit", "background work", "account", "overview", "settings",
    "data", "upload", "import", "rows", "row", "freeze", "version", "version rows", "jobs", "new job", "job", "models",
    "model", "comparisons", "new comparison", "comparison", "item", "provenance", "suite", "import from a provider",
    "archive", "recorded answers",
    "labeling", "new session", "session", "question", "label", "my labels", "items to label", "item to label",
    "guideline", "change of guideline", "import labels", "imported labels",
    "connections", "choice of provider", "new connection", "connection", "change of connection", "prices",
    "where to train",
]  # fmt: skip


@pytest.fixture(scope="session")
def signed_in_state(browser: Any, together: Together) -> Any:
    """The cookies of somebody who signed in, for all tabs of these tests."""
    context = browser.new_context(base_url=together.url)
    page = context.new_page()
    SignIn(page).enter(together.email, together.password)
    expect(SignIn(page).title).to_have_text("Projects")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def member(page: Page, signed_in_state: Any) -> Page:
    page.context.add_cookies(signed_in_state["cookies"])
    return page


def violations(page: Page) -> list[str]:
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "(standards) => axe.run(document, {runOnly: standards, resultTypes: ['violations']})", STANDARDS
    )
    return [
        f"{each['id']}: {each['help']}: {node['target']} {node['html'][:160]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"][:4]
    ]


def assert_accessible(page: Page) -> None:
    """All that is wrong at once, each with where it was seen."""
    seen: dict[str, list[str]] = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            page.evaluate(TWO_FRAMES)  # what watches sizes has seen the new one
            for violation in violations(page):
                seen.setdefault(violation, []).append(f"{scheme} {size['width']} px")
    width = page.evaluate("() => document.documentElement.scrollWidth")
    if width > NARROW["width"]:
        seen[f"the page is {width} px wide"] = [f"on a screen of {NARROW['width']} px"]
    assert not seen, "\n".join(f"{violation} ({', '.join(where)})" for violation, where in seen.items())


def test_the_sign_in_page_is_accessible(page: Page):
    page.goto("/sign-in/")
    assert_accessible(page)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible(member: Page, places: dict[str, str], name: str):
    response = member.goto(places[name])
    assert response is not None
    assert response.status == 200
    assert_accessible(member)


@pytest.fixture(scope="session")
def places_of_data(together: Together) -> dict[str, str]:
    return data_places(new_project(together, "Data that went through everything"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_every_page_about_data_is_accessible(member: Page, places_of_data: dict[str, str], name: str):
    assert set(places_of_data) == set(NAMES)
    response = member.goto(places_of_data[name])
    assert response is not None
    assert response.status == 200
    assert_accessible(member)


def test_the_page_of_the_api_is_drawn_without_a_violation_of_the_policy(member: Page):
    member.goto("/api/docs")
    expect(member.get_by_role("heading", name="ftportal")).to_be_visible()
    expect(member.locator(".opblock")).not_to_have_count(0)


def test_a_missing_page_is_accessible(member: Page, watch: Any, places: dict[str, str]):
    watch[0].expect(404, "/nowhere/")
    member.goto(f"{places['overview']}nowhere/")
    assert_accessible(member)


@pytest.mark.parametrize(
    "name", ["projects", "data", "rows", "upload", "new job", "jobs", "comparisons", "model"]
)
def test_the_keyboard_reaches_the_content_and_the_primary_action(
    member: Page, places: dict[str, str], name: str
):
    member.goto(places[name])
    member.keyboard.press("Tab")
    expect(member.locator(":focus")).to_have_text("Skip to the content")
    member.keyboard.press("Enter")
    assert member.evaluate("() => document.activeElement.closest('#content') !== null")
    for _ in range(60):
        member.keyboard.press("Tab")
        if member.evaluate("() => document.activeElement.matches('.btn-primary')"):
            break
    primary = member.locator(":focus")
    expect(primary).to_have_class(re.compile(r"\bbtn-primary\b"), timeout=1000)
    outlined = primary.evaluate(
        "(element) => { const style = getComputedStyle(element);"
        " return style.outlineStyle !== 'none' || style.boxShadow !== 'none' }"
    )
    assert outlined, "one sees where the keyboard is"


def test_what_the_search_of_the_top_bar_finds_is_accessible_and_opened_by_keys(
    member: Page, places: dict[str, str]
):
    member.goto(places["members"])
    member.keyboard.press("Control+k")
    search = member.get_by_role("dialog", name="Search My team")
    member.keyboard.type("tick 1")
    expect(search.get_by_text("tickets v1", exact=True)).to_have_count(1)
    assert_accessible(member)
    member.keyboard.press("ArrowDown")
    expect(search.locator(".search-hit").first).to_be_focused()
    member.keyboard.press("Escape")
    expect(search).to_be_hidden()
    member.keyboard.press("Control+k")
    member.keyboard.type("Training 1 tickets")
    expect(search.locator("[data-typed='Training 1 tickets']")).to_have_count(1)
    member.keyboard.press("Enter")
    expect(member).to_have_url(re.compile(re.escape(places["comparison"])))


def test_a_question_mark_lists_the_keys(member: Page, places: dict[str, str]):
    member.goto(places["rows"])
    member.locator("body").press("?")
    keys = member.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("Search the rows")
    member.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    member.keyboard.press("j")
    member.keyboard.press("Enter")
    expect(member.get_by_role("region", name="Conversation")).to_be_visible()


def test_a_page_that_refreshes_itself_does_not_dim_its_buttons(member: Page, places: dict[str, str]):
    member.goto(places["jobs"])
    held: list[Any] = []
    member.route(
        f"**{places['jobs']}",
        lambda route: held.append(route) if "hx-request" in route.request.headers else route.continue_(),
    )
    member.evaluate("() => document.body.dispatchEvent(new Event('operations-changed'))")
    expect(member.locator("#jobs")).to_have_class(re.compile("htmx-request"))
    expect(member.get_by_role("button", name="Compare the chosen jobs")).to_have_css("opacity", "1")
    assert held
    member.unroute(f"**{places['jobs']}")  # lets go of what is held
    expect(member.locator("#jobs")).not_to_have_class(re.compile("htmx-request"))
