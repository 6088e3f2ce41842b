"""Gwet's AC1, which stays near the raw agreement where one answer is far more frequent than the others."""

from __future__ import annotations

from apps.labeling.agreement.figures import NO_PAIRS, Figure, undefined
from apps.labeling.agreement.percent import item_agreement
from apps.labeling.agreement.ratings import Ratings


def gwet_ac1(ratings: Ratings, choices: int | None = None) -> Figure:
    """(p_a - p_e) / (1 - p_e) with p_e = sum of pi_k (1 - pi_k) over q - 1 (Gwet 2008, British Journal of
    Mathematical and Statistical Psychology 61:29-48, formulas for several raters).

    p_a is over items with two answers or more; pi_k is the mean share of value k over all items with an answer.
    q is the number of values that could be given, `choices`, or else of those that were. Unlike the kappas it
    is defined when everybody always gave the same answer, provided that there was another one to give.
    """
    counts = ratings.pairable
    if not len(counts):
        return undefined(NO_PAIRS)
    possible = max(choices or 0, len(ratings.used))
    if possible < 2:
        return undefined("Undefined: there was only one answer to give.", len(counts))
    answered = ratings.counts[ratings.counts.sum(axis=1) > 0]
    shares = (answered / answered.sum(axis=1, keepdims=True)).mean(axis=0)
    chance = float((shares * (1 - shares)).sum() / (possible - 1))
    return Figure((float(item_agreement(counts).mean()) - chance) / (1 - chance), len(counts))
