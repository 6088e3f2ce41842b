"""Identifiers as the protocol writes them."""

import re
import secrets
import string
import unicodedata

ALPHABET = string.ascii_letters + string.digits
LENGTH = 24
PUBLIC_ID_LENGTH = 64


def new_id(prefix: str, length: int = LENGTH) -> str:
    """`prefix` and random letters and digits: file-…, ftjob-…"""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def plain(text: str, *, limit: int = 64) -> str:
    """Letters, digits, dots, dashes and underscores only, as they may stand between the colons of a model's name."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_text).strip("-._")[:limit].lower()


def tuned_name(*, base: str, workspace: str, suffix: str, unique: str) -> str:
    """ft:<base>:<workspace>:<suffix>:<id>; the suffix may be empty."""
    return f"ft:{base.replace(':', '-')}:{plain(workspace)}:{plain(suffix)}:{unique}"


def checkpoint_name(tuned: str, step: int) -> str:
    return f"{tuned}:ckpt-step-{step}"
