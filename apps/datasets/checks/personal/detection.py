"""All rules over one text."""

import re

from apps.datasets.checks.personal.contacts import emails, ip_addresses, phones
from apps.datasets.checks.personal.hits import CARD, EMAIL, IBAN, IP, NATIONAL_ID, PHONE, SECRET, Hit
from apps.datasets.checks.personal.numbers import cards, ibans, national_ids
from apps.datasets.checks.personal.secrets import secrets

_DIGITS = re.compile(r"\d(?:[ ()./:+A-Za-z\-]{0,2}\d){5}")
"""Six digits close together: fewer make no number of a person."""
_LONG_OR_NAMED = re.compile(
    r"[A-Za-z0-9+/_\-]{16}|://|-----BEGIN|key|secret|token|bearer|passw|pwd|passphrase|kennwort"
    r"|mot de passe|contraseña",
    re.IGNORECASE,
)
# Where two rules find the same characters, the more telling one counts.
_ORDER = {SECRET: 0, EMAIL: 1, IBAN: 2, CARD: 3, NATIONAL_ID: 4, IP: 5, PHONE: 6}


def hits_in(text: str) -> list[Hit]:
    """Everything that was found, in the order of the text, no two overlapping."""
    found = list(emails(text))
    if _LONG_OR_NAMED.search(text):
        found += secrets(text)
    if ":" in text or "." in text:
        found += ip_addresses(text)
    if _DIGITS.search(text):
        found += ibans(text)
        found += cards(text)
        found += national_ids(text)
        found += phones(text)
    if len(found) < 2:
        return found
    found.sort(key=lambda hit: (_ORDER[hit.kind], hit.start - hit.end))
    kept: list[Hit] = []
    for hit in found:
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


def kinds_in(text: str) -> set[str]:
    return {hit.kind for hit in hits_in(text)}
