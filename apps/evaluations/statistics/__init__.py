"""Statistics of evaluations: plain functions, shares in 0..1, the source of each in its docstring."""

from apps.evaluations.statistics.bootstrap import MacroF1Difference, macro_f1_difference
from apps.evaluations.statistics.clusters import ClusterEstimate, cluster_interval, group_codes
from apps.evaluations.statistics.intervals import (
    Interval,
    clopper_pearson_interval,
    share_interval,
    wilson_interval,
)
from apps.evaluations.statistics.multiple import holm
from apps.evaluations.statistics.paired import (
    NonInferiority,
    PairedCounts,
    bonett_price_interval,
    items_for_non_inferiority,
    items_needed,
    mcnemar_midp,
    minimum_detectable_gain,
    non_inferiority,
    paired_counts,
)
from apps.evaluations.statistics.preferences import Preference, preference

__all__ = [
    "ClusterEstimate",
    "Interval",
    "MacroF1Difference",
    "NonInferiority",
    "PairedCounts",
    "Preference",
    "bonett_price_interval",
    "clopper_pearson_interval",
    "cluster_interval",
    "group_codes",
    "holm",
    "items_for_non_inferiority",
    "items_needed",
    "macro_f1_difference",
    "mcnemar_midp",
    "minimum_detectable_gain",
    "non_inferiority",
    "paired_counts",
    "preference",
    "share_interval",
    "wilson_interval",
]
