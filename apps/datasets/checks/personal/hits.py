"""What was found where in a text."""

from dataclasses import dataclass

EMAIL, PHONE, IBAN, CARD, NATIONAL_ID, IP, SECRET, NAME = (
    "email",
    "phone",
    "iban",
    "card",
    "national_id",
    "ip",
    "secret",
    "name",
)
KINDS = {
    EMAIL: "E-mail addresses",
    PHONE: "Phone numbers",
    IBAN: "Bank accounts (IBAN)",
    CARD: "Card numbers",
    NATIONAL_ID: "National identity numbers",
    IP: "IP addresses",
    SECRET: "Keys, tokens and passwords",
    NAME: "Names of people",
}


@dataclass(frozen=True, slots=True)
class Hit:
    """`kind` is one of `KINDS`; `rule` says by which rule it was found, for the person who confirms it."""

    kind: str
    start: int
    end: int
    rule: str
