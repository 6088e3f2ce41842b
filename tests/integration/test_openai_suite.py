"""The openai client's own published tests are the measure of the API; docs/gateway.md lists what fails, and why."""

import pytest

from tests.gateway.openai_suite.running import run_suite

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

ALL_PARAMETERS = "test_method_create_with_all_params_overload"
"""They ask for a search of the web and for moderation, which no model here can do: that is refused, not ignored."""


def test_the_published_tests_of_the_client_pass(tmp_path):
    outcome = run_suite(tmp_path / "report.xml")

    unexpected = {name for name in outcome.failed if ALL_PARAMETERS not in name}
    assert unexpected == set()
    assert len(outcome.passed) > 450, "the suite was really run"
    assert outcome.share >= 0.95
    print(f"{len(outcome.passed)} passed, {len(outcome.failed)} failed: {outcome.share:.1%}")
