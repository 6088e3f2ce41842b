"""The values that go into a verdict and come out of it. Shares in 0..1, differences candidate minus baseline."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from apps.core.canonical import canonical_hash
from apps.core.errors import PortalError
from apps.evaluations.statistics import Interval, PairedCounts


class VerdictError(PortalError):
    """The figures handed in cannot give a verdict."""


class Outcome(StrEnum):
    WINS = "wins"
    LOSES = "loses"
    NO_DIFFERENCE_SHOWN = "no_difference_shown"
    TOO_FEW_ITEMS = "too_few_items"


class GuardStatus(StrEnum):
    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "unknown"


class GeneralStatus(StrEnum):
    KEPT = "kept"
    LOWER = "lower"
    NOT_SHOWN = "not_shown"


class Recommendation(StrEnum):
    SHIP = "ship"
    MIX_GENERAL_DATA = "mix_general_data"
    MEASURE_GENERAL_SKILL = "measure_general_skill"
    MEND_GUARDS = "mend_guards"
    KEEP_BASELINE = "keep_baseline"
    COLLECT_ITEMS = "collect_items"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a team decided before it looked. Limits of None are not checked.

    `smallest_gain`: the smallest gain worth having. `minimum_items`: below it nothing is decided, whatever
    the test says. `general_margin`: the largest loss of general skill that is accepted. Latency in seconds.
    """

    level: float = 0.95
    smallest_gain: float = 0.02
    minimum_items: int = 50
    general_margin: float = 0.03
    maximum_unscored: float = 0.01
    minimum_format_compliance: float | None = 0.95
    maximum_latency_p95: float | None = None
    maximum_cost_per_call: Decimal | None = None

    def __post_init__(self) -> None:
        if not 0.5 < self.level < 1 or self.smallest_gain <= 0 or self.general_margin <= 0:
            raise VerdictError(
                "A verdict needs a level between 50 % and 100 %, and a smallest gain and a margin above zero."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One system and its outcome on every item: True right, False wrong, None unscored.

    `name` is what the sentence calls it ("Fine-tuned", "the best prompt"). Costs of all contenders are in
    one currency.
    """

    name: str
    outcomes: Sequence[bool | None]
    format_compliance: float | None = None
    latency_p95: float | None = None
    cost_per_call: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralSkill:
    """The same general items before (`base`) and after tuning (`tuned`), with their groups if they come in groups."""

    base: Sequence[bool | None]
    tuned: Sequence[bool | None]
    groups: Sequence[Hashable] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """Candidate against one baseline.

    `interval`, `p` and `method` are those that decided: McNemar's test with the Bonett–Price interval, or
    the cluster-robust ones where the items come in groups and that interval is wider; `independent_interval`
    and `independent_p` are always the former. `difference_lowest` and `_highest` are the difference if the
    unscored answers turned out against the candidate, or for it.
    """

    name: str
    outcome: Outcome
    reason: str
    items: int
    candidate_share: float
    candidate_interval: Interval | None
    baseline_share: float
    baseline_interval: Interval | None
    counts: PairedCounts
    difference: float
    interval: Interval
    p: float
    method: str
    independent_interval: Interval
    independent_p: float
    groups: int | None
    design_effect: float | None
    unscored_candidate: int
    unscored_baseline: int
    difference_lowest: float
    difference_highest: float
    items_to_settle: int | None
    minimum_detectable_gain: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralResult:
    """General skill after tuning minus before. `interval` is two-sided, to be shown; `lower_bound` is the
    one-sided bound that decides, with unscored answers counted against the tuned model."""

    status: GeneralStatus
    items: int
    base_share: float
    tuned_share: float
    difference: float
    interval: Interval
    lower_bound: float
    margin: float
    groups: int | None
    counts: PairedCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One condition beside the task. `value` and `limit` are shares, seconds or money, as the name says."""

    name: str
    status: GuardStatus
    value: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The whole verdict, frozen. `outcome` is about the task; `guards` say what else holds or does not.

    `lead` names the comparison that the sentence speaks of, `best_baseline` the baseline with the highest
    share. `cheaper` is the share of the best baseline's cost per call that is saved (negative: dearer).
    """

    outcome: Outcome
    recommendation: Recommendation
    sentence: str
    advice: str
    notes: tuple[str, ...]
    candidate: str
    items: int
    best_baseline: str
    lead: str
    comparisons: tuple[PairResult, ...]
    general: GeneralResult | None
    guards: tuple[Guard, ...]
    cheaper: float | None
    rules: Rules
    version: int = 1

    @property
    def failed_guards(self) -> tuple[Guard, ...]:
        return tuple(guard for guard in self.guards if guard.status is GuardStatus.FAILED)

    def comparison(self, name: str) -> PairResult:
        """The comparison with one baseline, by its name."""
        return next(pair for pair in self.comparisons if pair.name == name)

    @property
    def lead_comparison(self) -> PairResult:
        return self.comparison(self.lead)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON values; `from_dict` reads it back unchanged."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `to_dict` wrote."""
        return msgspec.convert(dict(data), cls)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON: the identity of this verdict."""
        return canonical_hash(self.to_dict())
