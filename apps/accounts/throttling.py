"""Whose sign-ins are counted together."""

from typing import Any

from django.http import HttpRequest


def address_given(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """The e-mail address as accounts know it: other capitals are no other person to guess at."""
    given = (credentials or {}).get("username")
    if given is None and request is not None:
        given = request.POST.get("username")
    return (given or "").strip().lower()
