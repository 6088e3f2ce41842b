"""Rows without anything unusual, recognised in a fraction of the time that looking for everything wrong takes.

Of most files nearly every row is a plain conversation. What is not certain here is left to the careful code, so the two
never differ in what they let pass, nor in what they make of it.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

UNCERTAIN: Any = object()
BRACKETS_LIMIT = 100
"""As deep as values may be nested; with no more brackets than that, nothing nests deeper."""
_ESCAPES = (b"\\u0000", b"\\ud", b"\\uD", b"\\u0022", b"\\u003a", b"\\u003A")
"""NUL, halves of characters, and the two characters that are counted, written so that they would not be."""
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')
_KEY_END = b'":'
_LONG_NUMBER = 300
"""Digits of a whole number that may be too long; shorter than that is certain."""
_FOLLOWS = frozenset(
    {
        *((first, then) for first in ("system", "developer") for then in ("system", "developer", "user")),
        ("user", "assistant"),
        ("assistant", "user"),
    }
)
_encode = msgspec.json.Encoder(order="sorted").encode


def quick_decoder(read_float: Callable[[str], float]) -> Callable[[bytes], Any]:
    """A function from a line of JSON to its value, or to `UNCERTAIN`: it may be broken, hold what the database can't
    keep, or be read in two ways. `read_float` raises for numbers that can't be kept."""
    decode = msgspec.json.Decoder(float_hook=read_float).decode

    def quick_json(data: bytes) -> Any:
        if b"\\" in data and any(escape in data for escape in _ESCAPES):
            return UNCERTAIN
        if data.count(b"[") + data.count(b"{") > BRACKETS_LIMIT:
            return UNCERTAIN
        if _SPACED_COLON.search(data):
            return UNCERTAIN
        for place in range(_LONG_NUMBER, len(data), _LONG_NUMBER):
            if data[place - 10 : place + 10].isdigit():
                return UNCERTAIN
        try:
            value = decode(data)
            # Of a key that is given twice only one is left in the value, so fewer come out than went in. With as many
            # keys as ends of keys that were written none is missing. Else a text may look like one, and all is written.
            written = data.count(_KEY_END)
            complete = _keys(value) == written or _encode(value).count(_KEY_END) == written
        except Exception:  # noqa: BLE001 - whatever it is, the careful code finds it and says it
            return UNCERTAIN
        return value if complete else UNCERTAIN

    return quick_json


def _keys(value: Any) -> int:
    """How many keys an object and what lies directly in it have: of a conversation all, of other values no more."""
    if type(value) is not dict:
        return 0
    count = len(value)
    for each in value.values():
        if type(each) is list:
            for one in each:
                if type(one) is dict:
                    count += len(one)
        elif type(each) is dict:
            count += len(each)
    return count


def quick_messages(messages: Any) -> tuple[bytes, str] | None:
    """The canonical JSON of messages that have a role and a text and nothing else, in an order that can be trained
    on, and their texts; None where anything else is the case."""
    if type(messages) is not list:
        return None
    try:
        roles, contents = [], []
        for message in messages:
            content = message["content"]
            if len(message) != 2 or not content or content.isspace():
                return None
            roles.append(message["role"])
            contents.append(content)
        if not _trainable(tuple(roles)):
            return None
        return _encode(messages), "\n".join(contents)
    except (TypeError, KeyError, AttributeError):
        return None


@lru_cache(maxsize=1024)
def _trainable(roles: tuple[object, ...]) -> bool:
    pairs = zip(("system", *roles), roles, strict=False)
    return bool(roles) and roles[-1] == "assistant" and all(pair in _FOLLOWS for pair in pairs)
