from apps.registry.models import Variant
from apps.registry.prompts import messages_for

ITEM = [{"role": "system", "content": "own"}, {"role": "user", "content": "question"}]
SHOTS = [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1"}]


def test_without_a_prompt_the_item_is_sent_as_it_is():
    sent = messages_for(Variant(), ITEM)
    assert sent == ITEM
    sent[0]["content"] = "changed"
    assert ITEM[0]["content"] == "own"


def test_a_prompt_replaces_the_items_system_message():
    assert messages_for(Variant(system_prompt="new"), ITEM) == [
        {"role": "system", "content": "new"},
        {"role": "user", "content": "question"},
    ]


def test_a_prompt_is_put_before_an_item_without_one():
    assert messages_for(Variant(system_prompt="new"), ITEM[1:])[0] == {"role": "system", "content": "new"}


def test_examples_stand_between_the_system_message_and_the_items_own():
    assert messages_for(Variant(few_shot=SHOTS), ITEM) == [ITEM[0], *SHOTS, ITEM[1]]
    assert messages_for(Variant(few_shot=SHOTS, system_prompt="new"), ITEM[1:])[1:3] == SHOTS
