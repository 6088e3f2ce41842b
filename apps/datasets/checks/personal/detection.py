"""All rules over one text."""

import re
from functools import lru_cache

from apps.datasets.checks.personal.contacts import emails, ip_addresses, phones
from apps.datasets.checks.personal.hits import CARD, EMAIL, IBAN, IP, NAME, NATIONAL_ID, PHONE, SECRET, Hit
from apps.datasets.checks.personal.numbers import cards, ibans, national_ids
from apps.datasets.checks.personal.people_names import names, packaged_lists
from apps.datasets.checks.personal.secrets import secrets

_DIGITS = re.compile(r"\d(?:[ ()./:+A-Za-z\-]{0,2}\d){5}")
"""Six digits close together: fewer make no number of a person."""
_NAMES = (
    "key",
    "secret",
    "token",
    "bearer",
    "passw",
    "pwd",
    "passphrase",
    "kennwort",
    "mot de passe",
    "contraseña",
)
_LONG_WORD = 16
KEPT = 8192
# Where two rules find the same characters, the more telling one counts.
_ORDER = {SECRET: 0, EMAIL: 1, IBAN: 2, CARD: 3, NATIONAL_ID: 4, IP: 5, PHONE: 6, NAME: 7}
_looks_for_names = False


def look_for_names(on: bool) -> None:
    """Whether this process looks for names of people from now on. The extra `ftportal[names]` has the lists."""
    global _looks_for_names  # noqa: PLW0603 - set once, when the program starts
    _looks_for_names = on
    kinds_in.cache_clear()


def looks_for_names() -> bool:
    return _looks_for_names


def hits_in(text: str) -> list[Hit]:
    """Everything that was found, in the order of the text, no two overlapping."""
    found = list(emails(text))
    if _may_hold_secrets(text):
        found += secrets(text)
    if ":" in text or "." in text:
        found += ip_addresses(text)
    if _DIGITS.search(text):
        found += ibans(text)
        found += cards(text)
        found += national_ids(text)
        found += phones(text)
    if _looks_for_names:
        found += names(text, packaged_lists())
    if len(found) < 2:
        return found
    found.sort(key=lambda hit: (_ORDER[hit.kind], hit.start - hit.end))
    kept: list[Hit] = []
    for hit in found:
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


@lru_cache(maxsize=KEPT)
def kinds_in(text: str) -> frozenset[str]:
    """Kept for the last texts: system prompts, labels and names come again in row after row."""
    return frozenset(hit.kind for hit in hits_in(text))


def _may_hold_secrets(text: str) -> bool:
    """A quick look: a long word, or a word for a secret."""
    if max(map(len, text.split()), default=0) >= _LONG_WORD or "://" in text:
        return True
    lower = text.lower()
    return "-----begin" in lower or any(name in lower for name in _NAMES)
