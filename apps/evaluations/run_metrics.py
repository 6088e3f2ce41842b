"""The figures of one run from its answers, as plain JSON values. Shares in 0..1, times in seconds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from apps.evaluations.statistics import Interval, cluster_interval, share_interval
from apps.evaluations.verdict.pair import real_groups
from apps.scoring.answers import Form
from apps.scoring.classification import classification_report
from apps.scoring.metrics import latency_summary, majority_label, normalised, token_sums


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswer:
    """An item and what came back. `exact`, `fields` and `format_ok` are None where there is no answer."""

    expected: str
    expected_fields: Mapping[str, str] | None
    group: str
    skill: str
    exact: bool | None
    fields: Mapping[str, str] | None
    format_ok: bool | None
    seconds: float | None = None
    compute_seconds: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def run_metrics(form: Form, answers: Sequence[ScoredAnswer]) -> dict[str, Any]:
    """Everything the contenders' table shows for one variant."""
    scored = [answer for answer in answers if answer.exact is not None]
    labels = label_figures(form, scored)
    latency = latency_summary(answer.seconds for answer in scored)
    tokens = token_sums((answer.prompt_tokens, answer.completion_tokens) for answer in scored)
    compute = [answer.compute_seconds for answer in scored if answer.compute_seconds is not None]
    return {
        "items": len(answers),
        "unscored": len(answers) - len(scored),
        "exact": _share([answer.exact for answer in answers], [answer.group for answer in answers]),
        "format": _share([answer.format_ok for answer in answers], [answer.group for answer in answers]),
        "fields": {
            field.name: _share(*_field_outcomes(field.name, answers))
            for field in form.fields
            if any(field.name in (answer.expected_fields or {}) for answer in answers)
        },
        "labels": labels,
        "macro_f1": _mean([figures["macro_f1"] for figures in labels.values()]),
        "latency": {"p50": latency.p50, "p95": latency.p95, "measured": latency.measured},
        "compute_seconds_per_answer": _mean(compute),
        "tokens": {
            "prompt": tokens.prompt,
            "completion": tokens.completion,
            "missing": tokens.missing,
            "calls": tokens.calls,
        },
        "skills": _by_skill(answers),
    }


def label_figures(form: Form, answers: Iterable[ScoredAnswer]) -> dict[str, Any]:
    """Per field with a set of labels: macro-F1, every label's figures, the confusion matrix."""
    answers = list(answers)
    found: dict[str, Any] = {}
    for field in form.fields:
        if field.labels is None:
            continue
        pairs = [
            (answer.expected_fields[field.name], (answer.fields or {}).get(field.name))
            for answer in answers
            if answer.expected_fields and field.name in answer.expected_fields
        ]
        if not pairs:
            continue
        report = classification_report([gold for gold, _ in pairs], [guess for _, guess in pairs])
        found[field.name] = {
            "macro_f1": report.macro_f1,
            "accuracy": report.accuracy,
            "labels": [asdict(label) for label in report.labels],
            "confusion": asdict(report.confusion),
        }
    return found


def majority_reference(form: Form, answers: Sequence[ScoredAnswer]) -> dict[str, Any] | None:
    """What always giving the most frequent expected answer would score: no model, only arithmetic."""
    found = majority_label([answer.expected for answer in answers])
    if found is None:
        return None
    text, _ = found
    constant = next(answer.expected_fields for answer in answers if answer.expected == text)
    guessed = [
        ScoredAnswer(
            expected=answer.expected,
            expected_fields=answer.expected_fields,
            group=answer.group,
            skill=answer.skill,
            exact=(
                answer.expected_fields == constant
                if constant is not None and answer.expected_fields is not None
                else answer.expected == text
            ),
            fields=constant,
            format_ok=True,
        )
        for answer in answers
    ]
    return {"answer": text, **run_metrics(form, guessed)}


def _field_outcomes(name: str, answers: Iterable[ScoredAnswer]) -> tuple[list[bool | None], list[str]]:
    outcomes: list[bool | None] = []
    groups: list[str] = []
    for answer in answers:
        if answer.expected_fields and name in answer.expected_fields:
            given = (answer.fields or {}).get(name)
            right = given is not None and normalised(given) == normalised(answer.expected_fields[name])
            outcomes.append(None if answer.exact is None else right)
            groups.append(answer.group)
    return outcomes, groups


def _share(outcomes: Sequence[bool | None], groups: Sequence[str]) -> dict[str, Any] | None:
    """A share over the scored items with its interval; the wider, cluster-robust one where items come in groups."""
    pairs = [(value, group) for value, group in zip(outcomes, groups, strict=True) if value is not None]
    if not pairs:
        return None
    right = sum(value for value, _ in pairs)
    interval = share_interval(right, len(pairs))
    grouped = real_groups([group for _, group in pairs])
    clustered = (
        cluster_interval([float(value) for value, _ in pairs], grouped) if grouped is not None else None
    )
    if clustered is not None and interval is not None and clustered.interval.width > interval.width:
        interval = clustered.interval
    return {
        "value": right / len(pairs),
        "right": right,
        "scored": len(pairs),
        "interval": _clipped(interval),
    }


def _clipped(interval: Interval | None) -> dict[str, Any] | None:
    """A share lies in 0..1, and so does its interval."""
    if interval is None:
        return None
    return {**interval.to_dict(), "low": max(0.0, interval.low), "high": min(1.0, interval.high)}


def _by_skill(answers: Iterable[ScoredAnswer]) -> dict[str, dict[str, int]]:
    skills: dict[str, dict[str, int]] = {}
    for answer in answers:
        counts = skills.setdefault(answer.skill, {"items": 0, "right": 0, "unscored": 0})
        counts["items"] += 1
        counts["right"] += answer.exact is True
        counts["unscored"] += answer.exact is None
    return dict(sorted(skills.items()))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
