"""What answers of models at providers cost, as far as somebody said a price. Models of this installation cost none."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from apps.projects.models import Project
from apps.providers.matching import hosts_of
from apps.providers.prices import INPUT, OUTPUT, PriceBook, cost_text
from apps.registry.models import ModelVersion, Variant

THOUSAND = 1000


def cost_per_thousand(variant: Variant, metrics: Mapping[str, Any] | None, book: PriceBook) -> str:
    """Of 1,000 answers as long as those measured, as a text; empty where a price or the tokens are unknown.

    The prices are those of tuned models: what the untuned base costs is a price of its own that nobody lists here.
    """
    connection, tokens = variant.base_model.connection, (metrics or {}).get("tokens") or {}
    measured = tokens.get("calls", 0) - tokens.get("missing", 0)
    if connection is None or variant.model_version is None or not measured:
        return ""
    amount, currencies = Decimal(0), set()
    for kind, counted in ((INPUT, tokens["prompt"]), (OUTPUT, tokens["completion"])):
        price = book.find(
            provider=variant.base_model.provider,
            model=variant.base_model.reference,
            kind=kind,
            hosts=hosts_of(connection.settings),
        )
        if price is None:
            return ""
        amount += price.cost(round(counted / measured * THOUSAND))
        currencies.add(price.currency)
    return cost_text(amount, currencies.pop()) if len(currencies) == 1 else ""


def paid_over(project: Project, model_version_id: str) -> str:
    """The name of the connection that charges for a model's answers; empty for a model of this installation."""
    if not (model_version_id.isascii() and model_version_id.isdecimal() and len(model_version_id) < 19):
        return ""
    found = (
        ModelVersion.objects.filter(project=project, pk=model_version_id)
        .select_related("base_model__connection")
        .first()
    )
    connection = found.base_model.connection if found is not None else None
    return connection.name if connection is not None else ""
