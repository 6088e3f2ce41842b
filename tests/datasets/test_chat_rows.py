"""One line in, a row or its problems out."""

import hashlib
import json

import pytest

from apps.datasets.chat_rows import ChatRow, answer_of, check_row
from apps.datasets.problems import CODE_TITLES
from tests.datasets.conftest import row

USER = {"role": "user", "content": "Hello"}
ANSWER = {"role": "assistant", "content": "Hi"}


def chat(*messages: object, **more: object) -> bytes:
    return json.dumps({"messages": messages, **more}).encode()


def problems(data: bytes) -> list[tuple[str, str]]:
    found = check_row(data)
    assert isinstance(found, list)
    assert all(problem.code in CODE_TITLES and problem.message for problem in found)
    return [(problem.code, problem.path) for problem in found]


@pytest.mark.parametrize(
    "data",
    [
        chat(USER, ANSWER),
        chat({"role": "system", "content": "Be brief."}, USER, ANSWER, USER, ANSWER),
        chat({"role": "developer", "content": "Be brief."}, USER, ANSWER),
        chat({"role": "system", "content": ""}, USER, ANSWER),
        chat(USER, ANSWER, metadata={"source": "forum"}, weight=1, anything=[1, None]),
        chat(
            USER,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "content": "42", "tool_call_id": "1"},
            ANSWER,
        ),
        ' {"messages":[{"role":"user","content":"Grüß 👋"},{"role":"assistant","content":"\\ud83d\\udc4b"}]} '.encode(),
    ],
)
def test_good_rows_pass(data):
    assert isinstance(check_row(data), ChatRow)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"messages": [{"role": "user", "content": "caf\xe9"}]}', [("not_utf8", "")]),
        (b'{"a": "x\x00y"}', [("nul_character", "")]),
        (chat({"role": "user", "content": "a\x00b"}, ANSWER), [("nul_character", "$.messages[0].content")]),
        (chat(USER, ANSWER, metadata={"a\x00": 1}), [("nul_character", "$.metadata (key)")]),
        (chat({"role": "user", "content": "\ud83d"}, ANSWER), [("lone_surrogate", "$.messages[0].content")]),
        (chat(USER, ANSWER, metadata={"t": ["\udc00"]}), [("lone_surrogate", "$.metadata.t[0]")]),
        (chat(USER, ANSWER)[:-5], [("cut_json", "")]),
        (b'{"messages": [{"role": "us', [("cut_json", "")]),
        (b'{"messages": [}', [("not_json", "")]),
        (b"{'messages': []}", [("not_json", "")]),
        (chat(USER, ANSWER) + chat(USER, ANSWER), [("not_json", "")]),
        (b"hello", [("not_json", "")]),
        (b"[1, 2]", [("not_an_object", "$")]),
        (b'"text"', [("not_an_object", "$")]),
        (b"null", [("not_an_object", "$")]),
        (b'{"messages": [], "messages": []}', [("duplicate_key", "")]),
        (b'{"messages": [{"role": "user", "role": "user", "content": ""}]}', [("duplicate_key", "")]),
        (b'{"messages": [], "score": NaN}', [("not_a_number", "")]),
        (b'{"messages": [], "score": -Infinity}', [("not_a_number", "")]),
        (b'{"messages": [], "score": 1e999}', [("number_too_large", "")]),
        (b'{"messages": [], "score": 1e-99999}', [("number_too_large", "")]),
        (b'{"messages": [], "score": ' + b"9" * 5000 + b"}", [("number_too_large", "")]),
        (b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", [("nested_too_deeply", "")]),
        (b"{}", [("no_messages", "$")]),
        (b'{"prompt": "a", "completion": "b"}', [("no_messages", "$")]),
        (b'{"messages": []}', [("no_messages", "$.messages")]),
        (b'{"messages": "hello"}', [("no_messages", "$.messages")]),
        (chat("hello", ANSWER), [("not_a_message", "$.messages[0]")]),
        (chat({"role": "human", "content": "a"}, ANSWER), [("unknown_role", "$.messages[0].role")]),
        (chat({"role": "User", "content": "a"}, ANSWER), [("unknown_role", "$.messages[0].role")]),
        (chat({"role": ["user"], "content": "a"}, ANSWER), [("unknown_role", "$.messages[0].role")]),
        (chat({"content": "a"}, ANSWER), [("unknown_role", "$.messages[0].role")]),
        (chat({"role": "user", "content": 7}, ANSWER), [("content_not_text", "$.messages[0].content")]),
        (chat({"role": "user"}, ANSWER), [("content_not_text", "$.messages[0].content")]),
        (
            chat({"role": "user", "content": [{"type": "text", "text": "a"}]}, ANSWER),
            [("content_not_text", "$.messages[0].content")],
        ),
        (chat(USER, {"role": "assistant", "content": None}), [("content_not_text", "$.messages[1].content")]),
        (chat({"role": "user", "content": " "}, ANSWER), [("empty_message", "$.messages[0].content")]),
        (chat(USER, {"role": "assistant", "content": " \n"}), [("empty_answer", "$.messages[1].content")]),
        (chat(USER), [("no_answer", "$.messages")]),
        (chat(USER, ANSWER, USER), [("answer_not_last", "$.messages[2].role")]),
        (chat(USER, USER, ANSWER), [("role_order", "$.messages[1].role")]),
        (chat(USER, ANSWER, ANSWER), [("role_order", "$.messages[2].role")]),
        (chat(ANSWER), [("role_order", "$.messages[0].role")]),
        (chat(USER, {"role": "system", "content": "x"}, ANSWER), [("role_order", "$.messages[1].role")]),
        (chat(USER, {"role": "tool", "content": "x"}, ANSWER), [("role_order", "$.messages[1].role")]),
        (
            chat({"role": "bot", "content": 1}, {"role": "user", "content": None}),
            [("unknown_role", "$.messages[0].role"), ("content_not_text", "$.messages[1].content")],
        ),
    ],
)
def test_bad_rows_say_what_and_where(data, expected):
    assert problems(data) == expected


def test_a_known_other_name_of_a_role_comes_with_the_right_one():
    (problem,) = check_row(chat({"role": "gpt", "content": "a"}, ANSWER))  # type: ignore[misc]
    assert "“gpt”" in problem.message
    assert '"assistant"' in problem.message
    assert problem.excerpt == "gpt"


def test_the_byte_of_a_broken_character_is_named():
    (problem,) = check_row('{"a": "ü'.encode() + b'\xff"}')  # type: ignore[misc]
    # { " a " : space " and the two bytes of ü stand before it: nine bytes, so it is the tenth.
    assert problem.byte == 9
    assert "Byte 10" in problem.message


def test_the_content_hash_covers_the_messages_alone_whatever_their_spelling():
    first = check_row(
        b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"\\u00e9"}]}'
    )
    second = check_row(
        '{"id": 7, "messages": [{"content": "a", "role": "user"}, {"content": "é", "role": "assistant"}]}'.encode()
    )
    assert isinstance(first, ChatRow)
    assert isinstance(second, ChatRow)
    canonical = '[{"content":"a","role":"user"},{"content":"é","role":"assistant"}]'
    assert first.content_hash == second.content_hash == hashlib.sha256(canonical.encode()).hexdigest()


def test_text_and_answer():
    found = check_row(json.dumps(row("My card", " billing\n")).encode())
    assert isinstance(found, ChatRow)
    assert found.text == "My card\n billing\n"
    assert answer_of(found.payload) == "billing"


def test_no_excerpt_holds_what_the_database_refuses():
    for data in (chat({"role": "user", "content": "\ud83d\x00"}, ANSWER), b'{"a": "\x00\x01"}', b"\xff\x00"):
        for problem in check_row(data):  # type: ignore[union-attr]
            problem.excerpt.encode()
            assert "\x00" not in problem.excerpt
