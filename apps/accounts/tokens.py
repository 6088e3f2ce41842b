"""Secrets that are shown once and kept as a hash."""

import hashlib


def token_hash(token: str) -> str:
    """Tokens are long and random, so a plain SHA-256 is enough to keep them unreadable."""
    return hashlib.sha256(token.encode()).hexdigest()
