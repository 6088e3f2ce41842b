"""Where a version could be trained: a line for every model of every connection, and for this installation's own."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.core.errors import PortalError
from apps.datasets.models import Split, Version, VersionRow
from apps.datasets.version_exports import feature_counts
from apps.jobs.models import JobState, Method, TrainingJob
from apps.jobs.places.limits import (
    DPO,
    DataSize,
    Limit,
    as_sent,
    length_limits_here,
    limits_of,
    losses_here,
    losses_in,
    losses_in_words,
    losses_unknown,
)
from apps.jobs.selectors import JOBS_FOR_RATE, hardware_of, pair_counts
from apps.jobs.template_fit import template_fit
from apps.providers.catalogue import provider_label
from apps.providers.contracts import Objective
from apps.providers.lifetimes import LifeLeft, life_of
from apps.providers.matching import hosts_of
from apps.providers.models import Connection
from apps.providers.offered import offered_models
from apps.providers.opening import adapter_for, support_over
from apps.providers.prices import TRAINING, FoundPrice, PriceBook, cost_text
from apps.providers.remote import Support
from apps.providers.selectors import connections_of, price_book
from apps.registry.models import BaseModel
from apps.registry.selectors import life_left

BYTES_AROUND_A_ROW = 120
"""Keys, roles and quotes of a line of chat, beside its texts."""
JOBS_READ = 500


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Tokens a second over whole trainings, and on how many that stands."""

    tokens_per_second: float
    jobs: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """One model that the version could be trained on. Costs and times are for `epochs` passes; None is unknown."""

    reference: str
    name: str
    provider: str
    provider_label: str
    connection: Connection | None
    base_model: BaseModel | None
    """None: the workspace has not taken it from the connection's list yet."""
    epochs: float
    limits: Sequence[Limit]
    losses: Sequence[str] | None
    note: str
    price: FoundPrice | None
    price_is_old: bool
    cost: Decimal | None
    seconds: float | None
    rate: Rate | None
    life: LifeLeft | None

    @property
    def is_here(self) -> bool:
        return self.connection is None

    @property
    def fits(self) -> bool:
        """Whether a training could be started there."""
        over = self.life is not None and (self.life.is_over or self.life.is_trainable_no_more)
        return not over and not any(limit.stops for limit in self.limits)

    @property
    def cost_text(self) -> str:
        assert self.cost is not None
        assert self.price is not None
        return cost_text(self.cost, self.price.currency)


@dataclass(frozen=True)
class Places:
    places: Sequence[Place]
    problems: Sequence[tuple[Connection, str]]
    """Connections that could not be looked at, and why."""
    tokens: int | None
    """Training tokens of one pass, as the version's own tokenizer counted them."""


def places_for(version: Version, *, objective: Objective, epochs: float, today: date) -> Places:
    """Every place with its limits, cost, time and losses. Nothing is asked of a provider."""
    workspace = version.dataset.project.workspace
    finding = _Finding(version=version, workspace=workspace, objective=objective, epochs=epochs, today=today)
    places: list[Place] = list(finding.own())
    problems = []
    for connection in connections_of(workspace):
        try:
            places.extend(finding.over(connection))
        except PortalError as error:
            problems.append((connection, error.message))
    places.sort(key=lambda place: not place.fits)  # stable: otherwise as found
    return Places(places, problems, finding.data.tokens)


class _Finding:
    """What all lines share, read once."""

    def __init__(
        self, *, version: Version, workspace: Workspace, objective: Objective, epochs: float, today: date
    ) -> None:
        self.objective, self.epochs, self.today = objective, epochs, today
        self.version, self.workspace = version, workspace
        self.data = data_size(version, objective)
        self.training: Mapping[str, int] = feature_counts(version, Split.TRAIN)
        self.validation: Mapping[str, int] = feature_counts(version, Split.VALIDATION)
        self.features = Counter(self.training) + Counter(self.validation)
        self.book: PriceBook = price_book(workspace)
        self.rates = measured_rates(workspace, objective)
        models: QuerySet[BaseModel] = BaseModel.objects.filter(workspace=workspace).select_related(
            "connection"
        )
        self.base_models: dict[int | None, list[BaseModel]] = defaultdict(list)
        for base_model in models.order_by("name", "pk"):
            self.base_models[base_model.connection_id].append(base_model)

    def own(self) -> Iterator[Place]:
        limits = []
        if self.objective == DPO and not self.data.rows:
            limits = [Limit(text="none of the rows is a preference pair", stops=True)]
        for base_model in self.base_models[None]:
            rate = self.rates.get(base_model.pk)
            fit = template_fit(self.version, base_model)
            yield Place(
                reference=base_model.reference,
                name=base_model.name,
                provider=base_model.provider,
                provider_label="This installation",
                connection=None,
                base_model=base_model,
                epochs=self.epochs,
                limits=limits + length_limits_here(base_model.context_length, self.data),
                losses=losses_in_words(losses_here(self.features, self.objective, fit.unseen))
                + losses_unknown(fit.unknown),
                note="",
                price=None,
                price_is_old=False,
                cost=None,
                seconds=self._seconds(rate, self.epochs),
                rate=rate,
                life=None,
            )

    def over(self, connection: Connection) -> Iterator[Place]:
        adapter_for(connection)  # what is wrong with it is said even where it offers nothing
        taken = {base_model.reference: base_model for base_model in self.base_models[connection.pk]}
        listed = {
            model.id: model
            for model in offered_models(connection.offered)
            if model.trainable and (model.objectives is None or self.objective in model.objectives)
        }
        for reference in dict.fromkeys([*taken, *listed]):
            support = support_over(connection, reference, self.objective)
            if support is None:
                continue
            listing = listed.get(reference)
            base_model = taken.get(reference)
            name = base_model.name if base_model else (listing.label if listing else "") or reference
            yield self._remote(
                connection,
                support,
                reference=reference,
                name=name,
                base_model=base_model,
                ends=listing.end_of_life if listing else None,
            )

    def _remote(
        self,
        connection: Connection,
        support: Support,
        *,
        reference: str,
        name: str,
        base_model: BaseModel | None,
        ends: date | None,
    ) -> Place:
        epochs = epochs_taken(support, self.epochs)
        hosts = hosts_of(connection.settings)
        price = self.book.find(
            provider=connection.provider,
            model=reference,
            kind=TRAINING,
            objective=self.objective,
            hosts=hosts,
        )
        tokens = round(self.data.tokens * epochs) if self.data.tokens is not None else None
        losses = losses_in(support.data_format, self.features)
        rate = self.rates.get(base_model.pk) if base_model else None
        return Place(
            reference=reference,
            name=name,
            provider=connection.provider,
            provider_label=provider_label(connection.provider),
            connection=connection,
            base_model=base_model,
            epochs=epochs,
            limits=limits_of(
                support, as_sent(self.data, support.data_format, self.training, self.validation)
            ),
            losses=losses_in_words(losses) if losses is not None else None,
            note=support.note,
            price=price,
            price_is_old=price is not None and price.is_old(self.today),
            cost=price.cost(tokens) if price is not None and tokens is not None else None,
            seconds=self._seconds(rate, epochs),
            rate=rate,
            life=life_left(base_model, self.today)
            if base_model
            else life_of(
                provider=connection.provider,
                model=reference,
                today=self.today,
                hosts=hosts,
                listed=ends,
            ),
        )

    def _seconds(self, rate: Rate | None, epochs: float) -> float | None:
        if rate is None or self.data.tokens is None:
            return None
        return self.data.tokens * epochs / rate.tokens_per_second


def epochs_taken(support: Support, wanted: float) -> float:
    """As many as were asked for, within what the provider takes."""
    for number in support.numbers:
        if number.name == "epochs":
            within = min(max(wanted, number.low), number.high)
            return round(within) if number.whole else within
    return wanted


def data_size(version: Version, objective: str) -> DataSize:
    """What is known of a version's training data without reading its rows. Of pairs the tokens are unknown: only the
    preferred side was counted."""
    told: dict[str, Any] = version.statistics
    total = (told.get("tokens") or {}).get("total") or {}
    lengths = told.get("lengths") or {}
    characters = (lengths.get("characters") or {}).get("sum")
    share = version.train_count / version.row_count if version.row_count else 0
    rows, validation_rows = version.train_count, version.validation_count
    if objective == DPO:
        pairs = pair_counts(version)
        rows, validation_rows = pairs.train, pairs.validation
    return DataSize(
        rows=rows,
        validation_rows=validation_rows,
        tokens=total.get("train") if objective != DPO else None,
        longest=(lengths.get("tokens") or {}).get("maximum"),
        bytes=round(characters * share) + BYTES_AROUND_A_ROW * version.train_count
        if characters is not None
        else None,
        over=_counting_over(version),
    )


def _counting_over(version: Version) -> "Any":
    @cache
    def over(most: int) -> int | None:
        rows = VersionRow.objects.filter(version=version, split=Split.TRAIN)
        if rows.filter(token_count=None).exists():
            return None
        return rows.filter(token_count__gt=most).count()

    return over


def measured_rates(workspace: Workspace, objective: str) -> dict[int, Rate]:
    """By base model: the median of its newest trainings, here on the hardware of the newest, as its trainer measured;
    at a provider all tokens over all the time, waiting included."""
    jobs = (
        TrainingJob.objects.filter(
            project__workspace=workspace,
            state=JobState.SUCCEEDED,
            objective=objective,
            method__in=[Method.LORA, Method.MANAGED],
        )
        .order_by("-pk")
        .values_list(
            "base_model_id",
            "measured_tokens_per_second",
            "environment",
            "trained_tokens",
            "started_at",
            "finished_at",
        )[:JOBS_READ]
    )
    found: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for base_model, measured, environment, tokens, started, finished in jobs:
        if measured:
            found[base_model].append((hardware_of(environment), measured))
        elif tokens and started and finished and finished > started:
            found[base_model].append(("", tokens / (finished - started).total_seconds()))
    rates = {}
    for base_model, measurements in found.items():
        newest = measurements[0][0]
        alike = [rate for hardware, rate in measurements if hardware == newest][:JOBS_FOR_RATE]
        rates[base_model] = Rate(tokens_per_second=statistics.median(alike), jobs=len(alike))
    return rates
