"""Keys, tokens and passwords: by the shapes that issuers give them, and by how random they look."""

import math
import re
from collections import Counter
from collections.abc import Iterator

from apps.datasets.checks.personal.hits import SECRET, Hit

_SHAPES: tuple[tuple[str, str], ...] = (
    (
        "private key",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[\s\S]*?-----END (?:[A-Z]+ )*PRIVATE KEY-----)?",
    ),
    ("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b"),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_\-]{20,}"),
    ("API key that begins with sk-", r"\bsk-(?:[a-z]+-)*[A-Za-z0-9_\-]{20,}"),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}"),
    ("Google API key", r"\bAIza[0-9A-Za-z_\-]{35}"),
    ("Hugging Face token", r"\bhf_[A-Za-z]{30,}\b"),
    ("Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}\b"),
    ("JSON web token", r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}"),
    ("password in an address", r"\b[a-z][a-z0-9+.\-]*://[^\s:/@]+:(?P<secret>[^\s:/@]{3,})@"),
)
_SHAPE = re.compile("|".join(f"(?:{shape})" for _, shape in _SHAPES))
_EACH = [(name, re.compile(shape)) for name, shape in _SHAPES]
_NAMED = re.compile(
    r"(?:api[ _\-]?key|secret(?:[ _\-]?key)?|access[ _\-]?token|auth[ _\-]?token|\btoken|bearer|passwor[dt]|passwd"
    r"|\bpwd|passphrase|kennwort|mot de passe|contraseña)[\"']?"
    r"(?:\s*[:=]\s*|\s+is:?\s+|\s+)[\"'`]?(?P<secret>[^\s\"'`,;]{8,200})",
    re.IGNORECASE,
)
_NAME_HINT = re.compile(
    r"key|secret|token|bearer|passw|pwd|passphrase|kennwort|mot de passe|contraseña", re.IGNORECASE
)
_LONG = re.compile(r"(?<![\w/+.\-=@])[A-Za-z0-9+/_\-]{32,}={0,2}(?![\w/+\-=@])")
_LEAST_ENTROPY = 4.2
"""Bits a character. English words joined by hyphens stay below; 32 random letters and digits lie about 4.5."""
_NAMED_ENTROPY = 3.0


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits a character."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def secrets(text: str) -> Iterator[Hit]:
    if _SHAPE.search(text):
        for name, shape in _EACH:
            for found in shape.finditer(text):
                group = "secret" if "secret" in shape.groupindex else 0
                yield Hit(SECRET, found.start(group), found.end(group), name)
    if _NAME_HINT.search(text):
        for found in _NAMED.finditer(text):
            value = found["secret"].rstrip(".!?)")
            if _looks_made_up(value, least=_NAMED_ENTROPY):
                start = found.start("secret")
                yield Hit(SECRET, start, start + len(value), "random characters after a word for a secret")
    for found in _LONG.finditer(text):
        value = found.group()
        if _looks_made_up(value, least=_LEAST_ENTROPY) and _mixes_cases(value):
            yield Hit(SECRET, found.start(), found.end(), "long run of random characters")


def _looks_made_up(value: str, *, least: float) -> bool:
    has_digit = any(character.isdigit() for character in value)
    has_letter = any(character.isalpha() for character in value)
    return has_digit and has_letter and entropy(value) >= least


def _mixes_cases(value: str) -> bool:
    """Neither a hash in hexadecimal nor a path in small letters."""
    return any(c.isupper() for c in value) and any(c.islower() for c in value) and value.count("/") < 4
