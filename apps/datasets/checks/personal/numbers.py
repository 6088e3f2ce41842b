"""Numbers that carry a check digit: bank accounts, cards, national identity numbers.

A check digit is no proof: of random digits one in ten passes most of them. Rules that are as weak as that look for a
word of their country before the number; people confirm the rest.
"""

import re
from collections.abc import Iterator
from importlib import import_module

from apps.datasets.checks.personal.hits import CARD, IBAN, NATIONAL_ID, Hit

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}\b")
_CARD = re.compile(r"(?<![\w.\-+])[3-6]\d(?:[ \-]?\d){11,17}(?![\w\-]|\.\d)")
_CARD_SHAPES = re.compile(
    r"\A(?:4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|6(?:011|5\d{2}|4[4-9]\d)\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17})\Z"  # UnionPay
)
_NEAR = 50

# name, module of python-stdnum, shape, words that must stand before it (empty: the shape and check say enough)
_NATIONAL: tuple[tuple[str, str, str, str], ...] = (
    ("US social security number", "us.ssn", r"\d{3}-\d{2}-\d{4}", ""),
    ("Spanish DNI", "es.dni", r"\d{8}[A-HJ-NP-TV-Z]", ""),
    ("Spanish NIE", "es.nie", r"[XYZ]\d{7}[A-Z]", ""),
    ("Italian fiscal code", "it.codicefiscale", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", ""),
    (
        "French NIR",
        "fr.nir",
        r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
        "",
    ),
    ("Finnish identity code", "fi.hetu", r"\d{6}[-+A]\d{3}[0-9A-Y]", ""),
    ("Swedish personal number", "se.personnummer", r"(?:\d{2})?\d{6}[-+]\d{4}", ""),
    ("Swiss AHV number", "ch.ssn", r"756\.?\d{4}\.?\d{4}\.?\d{2}", ""),
    ("Brazilian CPF", "br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}", ""),
    ("Belgian national number", "be.nn", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", ""),
    ("Korean registration number", "kr.rrn", r"\d{6}-[1-8]\d{6}", ""),
    ("UK NHS number", "gb.nhs", r"\d{3} ?\d{3} ?\d{4}", r"\bNHS\b"),
    (
        "German tax number",
        "de.idnr",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        r"steuer|\bidnr\b|tax (?:id|number)|\btin\b",
    ),
    ("Dutch BSN", "nl.bsn", r"\d{9}", r"\bBSN\b|burgerservice"),
    ("Polish PESEL", "pl.pesel", r"\d{11}", r"pesel"),
    ("Danish CPR", "dk.cpr", r"\d{6}-?\d{4}", r"\bCPR\b|personnummer"),
    ("Indian Aadhaar", "in_.aadhaar", r"\d{4} ?\d{4} ?\d{4}", r"aadhaa?r|\bUID"),
    ("South African ID", "za.idnr", r"\d{13}", r"\bID\b|identity"),
)
_RULES = [
    (
        name,
        import_module(f"stdnum.{module}"),
        re.compile(rf"(?<![\w.\-]){shape}(?![\w\-]|\.\d)"),
        re.compile(context, re.IGNORECASE) if context else None,
    )
    for name, module, shape, context in _NATIONAL
]


def passes_luhn(digits: str) -> bool:
    """The check of ISO/IEC 7812-1: every second digit from the right is doubled, the digits add up to a ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def ibans(text: str) -> Iterator[Hit]:
    from stdnum import iban

    for found in _IBAN.finditer(text):
        words = found.group().split(" ")
        # A word in capitals after the number belongs to the sentence.
        while words and not iban.is_valid("".join(words)):
            words.pop()
        if words:
            yield Hit(
                IBAN, found.start(), found.start() + len(" ".join(words)), "IBAN with valid check digits"
            )


def cards(text: str) -> Iterator[Hit]:
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found.group())
        if _CARD_SHAPES.match(digits) and len(set(digits)) > 1 and passes_luhn(digits):
            yield Hit(CARD, found.start(), found.end(), "card number that passes Luhn's check")


def national_ids(text: str) -> Iterator[Hit]:
    for name, module, shape, context in _RULES:
        for found in shape.finditer(text):
            if context is not None and not context.search(
                text[max(0, found.start() - _NEAR) : found.start()]
            ):
                continue
            if module.is_valid(found.group()):
                yield Hit(NATIONAL_ID, found.start(), found.end(), name)
