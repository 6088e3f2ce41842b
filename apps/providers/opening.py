"""From a stored connection to the adapter that speaks over it."""

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.core.errors import ConflictError
from apps.providers.contracts import Objective
from apps.providers.models import Connection
from apps.providers.registry import provider_class
from apps.providers.remote import Support

KEPT_OPEN = 64
"""Adapters that a process keeps, the least recently used ones are let go first."""

_lock = threading.Lock()
_open: OrderedDict[int, tuple[datetime, Any]] = OrderedDict()


class ConnectionRemovedError(ConflictError):
    """The connection was taken away, and its secrets with it."""

    code = "connection_removed"


def adapter_for(connection: Connection) -> Any:
    """The adapter with the connection's settings: a `RemoteTrainer`, and an `InferenceProvider` where it answers, too.

    One a process and state of the connection; it is shared between threads, so nobody but this module closes it.
    Raises ConnectionRemovedError, and ProviderError where the settings make no adapter.
    """
    if connection.removed_at is not None:
        raise ConnectionRemovedError(
            f"The connection “{connection.name}” was removed. Add it again to use its models."
        )
    kept = _kept(connection)
    if kept is not None:
        return kept
    made = make_adapter(connection.provider, connection.adapter_settings())
    return _keep(connection, made)


def make_adapter(provider: str, values: dict[str, Any]) -> Any:
    """A new adapter that belongs to the caller, who closes it. Settings that have no value get their default."""
    return provider_class(provider)(**_options(provider, values))


def adapter_options(connection: Connection) -> dict[str, Any]:
    """The constructor arguments of the connection's adapter, for what keeps one of its own."""
    return _options(connection.provider, connection.adapter_settings())


def _options(provider: str, values: dict[str, Any]) -> dict[str, Any]:
    defaults = {setting.name: setting.default for setting in provider_class(provider).settings}
    return {"settings": defaults | values, "allow_private": settings.FTPORTAL_ALLOW_PRIVATE_URLS}


def support_over(connection: Connection, model: str, objective: Objective) -> Support | None:
    """How the connection's provider trains the model; None if it can't, or only answers. Asks nothing of it.

    Raises what `adapter_for` raises.
    """
    support = getattr(adapter_for(connection), "support", None)
    found: Support | None = support(model, objective) if support is not None else None
    return found


def _kept(connection: Connection) -> Any:
    with _lock:
        found = _open.get(connection.pk)
        # A newer one than asked for: the caller read the connection before it was changed.
        if found is None or found[0] < connection.updated_at:
            return None
        _open.move_to_end(connection.pk)
        return found[1]


def _keep(connection: Connection, made: Any) -> Any:
    """Keep `made`, unless another thread was faster. What it replaces may be in use, so it is not closed: its sockets
    go with the last reference to it."""
    with _lock:
        found = _open.get(connection.pk)
        if found is not None and found[0] >= connection.updated_at:
            winner = found[1]
        else:
            _open[connection.pk] = (connection.updated_at, made)
            _open.move_to_end(connection.pk)
            while len(_open) > KEPT_OPEN:
                _open.popitem(last=False)
            return made
    made.close()
    return winner


def adapters_forget() -> None:
    """Close everything that is open in this process, such as before it ends."""
    with _lock:
        kept = [adapter for _, adapter in _open.values()]
        _open.clear()
    for adapter in kept:
        adapter.close()
