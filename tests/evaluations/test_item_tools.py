"""Tools that items list: kept in the suite, sent with the question, and said before where nobody would read them."""

import json
from typing import Any

import pytest
from django.urls import reverse

from apps.artifacts.storage import blob_store
from apps.evaluations.items_file import split_answer
from apps.evaluations.models import Suite, SuiteItem, SuiteKind
from apps.evaluations.services.suites import suite_from_file
from apps.registry.inference import chat_request
from apps.registry.prompts import messages_for

pytestmark = pytest.mark.django_db

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}
CALL: dict[str, Any] = {"type": "function", "function": {"name": "now", "arguments": "{}"}}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "What time is it?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "12:00"},
]
LINE = json.dumps({"messages": CALLED, "expected": "Noon.", "tools": [TOOL]}).encode()


@pytest.fixture
def suite(project) -> Suite:
    return suite_from_file(
        project=project, name="Clock", kind=SuiteKind.TASK, blob=blob_store(content=[LINE]), by=None
    )


def test_an_item_keeps_its_tools_and_calls(suite):
    item = suite.items.get()

    assert item.tools == [TOOL]
    assert item.messages[1] == {"role": "assistant", "content": "", "tool_calls": [CALL]}


def test_the_question_has_them(world, suite):
    item, variant = suite.items.get(), world.variant("Tuned", tuned=True)

    request = chat_request(variant, messages_for(variant, item.messages), item.tools)

    assert list(request.tools) == [TOOL]
    assert any(message.get("tool_calls") == [CALL] for message in request.messages)


def test_suites_without_tools_keep_their_hash(project):
    line = {"messages": CALLED[:1], "expected": "Noon."}
    lines = [json.dumps(line).encode(), json.dumps({**line, "tools": []}).encode()]
    first, second = (
        suite_from_file(
            project=project, name="Clock", kind=SuiteKind.TASK, blob=blob_store(content=[data]), by=None
        )
        for data in lines
    )

    assert first.hash == second.hash


def test_an_expected_call_is_no_text_to_compare_with():
    with pytest.raises(ValueError, match="is a call of a tool"):
        split_answer([CALLED[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}])


def test_the_card_says_that_nobody_would_read_them(client_of, people, world, suite):
    """The world's base model is no directory on this machine, so it is not known."""
    url = reverse("evaluations:preview", args=[world.project.workspace.slug, world.project.slug])
    chosen = {"model_version": world.tuned.pk, "suite": f"suite:{suite.pk}"}

    page = client_of(people.lea).get(url, chosen).content.decode()

    assert "1 item lists tools" in page
    SuiteItem.objects.update(tools=[])
    assert "lists tools" not in client_of(people.lea).get(url, chosen).content.decode()
