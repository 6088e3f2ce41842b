"""From finished runs to the verdict, which is written once."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.audit.services import record
from apps.core.states import transition
from apps.evaluations.models import Comparison, ComparisonState, Run, Suite
from apps.evaluations.run_metrics import ScoredAnswer, majority_reference
from apps.evaluations.selectors.answers import scored_answers
from apps.evaluations.selectors.comparisons import next_look
from apps.evaluations.skills import skill_table
from apps.evaluations.statistics import macro_f1_difference
from apps.evaluations.verdict import Contender, GeneralSkill, Rules, decide
from apps.evaluations.verdict.pair import real_groups
from apps.registry.models import Variant
from apps.scoring.answers import Form, form_from_dict

CANDIDATE = "Fine-tuned"
PACKAGES = ("ftportal", "django", "numpy", "scipy", "scikit-learn")


def comparison_decide(*, comparison: Comparison) -> None:
    """Write the verdict over the finished runs and close the comparison, in one transaction."""
    form = form_from_dict(comparison.suite.answer_form)
    contenders = list(comparison.contenders.select_related("variant"))
    candidate = _finished(comparison.suite, comparison.candidate)
    tuned = scored_answers(candidate)
    baselines = [
        (contender.label, run, scored_answers(run))
        for contender in contenders
        for run in [_finished(comparison.suite, contender.variant)]
    ]
    before, after = _general(comparison)
    groups = [answer.group for answer in tuned]
    verdict = decide(
        candidate=_contender(CANDIDATE, candidate, tuned),
        baselines=[_contender(label, run, answers) for label, run, answers in baselines],
        groups=groups,
        general=_general_skill(before, after) if before else None,
        rules=Rules(smallest_gain=comparison.smallest_gain, general_margin=comparison.general_margin),
    )
    details = {
        "majority": majority_reference(form, tuned),
        "macro_f1": {label: _macro_f1(form, tuned, answers) for label, _, answers in baselines},
        "skills": skill_table(before, after) if before else [],
        "software": _software(),
    }
    with transaction.atomic():
        Suite.objects.select_for_update(no_key=True).get(pk=comparison.suite_id)  # one look at a time
        transition(
            comparison,
            ComparisonState.DONE,
            look=next_look(comparison.suite),
            verdict=verdict.to_dict(),
            verdict_hash=verdict.hash,
            outcome=str(verdict.outcome),
            sentence=verdict.sentence,
            details=details,
            finished_at=timezone.now(),
        )
        record(
            workspace=comparison.project.workspace,
            actor=None,
            action="comparison.decided",
            target=comparison,
            data={"outcome": str(verdict.outcome), "verdict_hash": verdict.hash},
        )


def _finished(suite: Suite, variant: Variant) -> Run:
    return Run.objects.select_related("suite", "variant").get(
        suite=suite, variant=variant, finished_at__isnull=False
    )


def _contender(name: str, run: Run, answers: Sequence[ScoredAnswer]) -> Contender:
    metrics = run.metrics or {}
    compliance = metrics.get("format")
    return Contender(
        name=name,
        outcomes=[answer.exact for answer in answers],
        format_compliance=compliance["value"] if compliance else None,
        latency_p95=metrics.get("latency", {}).get("p95"),
    )


def _general(comparison: Comparison) -> tuple[list[ScoredAnswer], list[ScoredAnswer]]:
    """The general items before and after tuning; empty when none were asked."""
    suite, base = comparison.general_suite, comparison.general_base
    if suite is None or base is None:
        return [], []
    return (
        scored_answers(_finished(suite, base)),
        scored_answers(_finished(suite, comparison.candidate)),
    )


def _general_skill(before: Sequence[ScoredAnswer], after: Sequence[ScoredAnswer]) -> GeneralSkill:
    return GeneralSkill(
        base=[answer.exact for answer in before],
        tuned=[answer.exact for answer in after],
        groups=[answer.group for answer in before],
    )


def _macro_f1(
    form: Form, tuned: Sequence[ScoredAnswer], baseline: Sequence[ScoredAnswer]
) -> dict[str, dict[str, Any]]:
    """For each field with labels: the difference of macro-F1 over the items that both have an answer to."""
    found = {}
    for field in form.fields:
        if field.labels is None:
            continue
        pairs = [
            (one, other)
            for one, other in zip(tuned, baseline, strict=True)
            if one.exact is not None
            and other.exact is not None
            and one.expected_fields
            and field.name in one.expected_fields
        ]
        if pairs:
            difference = macro_f1_difference(
                gold=[(one.expected_fields or {})[field.name] for one, _ in pairs],
                candidate=[(one.fields or {}).get(field.name) for one, _ in pairs],
                baseline=[(other.fields or {}).get(field.name) for _, other in pairs],
                groups=real_groups([one.group for one, _ in pairs]),
            )
            found[field.name] = asdict(difference)
    return found


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
