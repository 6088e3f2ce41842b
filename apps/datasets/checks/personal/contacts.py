"""E-mail addresses, phone numbers, IP addresses."""

import ipaddress
import re
from collections.abc import Iterator

from apps.datasets.checks.personal.hits import EMAIL, IP, PHONE, Hit

_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]+@(?P<host>[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24})\b")
_RESERVED = re.compile(r"(?:\A|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)\Z", re.IGNORECASE)
"""Hosts that RFC 2606 keeps for examples: nobody's address."""
_IP_4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)")
_IP_6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_INTERNATIONAL = re.compile(r"\+\(?\d[\d ()./\-]{6,20}\d")
_NATIONAL = re.compile(r"(?<![\w+.,/\-])\(?\d[\d ()./\-]{5,18}\d(?![\w\-])")
_ABOUT_PHONES = re.compile(
    r"phone|mobile|\bcell\b|\btel\b|\btel\.|\bfax\b|call (?:me|us|him|her)|reach me|whatsapp|\bsms\b|telefon|handy"
    r"|anrufen|téléphone|portable|teléfono|móvil|telefono|cellulare|telefoon|number is",
    re.IGNORECASE,
)
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL")
_NEAR = 40
_FORMATTED_US = re.compile(r"\(?\d{3}\)?[ .\-]\d{3}[.\-]\d{4}")


def emails(text: str) -> Iterator[Hit]:
    if "@" not in text:
        return
    for found in _EMAIL.finditer(text):
        if not _RESERVED.search(found["host"]):
            yield Hit(EMAIL, found.start(), found.end(), "e-mail address")


def ip_addresses(text: str) -> Iterator[Hit]:
    """Addresses that are reachable in public; those of private networks and of documentation say nothing of anyone."""
    found = list(_IP_4.finditer(text)) if text.count(".") >= 3 else []
    if text.count(":") >= 2:
        found += _IP_6.finditer(text)
    for each in found:
        try:
            address = ipaddress.ip_address(each.group())
        except ValueError:
            continue
        if address.is_global:
            yield Hit(IP, each.start(), each.end(), f"public IPv{address.version} address")


def phones(text: str) -> Iterator[Hit]:
    """Numbers with their country code; others where they are written as phone numbers or words about phones stand
    before them. Every one is valid in its country's numbering plan (by libphonenumber)."""
    if "+" in text:
        for found in _INTERNATIONAL.finditer(text):
            if _is_phone(found.group(), None):
                yield Hit(PHONE, found.start(), found.end(), "international phone number")
    for found in _NATIONAL.finditer(text):
        number = found.group()
        if found.start() and text[found.start() - 1] == "+":
            continue
        before = text[max(0, found.start() - _NEAR) : found.start()]
        if _FORMATTED_US.fullmatch(number) and _is_phone(number, "US"):
            yield Hit(PHONE, found.start(), found.end(), "phone number as written in the US")
        elif _ABOUT_PHONES.search(before) and any(_is_phone(number, region) for region in _REGIONS):
            yield Hit(PHONE, found.start(), found.end(), "phone number after a word about phones")


def _is_phone(number: str, region: str | None) -> bool:
    import phonenumbers

    digits = sum(character.isdigit() for character in number)
    if not 7 <= digits <= 15:
        return False
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region)))
    except phonenumbers.NumberParseException:
        return False
