"""A job of every other trainer of this machine, in a browser: chosen in the form, followed by its curve, and a model.

LLaMA-Factory and Axolotl are stand-ins that write the log files of the real programs; the custom one is the example.
"""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.screens import BACKGROUND, SignIn, Training
from tests.e2e.test_providers import frozen  # noqa: F401 - a fixture
from tests.integration.stack import Together

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", ["LLaMA-Factory", "Axolotl", "Custom trainer"])
def test_a_job_from_the_form_to_the_model(
    page: Page,
    together: Together,
    browser: Browser,
    frozen: str,  # noqa: F811
    name: str,
):
    SignIn(page).enter(together.email, together.password)
    page.goto(frozen)
    training = Training(page)
    training.stage("Train")
    page.get_by_role("link", name="New training job").first.click()
    page.get_by_role("group", name="Trained by").get_by_text(name, exact=False).click()
    expect(training.preview).to_contain_text("Training rows")
    page.get_by_role("button", name="Start training", exact=True).click()

    expect(training.curve).to_contain_text("at step", timeout=BACKGROUND)
    expect(page.get_by_text("The model is trained")).to_be_visible(timeout=BACKGROUND)
    page.locator("#job-status").get_by_role("link", name=re.compile("^model")).click()
    expect(page.get_by_role("link", name="Download")).to_be_visible()
