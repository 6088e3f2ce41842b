"""The items of a comparison, one page at a time: filtered and ordered in the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    F,
    FilteredRelation,
    IntegerField,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from apps.core.pagination import KeysetPage, keyset_page
from apps.evaluations.models import Answer, Run, Suite, SuiteItem
from apps.scoring.classification import INVALID

FLIPS = ("broken", "fixed", "same_wrong", "same_right")
"""In the order in which they are shown: regressions first."""
FLIP_LABELS = {
    "disagree": "Where they disagree",
    "broken": "Broken",
    "fixed": "Fixed",
    "same_wrong": "Both wrong",
    "same_right": "Both right",
    "unscored": "Unscored",
    "all": "All",
}
_POSITIONS = 10**12


@dataclass(frozen=True, kw_only=True)
class ItemFilter:
    """What the URL asks for. `answer` with `of` ("candidate" or "baseline") is a cell of a confusion matrix."""

    flip: str = "disagree"
    field: str = ""
    expected: str = ""
    answer: str = ""
    of: str = "candidate"
    skill: str = ""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], *, default: str = "disagree") -> "ItemFilter":
        """Unknown values mean the default; a filter by label looks at all flips unless one is named."""
        flip = str(parameters.get("flip", ""))
        chosen = {
            name: str(parameters.get(name, ""))[:200] for name in ("field", "expected", "answer", "skill")
        }
        narrowed = bool((chosen["field"] and (chosen["expected"] or chosen["answer"])) or chosen["skill"])
        if flip not in FLIP_LABELS:
            flip = "all" if narrowed else default
        return cls(flip=flip, of="baseline" if parameters.get("of") == "baseline" else "candidate", **chosen)

    @property
    def narrows(self) -> bool:
        return bool(self.expected or self.answer or self.skill)


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """An item with both answers; an answer is None where nobody asked, or not yet."""

    item: SuiteItem
    flip: str
    baseline: Answer | None
    candidate: Answer | None

    @property
    def flip_label(self) -> str:
        return FLIP_LABELS[self.flip]


@dataclass(frozen=True, kw_only=True)
class ItemPage:
    rows: list[ItemRow]
    page: KeysetPage[Any] = field(repr=False)


def flip_counts(suite: Suite, baseline: Run, candidate: Run) -> dict[str, int]:
    """How many items flipped which way; an unscored answer counts as wrong, and is counted apart as well."""
    rows = _paired(suite, baseline, candidate)
    counts = dict.fromkeys(FLIPS, 0)
    for rank, count in rows.values_list("flip_rank").annotate(count=Count("pk")).order_by("flip_rank"):
        counts[FLIPS[rank]] = count
    counts["unscored"] = rows.filter(_UNSCORED).count()
    counts["all"] = sum(counts[flip] for flip in FLIPS)
    counts["disagree"] = counts["broken"] + counts["fixed"]
    return counts


def item_page(
    suite: Suite,
    baseline: Run,
    candidate: Run,
    wanted: ItemFilter,
    parameters: Mapping[str, Any],
    *,
    size: int = 50,
) -> ItemPage:
    """One page, regressions first; the texts of answers are read for its rows only."""
    rows = _filtered(_paired(suite, baseline, candidate), wanted)
    page = keyset_page(rows.only("pk", "position"), parameters, key="sort_key", size=size)
    items = SuiteItem.objects.in_bulk([row.pk for row in page.rows])
    answers = {
        (answer.run_id, answer.item_id): answer
        for answer in Answer.objects.filter(run__in=[baseline, candidate], item__in=items)
    }
    return ItemPage(
        page=page,
        rows=[
            ItemRow(
                item=items[row.pk],
                flip=FLIPS[row.flip_rank],
                baseline=answers.get((baseline.pk, row.pk)),
                candidate=answers.get((candidate.pk, row.pk)),
            )
            for row in page.rows
        ],
    )


_UNSCORED = Q(tuned__exact=None) | Q(base__exact=None)


def _paired(suite: Suite, baseline: Run, candidate: Run) -> QuerySet[Any]:
    right: QuerySet[Any] = (
        SuiteItem.objects.filter(suite=suite)
        .order_by()
        .annotate(
            tuned=FilteredRelation("answers", condition=Q(answers__run=candidate)),
            base=FilteredRelation("answers", condition=Q(answers__run=baseline)),
        )
        .annotate(
            tuned_right=Coalesce(F("tuned__exact"), Value(False)),
            base_right=Coalesce(F("base__exact"), Value(False)),
        )
    )
    flipped: QuerySet[Any] = right.annotate(
        flip_rank=Case(
            When(base_right=True, tuned_right=False, then=Value(0)),
            When(base_right=False, tuned_right=True, then=Value(1)),
            When(base_right=False, tuned_right=False, then=Value(2)),
            default=Value(3),
            output_field=IntegerField(),
        )
    )
    keyed: QuerySet[Any] = flipped.annotate(
        sort_key=F("flip_rank") * Value(_POSITIONS, output_field=BigIntegerField())
        + F("position")
        + Value(1, output_field=BigIntegerField())
    )
    return keyed


def _filtered(rows: QuerySet[Any], wanted: ItemFilter) -> QuerySet[Any]:
    if wanted.flip == "disagree":
        rows = rows.filter(flip_rank__in=(0, 1))
    elif wanted.flip == "unscored":
        rows = rows.filter(_UNSCORED)
    elif wanted.flip in FLIPS:
        rows = rows.filter(flip_rank=FLIPS.index(wanted.flip))
    if wanted.skill:
        rows = rows.filter(skill=wanted.skill)
    if wanted.field and wanted.expected:
        rows = rows.annotate(expected_value=KeyTextTransform(wanted.field, "expected_fields")).filter(
            expected_value=wanted.expected
        )
    if wanted.field and wanted.answer:
        side = "tuned" if wanted.of == "candidate" else "base"
        rows = rows.annotate(answer_value=KeyTextTransform(wanted.field, f"{side}__fields"))
        if wanted.answer == INVALID:
            rows = rows.filter(answer_value__isnull=True, **{f"{side}__exact__isnull": False})
        else:
            rows = rows.filter(answer_value=wanted.answer)
    return rows
