"""Preference training in the browser: the choice in the form, the job's page with its rewards, the model."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.screens import BACKGROUND, Training
from tests.e2e.test_accessibility import assert_accessible, member, signed_in_state  # noqa: F401 - fixtures
from tests.integration.main_job import new_project
from tests.integration.rows import distinct_tickets, jsonl
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e


def test_pairs_are_trained_on_with_dpo(member: Page, together: Together):  # noqa: F811
    work, page = new_project(together, "Preferences"), member
    plain = work.version_of_tickets(60)
    refused = [{"role": "assistant", "content": "I am not sure."}]
    tickets = [json.loads(ticket) for ticket in distinct_tickets(130)[60:]]
    pairs = [json.dumps({**ticket, "rejected": refused}).encode() for ticket in tickets]
    version = work.freeze(work.imported(jsonl(pairs), "pairs.jsonl"))

    training = Training(page)
    page.goto(f"{work.base}train/new/?version={plain}")
    expect(page.get_by_role("radio", name=re.compile("DPO"))).to_have_count(0)
    page.locator("[name=version]").select_option(str(version))
    dpo = page.get_by_role("radio", name=re.compile("DPO"))
    expect(dpo).to_be_checked()
    expect(training.preview).to_contain_text("Training pairs")
    expect(page.locator("#id_learning_rate_helptext")).to_contain_text("2e-4")
    page.get_by_role("radio", name=re.compile("Preferred answers only")).check()
    expect(page.locator("[name=beta]")).to_have_count(0)
    expect(training.preview).to_contain_text("supervised training learns the preferred answer")
    dpo.check()
    training.fill_in(beta="0.2", batch_size="8")
    expect(training.preview).to_contain_text("0.2")
    assert_accessible(page)

    page.get_by_text("All other settings").click()
    training.fill_in(max_steps="6", evaluation_steps="2")
    training.primary("Start training").click()
    expect(page.get_by_text("DPO with LoRA of")).to_be_visible()
    expect(page.get_by_text("The model is trained")).to_be_visible(timeout=2 * BACKGROUND)
    for panel in ("Reward accuracy", "Reward margin"):
        expect(page.locator(".loss-panel-title").filter(has_text=panel)).to_be_visible()
    expect(page.get_by_text("Training pairs")).to_be_visible()
    assert_accessible(page)
