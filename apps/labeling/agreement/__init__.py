"""Do people who label independently give the same answers? Plain functions over tables of answers, without Django.

Every coefficient is a `Figure`: a value, or the reason why it is undefined. Raw agreement, alpha, AC1 and the
mix of answers belong together on a page: with one very frequent answer, 98 % raw agreement can go with an alpha of 0.
"""

from apps.labeling.agreement.ac1 import gwet_ac1
from apps.labeling.agreement.alpha import (
    Scale,
    count_alphas,
    distance_alpha,
    krippendorff_alpha,
    label_alphas,
    masi_alpha,
)
from apps.labeling.agreement.confusion import Confusion, confusion, items_with_both
from apps.labeling.agreement.distances import masi_distance, ranking_distance
from apps.labeling.agreement.figures import Figure, Interval, undefined
from apps.labeling.agreement.kappa import FEWEST_SHARED, PairFigure, cohen_kappa, fleiss_kappa, pair_kappas
from apps.labeling.agreement.percent import item_agreement, item_entropy, percent_agreement
from apps.labeling.agreement.ratings import Ratings
from apps.labeling.agreement.spans import Span, span_f1
from apps.labeling.agreement.texts import edit_distance, text_distance

__all__ = [
    "FEWEST_SHARED",
    "Confusion",
    "Figure",
    "Interval",
    "PairFigure",
    "Ratings",
    "Scale",
    "Span",
    "cohen_kappa",
    "count_alphas",
    "confusion",
    "distance_alpha",
    "edit_distance",
    "fleiss_kappa",
    "gwet_ac1",
    "item_agreement",
    "item_entropy",
    "items_with_both",
    "krippendorff_alpha",
    "label_alphas",
    "masi_alpha",
    "masi_distance",
    "pair_kappas",
    "percent_agreement",
    "ranking_distance",
    "span_f1",
    "text_distance",
    "undefined",
]
