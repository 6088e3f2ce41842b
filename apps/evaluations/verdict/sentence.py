"""The verdict in words: first the answer with its number, then what else matters."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.formatting import SPACE, format_number, format_percent, format_points
from apps.evaluations.statistics import Interval
from apps.evaluations.statistics.clusters import FEW_GROUPS
from apps.evaluations.verdict.pair import CLUSTER
from apps.evaluations.verdict.types import (
    GeneralResult,
    GeneralStatus,
    Guard,
    GuardStatus,
    Outcome,
    PairResult,
    Recommendation,
)


def format_p(p: float) -> str:
    """ "p < 0.001", "p = 0.004", "p = 0.62" """
    if p < 0.001:
        return f"p{SPACE}<{SPACE}0.001"
    return f"p{SPACE}={SPACE}{p:.3f}" if p < 0.1 else f"p{SPACE}={SPACE}{p:.2f}"


def verdict_sentence(
    *,
    candidate: str,
    outcome: Outcome,
    lead: PairResult,
    general: GeneralResult | None,
    guards: Sequence[Guard],
    cheaper: float | None,
) -> str:
    """One sentence: the outcome with its evidence, general skills, cost, and every other failed guard."""
    heading = {
        Outcome.WINS: f"{candidate} wins",
        Outcome.LOSES: f"{candidate} loses",
        Outcome.NO_DIFFERENCE_SHOWN: "Not shown",
        Outcome.TOO_FEW_ITEMS: "Too few items",
    }[outcome]
    clauses = [f"{heading}: {_evidence(lead)}{_undecided(outcome, lead)}"]
    if general is not None:
        clauses.append(_general(general))
    if cheaper is not None and abs(cheaper) >= 0.005:
        word = "cheaper" if cheaper > 0 else "dearer"
        clauses.append(f"{format_percent(abs(cheaper), 0)} {word} per call")
    clauses += [
        _clause(guard.sentence)
        for guard in guards
        if guard.status is GuardStatus.FAILED and guard.name != "general skills"
    ]
    return "; ".join(clauses) + "."


def _evidence(pair: PairResult) -> str:
    grouped = pair.method == CLUSTER and pair.groups is not None
    number = f"n{SPACE}={SPACE}{format_number(pair.items)}" + (f" in {pair.groups} groups" if grouped else "")
    return (
        f"{format_percent(pair.candidate_share)} against {format_percent(pair.baseline_share)} for {pair.name}, "
        f"{format_points(pair.difference)} points ({_interval(pair.interval, with_level=True)}, {number}, "
        f"{pair.method} {format_p(pair.p)})"
    )


def _interval(interval: Interval, *, with_level: bool = False) -> str:
    level = f"{format_percent(interval.level, 0)} " if with_level else ""
    return f"{level}CI {format_points(interval.low)} to {format_points(interval.high)}"


def _undecided(outcome: Outcome, pair: PairResult) -> str:
    if outcome in {Outcome.WINS, Outcome.LOSES}:
        return ""
    settle = ""
    if pair.items_to_settle is not None:
        settle = f"; about {format_number(rounded_up(pair.items_to_settle))} examples would settle it"
    if outcome is Outcome.NO_DIFFERENCE_SHOWN:
        return f"; the difference is inside the noise{settle}"
    return settle or f"; {_clause(pair.reason)}"


def _clause(sentence: str) -> str:
    """A sentence as a part of a longer one."""
    return sentence[0].lower() + sentence[1:].rstrip(".")


def rounded_up(items: int) -> int:
    """Up to two significant digits: a planning figure is no more exact than that."""
    step = 10 ** max(0, len(str(items)) - 2)
    return int(-(-items // step) * step)


def _general(general: GeneralResult) -> str:
    change = f"{format_points(general.difference)}"
    interval = _interval(general.interval)
    if general.status is GeneralStatus.LOWER:
        return f"general skills fell: {change} points ({interval})"
    if general.status is GeneralStatus.KEPT:
        inside = "unchanged" if general.interval.contains(0.0) else "within the margin"
        inside = "higher" if general.interval.low > 0 else inside
        return f"general skills {inside} ({change}, {interval})"
    margin = format_points(general.margin).lstrip("+")
    return f"general skills not shown to be kept within {margin} points ({change}, {interval})"


def advice_sentence(recommendation: Recommendation, best_baseline: str, guards: Sequence[Guard]) -> str:
    """What to do next."""
    open_guards = [guard.name for guard in guards if guard.status is not GuardStatus.HELD]
    return {
        Recommendation.SHIP: f"It can be deployed; keep {best_baseline} alive as the fallback.",
        Recommendation.MIX_GENERAL_DATA: (
            "It wins on the task, but costs general skill: mix general data into the training, "
            "or keep the base model for other work."
        ),
        Recommendation.MEASURE_GENERAL_SKILL: (
            "It wins on the task, but it is not shown that general skills are kept: "
            "measure them on enough general items before deploying."
        ),
        Recommendation.MEND_GUARDS: f"It wins on the task, but first settle: {', '.join(open_guards)}.",
        Recommendation.KEEP_BASELINE: (
            f"Stay with {best_baseline}: no clear gain stands against the upkeep of a tuned model."
        ),
        Recommendation.COLLECT_ITEMS: f"Stay with {best_baseline} until more held-out examples decide it.",
    }[recommendation]


def verdict_notes(candidate: str, comparisons: Sequence[PairResult]) -> tuple[str, ...]:
    """What a careful reader should know about how the figures were made."""
    notes: list[str] = []
    first = comparisons[0]
    if first.groups is not None:
        wider = [pair.name for pair in comparisons if pair.method == CLUSTER]
        effect = (
            f"the intervals against {', '.join(wider)} allow for that"
            if wider
            else "allowing for that does not widen the intervals"
        )
        notes.append(f"The {format_number(first.items)} items come in {first.groups} groups; {effect}.")
        if wider and first.groups < FEW_GROUPS:
            notes.append(f"With fewer than {FEW_GROUPS} groups the intervals are themselves uncertain.")
    for pair in comparisons:
        if pair.unscored_candidate or pair.unscored_baseline:
            notes.append(
                f"Unscored answers count as wrong ({pair.unscored_candidate} of {candidate}, "
                f"{pair.unscored_baseline} of {pair.name}); whatever they are, the difference lies between "
                f"{format_points(pair.difference_lowest)} and {format_points(pair.difference_highest)} points."
            )
    return tuple(notes)
