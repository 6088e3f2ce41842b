"""Whether a version fits what a provider takes, and what of it would be lost. No database."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from apps.core.formatting import format_bytes, format_number
from apps.datasets.provider_formats import FEATURES, OTHER, PAIR, PROVIDER_FORMATS, WEIGHTS, Losses
from apps.providers.remote import Support

SUPERVISED, DPO = "supervised", "dpo"


@dataclass(frozen=True, kw_only=True)
class DataSize:
    """A version's training data towards one objective. None: nothing counted it."""

    rows: int
    validation_rows: int
    tokens: int | None
    longest: int | None
    bytes: int | None
    """About: its texts, and a little for every row around them."""
    over: Callable[[int], int | None]
    """How many training rows have more tokens than that."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One thing that a person should know about the data there; `stops`: the provider would refuse it."""

    text: str
    stops: bool = False


def limits_of(support: Support, data: DataSize) -> list[Limit]:
    """Every limit of the provider that the data breaks."""
    found = []
    rows = data.rows + (data.validation_rows if support.counts_both else 0)
    both = ", validation rows among them" if support.counts_both else ""
    if rows < support.fewest_rows:
        found.append(
            _stop(f"needs at least {_rows(support.fewest_rows)}{both}; there are {format_number(rows)}")
        )
    if support.most_rows is not None and rows > support.most_rows:
        found.append(
            _stop(f"takes at most {_rows(support.most_rows)}{both}; there are {format_number(rows)}")
        )
    most_validation = support.most_validation_rows
    if data.validation_rows and not support.takes_validation:
        found.append(Limit(text="takes no validation rows: overfitting can’t be seen"))
    elif most_validation is not None and data.validation_rows > most_validation:
        found.append(
            _stop(
                f"takes at most {format_number(most_validation)} validation rows; there are"
                f" {format_number(data.validation_rows)}"
            )
        )
    if support.most_bytes is not None and data.bytes is not None and data.bytes > support.most_bytes:
        found.append(
            _stop(
                f"takes at most {format_bytes(support.most_bytes)}; the training rows have about"
                f" {format_bytes(data.bytes)}"
            )
        )
    return found + _length_limits(support, data)


def as_sent(
    data: DataSize, data_format: str, training: Mapping[str, int], validation: Mapping[str, int]
) -> DataSize:
    """The rows that get into the files of a format, from what the rows of each split hold."""
    sent = [
        None if losses is None else sum(counts.values()) - losses.left_out
        for counts in (training, validation)
        for losses in [losses_in(data_format, counts)]
    ]
    if sent[0] is None or sent[1] is None:
        return data
    return replace(data, rows=sent[0], validation_rows=sent[1])


def length_limits_here(context_length: int | None, data: DataSize) -> list[Limit]:
    """This installation leaves rows out that the model can't read, unless it is told otherwise."""
    over = data.over(context_length) if context_length is not None else 0
    if not over:
        return []
    return [Limit(text=f"{_rows(over)} longer than {format_number(context_length or 0)} tokens left out")]


def _length_limits(support: Support, data: DataSize) -> list[Limit]:
    most = support.most_tokens_a_row
    if most is None or data.longest is None or data.longest <= most:
        return []
    over = data.over(most)
    if not over:
        return []
    if support.refuses_long_rows:
        # Not stopped: its own tokenizer may count fewer.
        return [
            Limit(text=f"refuses files with rows over {format_number(most)} tokens; {_rows(over)} are longer")
        ]
    return [Limit(text=f"{_rows(over)} longer than the {format_number(most)} tokens that are read")]


def _stop(text: str) -> Limit:
    return Limit(text=text, stops=True)


def _rows(count: int) -> str:
    return f"{format_number(count)} row{'' if count == 1 else 's'}"


# --- What would be lost ---------------------------------------------------------------------------------------------

CHAT, PREFERENCE = "chat", "preference"
"""OpenAI's own lines, for answers and for pairs."""


def losses_in(data_format: str, counts: Mapping[str, int]) -> Losses | None:
    """What a provider's format can't carry of rows with these features; None: nobody wrote down what it carries."""
    if data_format in PROVIDER_FORMATS:
        return PROVIDER_FORMATS[data_format].losses(counts)
    if data_format == CHAT:
        return Losses(0, _held(counts, (PAIR, OTHER)))
    if data_format == PREFERENCE:
        return _of_pairs(counts, (OTHER,))
    return None


def losses_here(counts: Mapping[str, int], objective: str, unseen: Collection[str] = ()) -> Losses:
    """This installation's trainer reads the messages of a row with its tools and, for DPO, its rejected answer.

    `unseen` are features that the base model's chat template does not write.
    """
    unwritten = tuple(sorted(unseen))
    if objective == DPO:
        return _of_pairs(counts, (*unwritten, WEIGHTS, OTHER))
    return Losses(0, _held(counts, (*unwritten, PAIR, OTHER)))


def _of_pairs(counts: Mapping[str, int], dropped: tuple[str, ...]) -> Losses:
    pairs = {joined: rows for joined, rows in counts.items() if PAIR in joined.split(",")}
    left_out = sum(counts.values()) - sum(pairs.values())
    return Losses(left_out, _held(pairs, dropped), (f"without {FEATURES[PAIR]}",) if left_out else ())


def _held(counts: Mapping[str, int], features: tuple[str, ...]) -> dict[str, int]:
    held = {
        feature: sum(rows for joined, rows in counts.items() if feature in joined.split(","))
        for feature in features
    }
    return {feature: rows for feature, rows in held.items() if rows}


def losses_in_words(losses: Losses) -> list[str]:
    """A line each: 3 rows left out, with calls of tools; a list of tools: 12 rows.

    Nothing of fields beside the conversation: no trainer reads them.
    """
    why = f", {' or '.join(losses.reasons)}" if losses.reasons else ""
    lines = [f"{_rows(losses.left_out)} left out{why}"] if losses.left_out else []
    return lines + [
        f"{_IN_TRAINING.get(feature, FEATURES[feature])}: {_rows(rows)}"
        for feature, rows in losses.dropped.items()
        if feature != OTHER
    ]


_IN_TRAINING = {WEIGHTS: "answers with weight 0 are trained on, too"}
"""Where the loss means something that its name does not say."""


def losses_unknown(features: Collection[str]) -> list[str]:
    """A line for each feature of which nobody here can say whether the model's chat template writes it."""
    return [
        f"{FEATURES[name]}: unknown, its chat template is not on this machine" for name in sorted(features)
    ]
