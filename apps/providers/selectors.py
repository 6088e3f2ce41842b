"""Reading connections, what they offer, and prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.core.tones import ATTENTION, DONE, FAILED, NEUTRAL, WORKING
from apps.operations.models import Operation
from apps.providers.catalogue import provider_label
from apps.providers.lifetimes import LifeLeft, life_of
from apps.providers.matching import hosts_of
from apps.providers.models import Connection, Price
from apps.providers.offered import OfferedModel, offered_models
from apps.providers.prices import FoundPrice, ListedPrice, PriceBook, shipped_prices

CHECK_KIND = "providers.check"


def connections_of(workspace: Workspace) -> QuerySet[Connection]:
    """Those that were not removed, by name."""
    return Connection.objects.filter(workspace=workspace, removed_at=None).select_related(
        "workspace", "created_by"
    )


@dataclass(frozen=True)
class ConnectionStanding:
    """A connection, its state as a tone and a word, and what it offered when it was looked at last."""

    connection: Connection
    check: Operation | None
    """The look that is under way."""

    @property
    def provider(self) -> str:
        return provider_label(self.connection.provider)

    @property
    def state(self) -> tuple[str, str]:
        connection = self.connection
        if self.check is not None:
            return WORKING, "Checking"
        if connection.checked_at is None:
            return NEUTRAL, "Not checked"
        if not connection.reachable:
            return FAILED, "Not reachable"
        if connection.authenticated is False:
            return FAILED, "Key refused"
        if connection.authenticated is None:
            return ATTENTION, "Reachable, key unknown"
        return DONE, "Works"

    @property
    def tone(self) -> str:
        return self.state[0]

    @property
    def word(self) -> str:
        return self.state[1]

    @property
    def needs_help(self) -> bool:
        return self.tone == FAILED

    @property
    def was_listed(self) -> bool:
        """Whether the provider was asked with success at least once."""
        connection = self.connection
        return bool(connection.offered) or bool(
            connection.reachable and connection.authenticated is not False
        )

    @cached_property
    def models(self) -> list[OfferedModel]:
        return offered_models(self.connection.offered)

    @property
    def trainable(self) -> list[OfferedModel] | None:
        """None where the provider doesn't list them."""
        return self._list("trainable")

    @property
    def served(self) -> list[OfferedModel] | None:
        return self._list("served")

    def _list(self, kind: str) -> list[OfferedModel] | None:
        if kind not in self.connection.offered:
            return None
        return [model for model in self.models if getattr(model, kind)]


def connection_standings(workspace: Workspace) -> list[ConnectionStanding]:
    """Every connection with its state, in three queries however many there are."""
    connections = list(connections_of(workspace))
    return [ConnectionStanding(each, check) for each, check in _with_checks(connections)]


def connection_standing(connection: Connection) -> ConnectionStanding:
    """A connection and how its last check went."""
    return ConnectionStanding(connection, _with_checks([connection])[0][1])


def _with_checks(connections: Sequence[Connection]) -> list[tuple[Connection, Operation | None]]:
    running = {
        operation.subject_id: operation
        for operation in Operation.objects.filter(
            kind=CHECK_KIND,
            subject_type=Connection._meta.label_lower,
            subject_id__in=[each.pk for each in connections],
            state__in=Operation.ACTIVE,
        )
    }
    return [(each, running.get(each.pk)) for each in connections]


# --- Ends -----------------------------------------------------------------------------------------------------------


def life_of_offered(connection: Connection, model: OfferedModel, *, today: date) -> LifeLeft | None:
    """What is known of the end of a model in a connection's listing."""
    return life_of(
        provider=connection.provider,
        model=model.id,
        today=today,
        hosts=hosts_of(connection.settings),
        listed=model.end_of_life,
    )


# --- Prices ---------------------------------------------------------------------------------------------------------


def prices_of(workspace: Workspace) -> QuerySet[Price]:
    """What the workspace says itself."""
    return (
        Price.objects.filter(workspace=workspace)
        .select_related("changed_by")
        .order_by("provider", "model", "kind", "objective")
    )


def price_book(workspace: Workspace) -> PriceBook:
    """Own and shipped prices, for looking up many."""
    own = [
        ListedPrice(
            provider=price.provider,
            host="",
            price=FoundPrice(
                pattern=price.model,
                kind=price.kind,
                objective=price.objective,
                amount=price.amount,
                currency=price.currency,
                as_of=price.as_of,
                source=price.source,
                own=True,
            ),
        )
        for price in Price.objects.filter(workspace=workspace)
    ]
    return PriceBook(own=own, shipped=shipped_prices())


def price_for(
    *,
    workspace: Workspace,
    provider: str,
    model: str,
    kind: str,
    objective: str = "supervised",
    connection: Connection | None = None,
) -> FoundPrice | None:
    """What one million tokens cost, with the price's date and source; None: nobody said, so ask, never take zero.

    `model` is the base model's name, also for answers of what was tuned on it. Shipped prices of one server count
    only over a `connection` that leads there.
    """
    hosts = hosts_of(connection.settings) if connection is not None else ()
    return price_book(workspace).find(
        provider=provider, model=model, kind=kind, objective=objective, hosts=hosts
    )
