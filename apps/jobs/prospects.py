"""What is known of a job at a provider before it is sent: what of the data reaches it, its limits, its cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from apps.core.formatting import format_number
from apps.datasets.exports import FORMATS
from apps.datasets.models import Version
from apps.datasets.provider_formats import FEATURES, PAIR, PROVIDER_FORMATS
from apps.datasets.version_exports import feature_counts
from apps.jobs.planning import RowCounts
from apps.jobs.remote_recipes import CostEstimate
from apps.jobs.selectors import row_counts
from apps.providers.prices import FoundPrice
from apps.providers.remote import Support
from apps.providers.selectors import price_for
from apps.registry.models import BaseModel

NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Rows that lose something on the way to a provider, in words."""

    rows: int
    what: str

    @property
    def words(self) -> str:
        rows = "1 row loses" if self.rows == 1 else f"{format_number(self.rows)} rows lose"
        return f"{rows} {self.what}: the provider's format can't carry it."


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What of a version's rows reaches the provider."""

    left_out: int
    dropped: tuple[Loss, ...]

    @property
    def left_out_words(self) -> str:
        rows = "1 row" if self.left_out == 1 else f"{format_number(self.left_out)} rows"
        return f"{rows} of the version can't be written in the provider's format and will not be sent."


def carried_rows(version: Version, data_format: str) -> Carried:
    """What the data format of a provider leaves out of the version, over all its splits."""
    counts = feature_counts(version)
    if data_format in FORMATS:
        pairs = sum(rows for joined, rows in counts.items() if PAIR in joined.split(","))
        left_out = version.row_count - pairs if data_format == "preference" else 0
        return Carried(left_out=left_out, dropped=())
    losses = PROVIDER_FORMATS[data_format].losses(counts)
    return Carried(
        left_out=losses.left_out,
        dropped=tuple(Loss(rows=rows, what=FEATURES[name]) for name, rows in losses.dropped.items()),
    )


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What is known of a job at a provider before it is sent. None is unknown."""

    rows: int
    validation_rows: int
    tokens: int | None
    epochs: float | None
    """None: the provider decides."""
    cost: CostEstimate | None
    cost_an_epoch: CostEstimate | None
    price: FoundPrice | None
    carried: Carried
    problems: tuple[str, ...]
    """Why the provider would refuse it."""


def prospect(
    version: Version,
    *,
    base_model: BaseModel,
    objective: str,
    support: Support,
    numbers: Mapping[str, float | int],
) -> Prospect:
    """Tokens are those of the project's own tokenizer: another model counts its own, usually within a fifth."""
    counts = row_counts(version, max_length=support.most_tokens_a_row or NO_LIMIT)
    price = price_for(
        workspace=base_model.workspace,
        provider=base_model.provider,
        model=base_model.reference,
        kind="training",
        objective=objective,
        connection=base_model.connection,
    )
    usual = next((number.usual for number in support.numbers if number.name == "epochs"), None)
    chosen = numbers.get("epochs", usual)
    carried = carried_rows(version, support.data_format)
    tokens = counts.tokens_truncated
    an_epoch = _cost(price, tokens, 1)
    cost = _cost(price, tokens, chosen) if chosen is not None else None
    return Prospect(
        rows=version.train_count,
        validation_rows=version.validation_count if support.takes_validation else 0,
        tokens=tokens,
        epochs=chosen,
        cost=cost,
        cost_an_epoch=an_epoch,
        price=price,
        carried=carried,
        problems=tuple(limit_problems(version, counts, support, carried)),
    )


def _cost(price: FoundPrice | None, tokens: int | None, epochs: float) -> CostEstimate | None:
    """Providers charge for the tokens of the training rows, as often as they are trained on."""
    if price is None or tokens is None:
        return None
    return CostEstimate(
        amount=price.cost(round(tokens * epochs)), currency=price.currency, price_date=price.as_of
    )


def limit_problems(version: Version, counts: RowCounts, support: Support, carried: Carried) -> Iterator[str]:
    """Limits of the provider that the version does not keep, each as a sentence that says what to do."""
    if carried.left_out >= version.row_count:
        yield "No row of this version can be written in the format that this model is trained on."
    if version.train_count < support.fewest_rows:
        yield (
            f"The provider wants at least {format_number(support.fewest_rows)} training rows, and this version has"
            f" {format_number(version.train_count)}. Label or import more."
        )
    if support.most_rows is not None and version.train_count > support.most_rows:
        yield (
            f"The provider takes at most {format_number(support.most_rows)} training rows, and this version has"
            f" {format_number(version.train_count)}. Freeze a smaller version."
        )
    most = support.most_validation_rows
    if support.takes_validation and most is not None and version.validation_count > most:
        yield (
            f"The provider takes at most {format_number(most)} validation rows, and this version has"
            f" {format_number(version.validation_count)}. Freeze one with a smaller validation share."
        )
    limit = support.most_tokens_a_row
    if limit is not None and counts.over_length:
        yield (
            f"{format_number(counts.over_length)} rows are longer than the {format_number(limit)} tokens that the"
            " provider takes. Leave them out of a new version."
        )
