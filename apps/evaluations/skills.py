"""General skills one by one, before and after tuning."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.evaluations.run_metrics import ScoredAnswer
from apps.evaluations.statistics import (
    bonett_price_interval,
    holm,
    mcnemar_midp,
    paired_counts,
    share_interval,
)
from apps.evaluations.verdict.pair import filled


def skill_table(base: Sequence[ScoredAnswer], tuned: Sequence[ScoredAnswer]) -> list[dict[str, Any]]:
    """One row a skill: shares before and after, the difference with its interval, and p adjusted for their number.

    Unscored answers count as wrong. The adjusted p is Holm's over all skills.
    """
    rows: list[dict[str, Any]] = []
    for skill in sorted({answer.skill for answer in base}):
        positions = [index for index, answer in enumerate(base) if answer.skill == skill]
        before = filled([base[index].exact for index in positions], unscored_as=False)
        after = filled([tuned[index].exact for index in positions], unscored_as=False)
        counts = paired_counts(after, before)
        rows.append(
            {
                "skill": skill,
                "items": counts.items,
                "base": _share(before),
                "tuned": _share(after),
                "difference": counts.difference,
                "interval": bonett_price_interval(counts.fixed, counts.broken, counts.items).to_dict(),
                "fixed": counts.fixed,
                "broken": counts.broken,
                "p": mcnemar_midp(counts.fixed, counts.broken),
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
    return rows


def _share(outcomes: "np.typing.NDArray[np.bool_]") -> dict[str, Any]:
    right = int(outcomes.sum())
    interval = share_interval(right, len(outcomes))
    return {
        "value": right / len(outcomes),
        "right": right,
        "interval": interval.to_dict() if interval is not None else None,
    }
