"""What a job would do, from counts that are known before it starts. Plain arithmetic, no database."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from apps.core.formatting import format_number
from apps.datasets.checks.results import ATTENTION, INFO, PROBLEM, rows_text
from apps.datasets.checks.size import step_of

Tone = Literal["info", "attention", "failed"]
_TONES: dict[str, Tone] = {PROBLEM: "failed", ATTENTION: "attention", INFO: "info"}


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """Rows of a split and their tokens under a maximum length. Tokens are None where nothing counted them."""

    rows: int
    over_length: int | None = None
    tokens: int | None = None
    tokens_truncated: int | None = None
    """Tokens when every row is cut to the maximum length; `tokens` leaves the longer rows out."""
    longest: int | None = None


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """Preference pairs among the rows to train on and to validate on, and all rows to train on."""

    train: int
    validation: int
    train_rows: int

    @property
    def usual_objective(self) -> str:
        """DPO where there is nothing but pairs."""
        return "dpo" if self.train and self.train == self.train_rows else "supervised"


def as_pairs(counts: RowCounts, pairs: PairCounts) -> RowCounts:
    """The counts of rows as those of their pairs: each has two conversations, taken to be as long as each other."""
    share = 2 * pairs.train / counts.rows if counts.rows else 0
    whole = pairs.train == counts.rows
    return RowCounts(
        rows=pairs.train,
        over_length=counts.over_length if whole else None,
        tokens=None if counts.tokens is None else round(counts.tokens * share),
        tokens_truncated=None if counts.tokens_truncated is None else round(counts.tokens_truncated * share),
        longest=counts.longest,
    )


@dataclass(frozen=True, kw_only=True)
class Advice:
    """`must_confirm`: the person has to say that they mean it."""

    tone: Tone
    text: str
    must_confirm: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """None is unknown."""

    examples: int
    replay_rows: int
    dropped_rows: int | None
    truncated_rows: int | None
    steps_per_epoch: int
    steps: int
    tokens: int | None
    seconds: float | None
    rate: float | None
    advice: Sequence[Advice]
    in_pairs: bool = False
    """Examples are preference pairs."""

    @property
    def must_confirm(self) -> bool:
        return any(advice.must_confirm for advice in self.advice)


def make_plan(
    counts: RowCounts,
    hyperparameters: Mapping[str, Any],
    *,
    validation_rows: int,
    rate: float | None,
    pairs: PairCounts | None = None,
    objective: str = "supervised",
) -> Plan:
    """Steps as the trainer counts them; tokens over the whole run, general rows taken to be as long as the others.

    `rate` is tokens a second as measured on earlier jobs; without one the time is unknown. `pairs` are those of the
    version: DPO learns from them alone.
    """
    in_pairs = objective == "dpo" and pairs is not None
    if in_pairs:
        assert pairs is not None
        counts, validation_rows = as_pairs(counts, pairs), pairs.validation
    truncates = hyperparameters["too_long"] == "truncate"
    over = counts.over_length
    dropped = None if over is None else (0 if truncates else over)
    examples = counts.rows - (dropped or 0)
    replay = hyperparameters["replay_rows"]
    batches = math.ceil((examples + replay) / hyperparameters["batch_size"])
    an_epoch = math.ceil(batches / hyperparameters["gradient_accumulation"])
    steps = hyperparameters["max_steps"] or math.ceil(hyperparameters["epochs"] * max(1, an_epoch))
    once = counts.tokens_truncated if truncates else counts.tokens
    tokens = None
    if once is not None and an_epoch:
        mixed = once * (examples + replay) / examples if examples else 0
        tokens = round(mixed * steps / an_epoch)
    seconds = tokens / rate if tokens is not None and rate else None
    return Plan(
        examples=examples,
        replay_rows=replay,
        dropped_rows=dropped,
        truncated_rows=None if over is None else (over if truncates else 0),
        steps_per_epoch=an_epoch,
        steps=steps if examples else 0,
        tokens=tokens,
        seconds=seconds,
        rate=rate,
        advice=[
            *_advice(counts, hyperparameters, examples=examples, validation_rows=validation_rows),
            *_pair_advice(pairs, in_pairs=in_pairs),
        ],
        in_pairs=in_pairs,
    )


def _pair_advice(pairs: PairCounts | None, *, in_pairs: bool) -> list[Advice]:
    """What the objective makes of the pairs, and of the rows that are none."""
    if pairs is None or not pairs.train:
        return []
    if not in_pairs:
        count = format_number(pairs.train)
        some = "1 row is a preference pair" if pairs.train == 1 else f"{count} rows are preference pairs"
        text = f"{some}: supervised training learns the preferred answer and ignores the rejected one."
        return [Advice(tone="info", text=f"{text} DPO learns from both.")]
    others = pairs.train_rows - pairs.train
    if not others:
        return []
    left_out = (
        "1 row is no preference pair"
        if others == 1
        else f"{format_number(others)} rows are no preference pairs"
    )
    return [Advice(tone="attention", text=f"{left_out} and will be left out.")]


def _advice(
    counts: RowCounts, hyperparameters: Mapping[str, Any], *, examples: int, validation_rows: int
) -> list[Advice]:
    advice = [_size_advice(examples)] if examples else []
    if counts.over_length:
        advice.append(_length_advice(counts, hyperparameters))
    if not validation_rows:
        advice.append(
            Advice(
                tone="attention",
                text="The version has no validation rows: overfitting can't be seen, and the last checkpoint is "
                "kept instead of the best. Freeze a version with a validation share.",
            )
        )
    if hyperparameters["epochs"] > 10 and hyperparameters["max_steps"] is None:
        advice.append(
            Advice(tone="attention", text="More than 10 epochs usually overfit. 1 to 3 are common.")
        )
    return advice


def _size_advice(examples: int) -> Advice:
    step = step_of(examples)
    return Advice(
        tone=_TONES[step.severity],
        must_confirm=step.severity == PROBLEM,
        text=f"{rows_text(examples, 'training row')}: {step.expect}. {step.advice}",
    )


def _length_advice(counts: RowCounts, hyperparameters: Mapping[str, Any]) -> Advice:
    limit, over = hyperparameters["max_length"], counts.over_length
    rows = "1 row is" if over == 1 else f"{format_number(over or 0)} rows are"
    longest = f" (the longest has {format_number(counts.longest)})" if counts.longest else ""
    start = f"{rows} longer than {format_number(limit)} tokens{longest} and "
    match hyperparameters["too_long"]:
        case "drop":
            return Advice(tone="attention", text=start + "will be left out.")
        case "truncate":
            return Advice(
                tone="attention",
                text=start + "will be cut at the end, where the answer is: the model learns to stop early.",
            )
        case _:
            return Advice(
                tone="failed", text=start + "the job will refuse to start. Raise the maximum length."
            )
