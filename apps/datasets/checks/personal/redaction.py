"""Taking personal data out of a row: by a mask, or by a placeholder that stays the same for the same value."""

import hashlib
import hmac
from collections.abc import Callable, Collection
from typing import Any

from apps.datasets.checks.personal.detection import hits_in
from apps.datasets.checks.personal.hits import CARD, EMAIL, IBAN, IP, NAME, NATIONAL_ID, PHONE, SECRET, Hit

NAMES = {
    EMAIL: "EMAIL",
    PHONE: "PHONE",
    IBAN: "IBAN",
    CARD: "CARD",
    NATIONAL_ID: "ID",
    IP: "IP",
    SECRET: "SECRET",
    NAME: "NAME",
}
Replacement = Callable[[Hit, str], str]


def mask(hit: Hit, value: str) -> str:
    """`[EMAIL]`: what stood here, and nothing of what it was."""
    return f"[{NAMES[hit.kind]}]"


def placeholder_with(key: bytes) -> Replacement:
    """`[EMAIL_3f9a1c]`: the same value gets the same name in every row. Without the key nobody can try values out."""

    def placeholder(hit: Hit, value: str) -> str:
        plain = "".join(value.split()).lower() if hit.kind != SECRET else value
        name = hmac.new(key, f"{hit.kind}:{plain}".encode(), hashlib.sha256).hexdigest()[:6]
        return f"[{NAMES[hit.kind]}_{name}]"

    return placeholder


def redacted(text: str, kinds: Collection[str], replace: Replacement) -> str:
    """The text with every hit of these kinds replaced."""
    parts, end = [], 0
    for hit in hits_in(text):
        if hit.kind in kinds:
            parts += [text[end : hit.start], replace(hit, text[hit.start : hit.end])]
            end = hit.end
    return "".join([*parts, text[end:]]) if parts else text


def redacted_payload(value: Any, kinds: Collection[str], replace: Replacement) -> Any:
    """The payload with every text in it redacted; roles stay as they are."""
    if isinstance(value, str):
        return redacted(value, kinds, replace)
    if isinstance(value, list):
        return [redacted_payload(item, kinds, replace) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key == "role" else redacted_payload(item, kinds, replace)
            for key, item in value.items()
        }
    return value
