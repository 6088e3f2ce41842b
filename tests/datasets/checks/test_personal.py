"""Personal data: examples that the standards and issuers publish themselves, and numbers that only look like them."""

import math

import pytest

from apps.datasets.checks.personal.detection import hits_in, kinds_in
from apps.datasets.checks.personal.numbers import passes_luhn
from apps.datasets.checks.personal.redaction import mask, placeholder_with, redacted, redacted_payload
from apps.datasets.checks.personal.secrets import entropy


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to jane.doe+x@mail.acme.co.uk today", "email", "jane.doe+x@mail.acme.co.uk"),
        # ISO 13616 / SWIFT registry examples
        ("pay to GB82 WEST 1234 5698 7654 32 PLEASE", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("IBAN DE89370400440532013000.", "iban", "DE89370400440532013000"),
        ("FR14 2004 1010 0505 0001 3M02 606 is mine", "iban", "FR14 2004 1010 0505 0001 3M02 606"),
        # The card networks' published test numbers
        ("card 4111 1111 1111 1111 was charged", "card", "4111 1111 1111 1111"),
        ("my amex 378282246310005", "card", "378282246310005"),
        ("5555-5555-5555-4444", "card", "5555-5555-5555-4444"),
        ("6011111111111117", "card", "6011111111111117"),
        # Numbers that authorities and python-stdnum's documentation give as examples
        ("DNI 54362315K", "national_id", "54362315K"),
        ("my code is RCCMNL83S18D969H", "national_id", "RCCMNL83S18D969H"),
        ("my NHS number is 943 476 5870", "national_id", "943 476 5870"),
        ("hetu 131052-308T", "national_id", "131052-308T"),
        ("SSN 536-90-4399", "national_id", "536-90-4399"),
        ("BSN: 111222333", "national_id", "111222333"),
        ("AHV 756.9217.0769.85", "national_id", "756.9217.0769.85"),
        # Google's and the German parliament's switchboards
        ("call +1 650-253-0000 now", "phone", "+1 650-253-0000"),
        ("Telefon 030 2270", "phone", None),
        ("Telefon 030 227 32152", "phone", "030 227 32152"),
        ("at (650) 253-0000", "phone", "(650) 253-0000"),
        ("server 8.8.8.8 is down", "ip", "8.8.8.8"),
        ("reach 2001:4860:4860::8888 now", "ip", "2001:4860:4860::8888"),
        # Amazon's documentation uses this access key
        ("AKIAIOSFODNN7EXAMPLE", "secret", "AKIAIOSFODNN7EXAMPLE"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "secret", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("password: Tr0ub4dor&3x", "secret", "Tr0ub4dor&3x"),
        ("postgres://ada:hunter22@db.acme.io/x", "secret", "hunter22"),
        # The token of RFC 7519's introduction at jwt.io
        (
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "secret",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        ),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY9", "secret", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY9"),
    ],
)
def test_what_is_found(text, kind, value):
    found = [(hit.kind, text[hit.start : hit.end]) for hit in hits_in(text)]
    if value is None:
        assert (kind, value) not in found
    else:
        assert found == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890123456 is late",  # sixteen digits, no card's
        "4111 1111 1111 1112",  # a card but for its check digit
        "GB82 WEST 1234 5698 7654 33",  # an IBAN but for its check digits
        "ask jane@example.com",  # kept for examples by RFC 2606
        "version 10.2.3.4 and 192.168.0.1",  # private networks
        "at 12:30:45 on 2026-11-22",
        "my balance is 1,234,567.89",
        "ticket 415 555 2671 again",  # would pass the check digit of an NHS number
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",  # a hash
        "550e8400-e29b-41d4-a716-446655440000",  # a UUID
        "the keyboard is broken and the token ring, too",
        "I forgot my password yesterday",
        "https://acme.io/a/very/long/path/that-goes-on-and-on-for-ever-and-ever",
        "set timer for 5 minutes",
        "000000000000000000",
    ],
)
def test_what_only_looks_like_it(text):
    assert kinds_in(text) == set()


def test_luhn_by_the_example_of_the_patent():
    # US patent 2,950,048 and ISO/IEC 7812-1, annex B: 7992739871 has the check digit 3.
    assert [digit for digit in "0123456789" if passes_luhn("7992739871" + digit)] == ["3"]


def test_entropy_by_hand():
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
    assert math.isclose(entropy("aab"), math.log2(3) - 2 / 3)


def test_redaction():
    text = "I am ada@acme.io, he is bob@acme.io; again: ada@acme.io, +1 650-253-0000."
    assert redacted(text, {"email"}, mask) == "I am [EMAIL], he is [EMAIL]; again: [EMAIL], +1 650-253-0000."
    named = redacted(text, {"email", "phone"}, placeholder_with(b"key"))
    names = [part.split("]")[0] for part in named.split("[")[1:]]
    assert names[0] == names[2] != names[1]
    assert names[3].startswith("PHONE_")
    assert kinds_in(named) == set()
    assert redacted(text, {"email"}, placeholder_with(b"other key")) != redacted(
        text, {"email"}, placeholder_with(b"key")
    )


def test_the_whole_payload_is_redacted_and_nothing_else_changes():
    payload = {
        "messages": [
            {"role": "user", "content": "mail me at ada@acme.io"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"arguments": '{"to":"ada@acme.io"}'}}],
            },
            {"role": "tool", "content": "ok"},
        ],
        "metadata": {"author": "ada@acme.io", "n": 3},
    }
    result = redacted_payload(payload, {"email"}, mask)
    assert "ada@" not in str(result)
    assert result["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"to":"[EMAIL]"}'
    assert result["messages"][2] == {"role": "tool", "content": "ok"}
    assert result["metadata"]["n"] == 3
