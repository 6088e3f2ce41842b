"""Plain rows are recognised quickly, and never otherwise than the careful code would: `json` of the standard library,
which keeps every pair of an object, says what stands in a line."""

import json
import random
from typing import Any

import pytest

from apps.datasets.json_text import UnreadableJsonError, decoded_json
from apps.datasets.quick_rows import UNCERTAIN, quick_decoder, quick_messages

quick = quick_decoder(float)


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"b":{"c":[{"d":1,"d":1}]}}',
        b'{"a" :1,"a" :2,"b":":x"}',
        b'{"messages":[{"role":"user","content":"x","content":"y"}],"metadata":{"a":1}}',
        b'{"messages":[{"role":"user","content":"\\":"},{"a":1,"a":1}]}',
        b'{"a":{"b":1},"a":{"b":1,"c":2}}',
        b'{"a"\t:1,"b":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":1,"a":2,"b":"\\u0022:"}',
        b'{"a":1,"a":2,"b":"\\"\\u003a"}',
        b'{"a":1,"a":2,"b":"\\u0022\\u003A"}',
        b'{"a\\\\":1,"a\\\\":2}',
        b'{"a":"\\ud83d"}',
        b'{"a":"\\uD83D\\uDE00"}',
        b'{"a":"\\u0000"}',
        b'{"a":"\x00"}',
        b'{"a":"\xff"}',
        b'{"a":NaN}',
        b'{"a":1e999x}',
        b'{"a":1',
        b"[" * 101 + b"]" * 101,
        b'{"a":' + b"1" * 330 + b"}",
        b"",
    ],
)
def test_what_is_unusual_is_left_to_the_careful_code(line):
    assert quick(line) is UNCERTAIN


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":"say \\"b\\": c"}',
        '{"é":"ü","b":["\\u00e9","/","\\/"]}'.encode(),
        b' {"a": {"b": [1, -0, 2.5, 1e3, true, null]}, "c": ""} ',
        b'{"a\\\\":1,"b":"\\"x\\":"}',
        b'{"a":":x"}',
        b'{"a":' + b"1" * 250 + b"}",
    ],
)
def test_what_is_plain_is_read_as_json_reads_it(line):
    assert quick(line) == json.loads(line)


def _made(random_: random.Random, depth: int = 0) -> Any:
    texts = ['"', '":', "\\", '\\":', ":", " :", "é", "\u2028", "\n", "", "a", "\x7f", "😀"]
    kind = random_.randrange(7 if depth < 4 else 5)
    if kind == 0:
        return random_.choice([0, -1, 2**53, 2**70, True, False, None])
    if kind == 1:
        return random_.choice([0.5, 1e300, -2.25])
    if kind < 5:
        return "".join(random_.choices(texts, k=random_.randrange(6)))
    if kind == 5:
        return [_made(random_, depth + 1) for _ in range(random_.randrange(4))]
    return {
        "".join(random_.choices(texts, k=2)): _made(random_, depth + 1) for _ in range(random_.randrange(4))
    }


def test_any_json_is_read_as_json_reads_it_and_a_doubled_key_never_passes():
    random_ = random.Random(3)
    plain = 0
    for _ in range(3000):
        value = {"first": _made(random_), "second": _made(random_)}
        separators = random_.choice([(",", ":"), (", ", ": "), (" , ", " : ")])
        text = json.dumps(value, ensure_ascii=random_.random() < 0.5, separators=separators)
        found = quick(text.encode())
        plain += found is not UNCERTAIN
        assert found is UNCERTAIN or found == value
        doubled = text[:-1] + separators[0] + '"first"' + separators[1] + "1}"
        assert quick(doubled.encode()) is UNCERTAIN
        with pytest.raises(UnreadableJsonError):
            decoded_json(doubled.encode())
    assert plain > 500  # else this test would prove nothing


def _message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_plain_messages_come_with_their_canonical_json():
    text = "".join(map(chr, [*range(1, 0x300), 0x2028, 0xFFFD, 0x1F600])) + '"\\/'
    messages = [_message("system", "Sort."), _message("user", text), _message("assistant", "x")]
    expected = json.dumps(messages, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert quick_messages(messages) == (expected, f"Sort.\n{text}\nx")


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        ["user"],
        [_message("user", "a")],
        [_message("assistant", "a")],
        [_message("user", "a"), _message("user", "b"), _message("assistant", "c")],
        [_message("user", "a"), _message("assistant", "b"), _message("assistant", "c")],
        [_message("user", "a"), _message("system", "b"), _message("assistant", "c")],
        [_message("user", " \n"), _message("assistant", "c")],
        [_message("user", "a"), _message("assistant", "")],
        [_message("user", "a"), _message("assistant", None)],
        [_message("user", "a", weight=2), _message("assistant", "b")],
        [_message("user", ["a"]), _message("assistant", "b")],
        [{"role": "user", "text": "a"}, _message("assistant", "b")],
        [_message("bot", "a"), _message("assistant", "b")],
        [_message(["user"], "a"), _message("assistant", "b")],  # type: ignore[arg-type]
    ],
)
def test_other_messages_are_left_to_the_careful_code(messages):
    assert quick_messages(messages) is None
