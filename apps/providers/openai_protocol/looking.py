"""A live look at a server: whether it answers, takes the key, and which models it lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from apps.providers.contracts import ProviderError
from apps.providers.openai_protocol.access import Access
from apps.providers.openai_protocol.errors import asking
from apps.providers.openai_protocol.replies import body_of, day, entries, text
from apps.providers.remote import ConnectionCheck, RemoteModel


@dataclass(frozen=True)
class Listing:
    models: tuple[RemoteModel, ...]
    quota: str
    trainable: frozenset[str] | None
    """Ids that the server itself marks as trainable; None where it marks none."""


def list_models(client: OpenAI, access: Access) -> Listing:
    with asking(access):
        raw = client.models.with_raw_response.list()
    found = entries(body_of(access, raw))
    marked = frozenset(text(entry.get("id")) for entry in found if _is_marked(entry))
    return Listing(
        models=tuple(model_of(entry) for entry in found if text(entry.get("id"))),
        quota=quota_of(raw.http_response.headers),
        trainable=marked or None,
    )


def _is_marked(entry: Mapping[str, Any]) -> bool:
    """Azure says what a model can do."""
    abilities = entry.get("capabilities")
    return isinstance(abilities, Mapping) and abilities.get("fine_tune") is True


def model_of(entry: Mapping[str, Any]) -> RemoteModel:
    """OpenAI says when a model is shut down as a day, Azure as a time for each use."""
    name = text(entry.get("id"))
    ends = entry.get("deprecation")
    end = ends.get("inference") if isinstance(ends, Mapping) else None
    length = entry.get("context_length") or entry.get("max_model_len")
    return RemoteModel(
        id=name,
        owner=text(entry.get("owned_by")),
        context_length=length if isinstance(length, int) and length > 0 else None,
        end_of_life=day(entry.get("shutdown_date")) or day(end),
        tuned=name.startswith("ft:"),
    )


def quota_of(headers: Mapping[str, str]) -> str:
    limit, left = (headers.get(f"x-ratelimit-{name}-requests", "") for name in ("limit", "remaining"))
    return f"{left} of {limit} requests left" if limit.isdigit() and left.isdigit() else ""


def failed_look(error: ProviderError) -> ConnectionCheck:
    """What an error says about the connection."""
    if error.code in ("unreachable", "timeout", "connection_lost") and not error.raw:
        return ConnectionCheck(reachable=False, authenticated=None, message=error.message)
    known = False if error.code in ("unauthenticated", "forbidden") else None
    return ConnectionCheck(reachable=True, authenticated=known, message=error.message)
