"""From DATABASE_URL to what Django wants."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def django_database(url: str) -> dict[str, Any]:
    """A Django database dictionary. Query parameters are handed to libpq, except `host` (a socket's directory)."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    host = query.pop("host", None) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"pool": {"min_size": 0, "max_size": 16, "timeout": 20}, **query},
    }
