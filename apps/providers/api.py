"""Connections by API: which there are, whether they work, what they offer. Never a secret."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from ninja import Path, Router, Schema, Status

from apps.accounts.api_keys import WorkspaceKey
from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.providers.models import Connection
from apps.providers.offered import OfferedModel
from apps.providers.selectors import (
    ConnectionStanding,
    connection_standing,
    connection_standings,
    connections_of,
)
from apps.providers.services import connection_check_start

if TYPE_CHECKING:
    from apps.accounts.access import WorkspaceRequest

router = Router(tags=["Connections"])


class ConnectionOut(Schema):
    id: int
    name: str
    provider: str
    state: str
    """In words: Works, Key refused, Not reachable, Checking, Not checked."""
    checking: bool
    reachable: bool | None
    authenticated: bool | None
    message: str
    quota: str
    checked_at: datetime | None


class OfferedOut(Schema):
    id: str
    label: str
    trainable: bool
    served: bool
    tuned: bool
    objectives: list[str] | None
    context_length: int | None
    end_of_life: date | None


class ConnectionDetailOut(ConnectionOut):
    settings: dict[str, str]
    """Without secrets."""
    lists_trainable: bool
    """False: the provider doesn't say what it trains, so an empty list means nothing."""
    lists_served: bool
    models: list[OfferedOut]


def _told(standing: ConnectionStanding) -> dict[str, Any]:
    connection = standing.connection
    return {
        "id": connection.pk,
        "name": connection.name,
        "provider": connection.provider,
        "state": standing.word,
        "checking": standing.check is not None,
        "reachable": connection.reachable,
        "authenticated": connection.authenticated,
        "message": connection.check_message,
        "quota": connection.quota,
        "checked_at": connection.checked_at,
    }


def _model(model: OfferedModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "label": model.label,
        "trainable": model.trainable,
        "served": model.served,
        "tuned": model.tuned,
        "objectives": list(model.objectives) if model.objectives is not None else None,
        "context_length": model.context_length,
        "end_of_life": model.end_of_life,
    }


def _connection(request: "WorkspaceRequest", pk: int) -> Connection:
    return get_object_or_404(connections_of(request.workspace), pk=pk)


@router.get(
    "/connections/",
    auth=WorkspaceKey(Permission.TRAIN),
    response={200: list[ConnectionOut], **REFUSALS},
    url_name="connections",
)
def connections(request: "WorkspaceRequest", workspace_slug: Path[str]) -> list[dict[str, Any]]:
    """The workspace's connections to providers, by name."""
    return [_told(standing) for standing in connection_standings(request.workspace)]


@router.get(
    "/connections/{int:pk}/",
    auth=WorkspaceKey(Permission.TRAIN),
    response={200: ConnectionDetailOut, **REFUSALS},
    url_name="connection",
)
def connection(request: "WorkspaceRequest", workspace_slug: Path[str], pk: int) -> dict[str, Any]:
    """One connection with the models of its last listing."""
    standing = connection_standing(_connection(request, pk))
    return _told(standing) | {
        "settings": standing.connection.settings,
        "lists_trainable": standing.trainable is not None,
        "lists_served": standing.served is not None,
        "models": [_model(model) for model in standing.models],
    }


@router.post(
    "/connections/{int:pk}/check/",
    auth=WorkspaceKey(Permission.TRAIN),
    response={202: ConnectionOut, **REFUSALS},
    url_name="check_connection",
)
def check_connection(
    request: "WorkspaceRequest", workspace_slug: Path[str], pk: int
) -> Status[dict[str, Any]]:
    """Look whether it works and what it offers, in the background: ask again until `checking` is false."""
    found = _connection(request, pk)
    connection_check_start(connection=found, by=request.user)
    return Status(202, _told(connection_standing(found)))
