"""Candidate against one baseline, item by item.

| Interval and p (both at the level of the rules)        | Outcome              |
|---------------------------------------------------------|----------------------|
| above zero                                              | wins                 |
| below zero                                              | loses                |
| not clear of zero, smallest gain ruled out by interval  | no difference shown  |
| not clear of zero, enough items for the smallest gain   | no difference shown  |
| not clear of zero, otherwise                            | too few items        |

"Clear of zero" asks for both: the interval excludes zero and p is below 1 - level; in small samples the two
can disagree, and then nothing is shown. "Enough items" means 80 % power for the smallest gain worth having
at the observed disagreement. Whatever the test says, it is *too few items* with fewer items than the rules
ask for, with all items in one group, or when more answers are unscored than the rules allow and the
direction depends on how they would have been scored.

An unscored answer counts as wrong, on either side.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.core.formatting import format_number, format_percent, format_points
from apps.evaluations.statistics import (
    Interval,
    PairedCounts,
    bonett_price_interval,
    cluster_interval,
    items_needed,
    mcnemar_midp,
    minimum_detectable_gain,
    paired_counts,
    share_interval,
)
from apps.evaluations.verdict.types import Contender, Outcome, PairResult, Rules, VerdictError

MCNEMAR = "McNemar"
CLUSTER = "cluster-robust"
MOST_ITEMS_WORTH_NAMING = 1_000_000

Outcomes = Sequence[bool | None]
Groups = Sequence[Hashable] | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The statistics of one pairing of complete outcomes. `direction` is 1, -1, or 0 for not clear of zero."""

    counts: PairedCounts
    interval: Interval
    p: float
    method: str
    independent_interval: Interval
    independent_p: float
    groups: int | None
    design_effect: float | None
    direction: int


def compare(candidate: Contender, baseline: Contender, groups: Groups, rules: Rules) -> PairResult:
    """Judge one pair under the rules; see the table above."""
    check_same_items(candidate.outcomes, baseline.outcomes, groups)
    groups = real_groups(groups)
    judged = judge(filled(candidate.outcomes, False), filled(baseline.outcomes, False), groups, rules.level)
    against = judge(filled(candidate.outcomes, False), filled(baseline.outcomes, True), groups, rules.level)
    favour = judge(filled(candidate.outcomes, True), filled(baseline.outcomes, False), groups, rules.level)
    counts = judged.counts
    unscored = [sum(outcome is None for outcome in side.outcomes) for side in (candidate, baseline)]
    depends_on_unscored = (
        max(unscored) > rules.maximum_unscored * counts.items and against.direction != favour.direction
    )
    outcome, reason = _outcome(judged, depends_on_unscored, rules)
    right = counts.fixed + counts.same_right, counts.broken + counts.same_right
    return PairResult(
        name=baseline.name,
        outcome=outcome,
        reason=reason,
        items=counts.items,
        candidate_share=right[0] / counts.items,
        candidate_interval=share_interval(right[0], counts.items, rules.level),
        baseline_share=right[1] / counts.items,
        baseline_interval=share_interval(right[1], counts.items, rules.level),
        counts=counts,
        difference=counts.difference,
        interval=judged.interval,
        p=judged.p,
        method=judged.method,
        independent_interval=judged.independent_interval,
        independent_p=judged.independent_p,
        groups=judged.groups,
        design_effect=judged.design_effect,
        unscored_candidate=unscored[0],
        unscored_baseline=unscored[1],
        difference_lowest=against.counts.difference,
        difference_highest=favour.counts.difference,
        items_to_settle=_items_to_settle(judged, outcome, rules),
        minimum_detectable_gain=_detectable(judged, rules),
    )


def judge(
    candidate: NDArray[np.bool_], baseline: NDArray[np.bool_], groups: Groups, level: float
) -> Judgement:
    """Interval and test of one pairing; the cluster-robust ones where they are the wider ones."""
    counts = paired_counts(candidate, baseline)
    independent = bonett_price_interval(counts.fixed, counts.broken, counts.items, level)
    midp = mcnemar_midp(counts.fixed, counts.broken)
    interval, p, method, number, effect = independent, midp, MCNEMAR, None, None
    one_group = False
    if groups is not None:
        number = len(set(groups))
        differences = candidate.astype(float) - baseline.astype(float)
        clustered = cluster_interval(differences, groups, level)
        one_group = clustered is None
        if clustered is not None:
            effect = clustered.design_effect
            if clustered.interval.width > independent.width:
                interval, p, method = clustered.interval, clustered.p, CLUSTER
    clear = not one_group and p < 1 - level and not interval.contains(0.0)
    direction = (1 if interval.low > 0 else -1) if clear else 0
    return Judgement(counts, interval, p, method, independent, midp, number, effect, direction)


def filled(outcomes: Outcomes, unscored_as: bool) -> NDArray[np.bool_]:
    """The outcomes as an array, with unscored ones read as right or wrong."""
    return np.array([unscored_as if outcome is None else outcome for outcome in outcomes], dtype=np.bool_)


def real_groups(groups: Groups) -> Groups:
    """The groups, with an item without one (None or "") in a group of its own; None if no group has two items."""
    if groups is None:
        return None
    named = [("alone", position) if group in (None, "") else group for position, group in enumerate(groups)]
    return named if len(set(named)) < len(named) else None


def check_same_items(first: Outcomes, second: Outcomes, groups: Groups) -> None:
    """Refuse outcomes that cannot be paired."""
    if not first:
        raise VerdictError("There are no items, so nothing can be compared. Run the evaluation first.")
    if len(first) != len(second) or (groups is not None and len(groups) != len(first)):
        raise VerdictError("Every contender needs an outcome, or None, for the same items in the same order.")


def _outcome(judged: Judgement, depends_on_unscored: bool, rules: Rules) -> tuple[Outcome, str]:
    items = judged.counts.items
    if (obstacle := _obstacle(judged, depends_on_unscored, rules)) is not None:
        return Outcome.TOO_FEW_ITEMS, obstacle
    if judged.direction:
        outcome = Outcome.WINS if judged.direction > 0 else Outcome.LOSES
        return outcome, f"The interval and p ({judged.method}) are clear of zero."
    gain = f"{format_points(rules.smallest_gain).lstrip('+')} points"
    if judged.interval.high < rules.smallest_gain:
        return Outcome.NO_DIFFERENCE_SHOWN, f"A gain of {gain} or more is ruled out."
    needed = items_needed(rules.smallest_gain, _disagreement(judged.counts), 1 - rules.level)
    if items >= _with_groups(needed, judged):
        return Outcome.NO_DIFFERENCE_SHOWN, f"There were enough items to show a gain of {gain}."
    return Outcome.TOO_FEW_ITEMS, (
        f"{format_number(items)} items, of which {format_percent(judged.counts.disagreement)} differ, "
        f"are too few to show a gain of {gain}."
    )


def _obstacle(judged: Judgement, depends_on_unscored: bool, rules: Rules) -> str | None:
    """Why nothing can be decided, whatever the test says."""
    items = judged.counts.items
    if items < rules.minimum_items:
        return f"{items} items are fewer than the {rules.minimum_items} that are asked for."
    if judged.groups == 1:
        return "All items are in one group, so they count as one observation."
    if depends_on_unscored:
        return "The result depends on how the unscored answers would have been scored."
    return None


def _items_to_settle(judged: Judgement, outcome: Outcome, rules: Rules) -> int | None:
    """Items that would show the observed difference if it is real, or the smallest gain if that is larger.

    With no difference shown, always the observed one. None when decided, or beyond any practical number.
    """
    if outcome in {Outcome.WINS, Outcome.LOSES}:
        return None
    size = abs(judged.counts.difference)
    if outcome is Outcome.TOO_FEW_ITEMS:
        size = max(size, rules.smallest_gain)
    if size == 0:
        return None
    needed = _with_groups(items_needed(size, _disagreement(judged.counts), 1 - rules.level), judged)
    needed = max(needed, rules.minimum_items)
    return needed if judged.counts.items < needed <= MOST_ITEMS_WORTH_NAMING else None


def _detectable(judged: Judgement, rules: Rules) -> float | None:
    effective = max(1, int(judged.counts.items / max(1.0, judged.design_effect or 1.0)))
    return minimum_detectable_gain(effective, _disagreement(judged.counts), 1 - rules.level)


def _disagreement(counts: PairedCounts) -> float:
    """Laplace-adjusted as in the Bonett–Price interval, so that no disagreement yet is not taken for none ever."""
    return (counts.fixed + counts.broken + 2) / (counts.items + 2)


def _with_groups(items: int, judged: Judgement) -> int:
    """Grouped items say less each: more of them are needed, by the design effect."""
    return math.ceil(items * max(1.0, judged.design_effect or 1.0))
