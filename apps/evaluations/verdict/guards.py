"""The conditions beside the task: general skill, unscored answers, form, latency, cost."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.formatting import SPACE, format_number, format_percent, format_points
from apps.evaluations.verdict.pair import check_same_items, filled, judge, real_groups
from apps.evaluations.verdict.types import (
    Contender,
    GeneralResult,
    GeneralSkill,
    GeneralStatus,
    Guard,
    GuardStatus,
    Rules,
)

GENERAL_SKILLS = "general skills"
UNSCORED = "unscored answers"
FORMAT = "format compliance"
LATENCY = "latency p95"
COST = "cost per 1,000 calls"


def compare_general_skill(skill: GeneralSkill, rules: Rules) -> GeneralResult:
    """Kept, lower, or not shown.

    *Kept*: non-inferior, that is the one-sided lower bound at the level of the rules lies above -margin, with
    unscored answers counted against the tuned model. *Lower*: not kept, and the two-sided interval lies below
    zero. Otherwise *not shown*: too few items to say either.
    """
    check_same_items(skill.tuned, skill.base, skill.groups)
    groups = real_groups(skill.groups)
    tuned, base = filled(skill.tuned, False), filled(skill.base, False)
    shown = judge(tuned, base, groups, rules.level)
    # The lower end of the two-sided interval at 2 · level - 1 is the one-sided bound at the level.
    bound = judge(tuned, filled(skill.base, True), groups, 2 * rules.level - 1).interval.low
    enough = shown.groups != 1 and shown.counts.items >= rules.minimum_items
    status = GeneralStatus.NOT_SHOWN
    if enough and bound > -rules.general_margin:
        status = GeneralStatus.KEPT
    elif enough and shown.direction < 0:
        status = GeneralStatus.LOWER
    return GeneralResult(
        status=status,
        items=shown.counts.items,
        base_share=float(base.mean()),
        tuned_share=float(tuned.mean()),
        difference=shown.counts.difference,
        interval=shown.interval,
        lower_bound=bound,
        margin=rules.general_margin,
        groups=shown.groups,
        counts=shown.counts,
    )


def check_guards(
    candidate: Contender, baselines: Sequence[Contender], general: GeneralResult | None, rules: Rules
) -> tuple[Guard, ...]:
    """Every guard that has a limit, in the order in which a page shows them."""
    guards = [_general_guard(general), _unscored_guard((candidate, *baselines), rules)]
    if rules.minimum_format_compliance is not None:
        guards.append(_format_guard(candidate, rules.minimum_format_compliance))
    if rules.maximum_latency_p95 is not None:
        guards.append(_ceiling(LATENCY, candidate.latency_p95, rules.maximum_latency_p95, f"{SPACE}s"))
    if rules.maximum_cost_per_call is not None:
        cost = None if candidate.cost_per_call is None else float(1000 * candidate.cost_per_call)
        guards.append(_ceiling(COST, cost, float(1000 * rules.maximum_cost_per_call), ""))
    return tuple(guards)


def _general_guard(general: GeneralResult | None) -> Guard:
    if general is None:
        return Guard(
            name=GENERAL_SKILLS,
            status=GuardStatus.UNKNOWN,
            value=None,
            limit=None,
            sentence="General skills were not measured.",
        )
    status = {
        GeneralStatus.KEPT: GuardStatus.HELD,
        GeneralStatus.LOWER: GuardStatus.FAILED,
        GeneralStatus.NOT_SHOWN: GuardStatus.UNKNOWN,
    }[general.status]
    margin = format_points(-general.margin)
    sentence = (
        f"General skills changed by {format_points(general.difference)} points; the lower bound is "
        f"{format_points(general.lower_bound)}, the limit {margin}."
    )
    return Guard(
        name=GENERAL_SKILLS,
        status=status,
        value=general.lower_bound,
        limit=-general.margin,
        sentence=sentence,
    )


def _unscored_guard(contenders: Sequence[Contender], rules: Rules) -> Guard:
    def share(contender: Contender) -> float:
        return sum(outcome is None for outcome in contender.outcomes) / len(contender.outcomes)

    worst = max(contenders, key=share)
    limit = format_percent(rules.maximum_unscored)
    return Guard(
        name=UNSCORED,
        status=GuardStatus.HELD if share(worst) <= rules.maximum_unscored else GuardStatus.FAILED,
        value=share(worst),
        limit=rules.maximum_unscored,
        sentence=f"{format_percent(share(worst))} of the answers of {worst.name} are unscored; the limit is {limit}.",
    )


def _format_guard(candidate: Contender, limit: float) -> Guard:
    value = candidate.format_compliance
    if value is None:
        status, sentence = (
            GuardStatus.UNKNOWN,
            "Whether the answers are in the declared form was not measured.",
        )
    else:
        status = GuardStatus.HELD if value >= limit else GuardStatus.FAILED
        sentence = (
            f"{format_percent(value)} of the answers are in the declared form; "
            f"at least {format_percent(limit)} are asked for."
        )
    return Guard(name=FORMAT, status=status, value=value, limit=limit, sentence=sentence)


def _ceiling(name: str, value: float | None, limit: float, unit: str) -> Guard:
    if value is None:
        status, sentence = GuardStatus.UNKNOWN, f"The {name} was not measured."
    else:
        status = GuardStatus.HELD if value <= limit else GuardStatus.FAILED
        sentence = f"The {name} is {format_number(value)}{unit}; the limit is {format_number(limit)}{unit}."
    return Guard(name=name, status=status, value=value, limit=limit, sentence=sentence)
