"""The verdict: does the candidate beat every baseline on the held-out items, and at what price?

The candidate has to beat *each* baseline at the level of the rules; no correction for their number is needed
(intersection-union test, Berger 1982). Over the baselines:

| Against the baselines                        | Overall              |
|----------------------------------------------|----------------------|
| loses to at least one                        | loses                |
| beats all                                    | wins                 |
| no difference shown against at least one     | no difference shown  |
| otherwise (wins and too few items)           | too few items        |

"No difference shown" goes before "too few items", because more items for the other baselines could no longer
make it a win. The outcome is about the task alone. General skill and the other guards do not change it; they
are named in the sentence and change the recommendation.

Why so: docs/adr/0007-verdicts.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from apps.evaluations.verdict.guards import GENERAL_SKILLS, check_guards, compare_general_skill
from apps.evaluations.verdict.pair import compare
from apps.evaluations.verdict.sentence import advice_sentence, format_p, verdict_notes, verdict_sentence
from apps.evaluations.verdict.types import (
    Contender,
    GeneralResult,
    GeneralSkill,
    GeneralStatus,
    Guard,
    GuardStatus,
    Outcome,
    PairResult,
    Recommendation,
    Rules,
    Verdict,
    VerdictError,
)

__all__ = [
    "Contender",
    "GeneralResult",
    "GeneralSkill",
    "GeneralStatus",
    "Guard",
    "GuardStatus",
    "Outcome",
    "PairResult",
    "Recommendation",
    "Rules",
    "Verdict",
    "VerdictError",
    "decide",
    "format_p",
]


def decide(
    *,
    candidate: Contender,
    baselines: Sequence[Contender],
    groups: Sequence[Hashable] | None = None,
    general: GeneralSkill | None = None,
    rules: Rules | None = None,
) -> Verdict:
    """Compare the candidate with every baseline on the same items, in the same order.

    `groups` names the group of each item; an item with None or "" stands alone. Raises VerdictError where
    the figures do not fit together.
    """
    rules = rules or Rules()
    if not baselines:
        raise VerdictError("A verdict needs a baseline: add at least the base model with the best prompt.")
    if len({baseline.name for baseline in baselines}) < len(baselines):
        raise VerdictError("Two baselines have the same name; give each its own.")
    pairs = tuple(compare(candidate, baseline, groups, rules) for baseline in baselines)
    outcome = _overall([pair.outcome for pair in pairs])
    best = max(pairs, key=lambda pair: pair.baseline_share)
    lead = _lead(pairs, outcome)
    general_result = None if general is None else compare_general_skill(general, rules)
    guards = check_guards(candidate, baselines, general_result, rules)
    recommendation = _recommendation(outcome, general_result, guards)
    cheaper = _cheaper(candidate, next(item for item in baselines if item.name == best.name))
    return Verdict(
        outcome=outcome,
        recommendation=recommendation,
        sentence=verdict_sentence(
            candidate=candidate.name,
            outcome=outcome,
            lead=lead,
            general=general_result,
            guards=guards,
            cheaper=cheaper,
        ),
        advice=advice_sentence(recommendation, best.name, guards),
        notes=verdict_notes(candidate.name, pairs),
        candidate=candidate.name,
        items=best.items,
        best_baseline=best.name,
        lead=lead.name,
        comparisons=pairs,
        general=general_result,
        guards=guards,
        cheaper=cheaper,
        rules=rules,
    )


def _overall(outcomes: Sequence[Outcome]) -> Outcome:
    for outcome in (Outcome.LOSES, Outcome.NO_DIFFERENCE_SHOWN, Outcome.TOO_FEW_ITEMS):
        if outcome in outcomes:
            return outcome
    return Outcome.WINS


def _lead(pairs: Sequence[PairResult], outcome: Outcome) -> PairResult:
    """The comparison that made the outcome: the strongest baseline among those with it."""
    deciding = [pair for pair in pairs if pair.outcome is outcome]
    return max(deciding, key=lambda pair: pair.baseline_share)


def _recommendation(
    outcome: Outcome, general: GeneralResult | None, guards: Sequence[Guard]
) -> Recommendation:
    if outcome in {Outcome.LOSES, Outcome.NO_DIFFERENCE_SHOWN}:
        return Recommendation.KEEP_BASELINE
    if outcome is Outcome.TOO_FEW_ITEMS:
        return Recommendation.COLLECT_ITEMS
    if general is not None and general.status is GeneralStatus.LOWER:
        return Recommendation.MIX_GENERAL_DATA
    others = [guard for guard in guards if guard.name != GENERAL_SKILLS]
    if any(guard.status is not GuardStatus.HELD for guard in others):
        return Recommendation.MEND_GUARDS
    if general is None or general.status is GeneralStatus.NOT_SHOWN:
        return Recommendation.MEASURE_GENERAL_SKILL
    return Recommendation.SHIP


def _cheaper(candidate: Contender, baseline: Contender) -> float | None:
    if candidate.cost_per_call is None or not baseline.cost_per_call:
        return None
    return float(1 - candidate.cost_per_call / baseline.cost_per_call)
