"""Raw agreement: how often two people gave the same answer, whatever chance would do."""

from __future__ import annotations

import numpy as np

from apps.labeling.agreement.figures import NO_PAIRS, Figure, undefined
from apps.labeling.agreement.ratings import Codes, Floats, Ratings


def item_agreement(counts: Codes) -> Floats:
    """The share of agreeing pairs of answers in each item, P_i of Fleiss 1971, p. 379; two answers at least."""
    totals = counts.sum(axis=1)
    same: Floats = (counts * (counts - 1)).sum(axis=1) / (totals * (totals - 1))
    return same


def percent_agreement(ratings: Ratings) -> Figure:
    """The mean over items of the share of pairs of answers that are the same.

    Every item with two answers or more counts alike, however many it has: p_a of Gwet 2008 (British Journal of
    Mathematical and Statistical Psychology 61:29-48).
    """
    counts = ratings.pairable
    if not len(counts):
        return undefined(NO_PAIRS)
    return Figure(float(item_agreement(counts).mean()), len(counts))


def item_entropy(counts: Codes) -> Floats:
    """How spread the answers of each item are: 0 all the same, 1 evenly over as many values as answers."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    most = np.log(np.maximum(totals[:, 0], 2))
    entropy: Floats = np.abs((shares * logs).sum(axis=1)) / most
    return entropy
