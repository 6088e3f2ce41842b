"""Starting, taking up again and ending comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import PortalError
from apps.core.states import transition
from apps.evaluations.models import Comparison, ComparisonBaseline, ComparisonState, Suite, SuiteKind
from apps.evaluations.selectors.comparisons import next_look
from apps.evaluations.selectors.leakage import leaked_items, training_version_of
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_start
from apps.projects.models import Project
from apps.registry.models import Variant
from apps.registry.services import variant_ensure

KIND = "evaluations.compare"


class ComparisonError(PortalError):
    """What was asked for would not be a fair comparison."""


class LeakageError(ComparisonError):
    """Test items were trained on."""

    code = "leakage"


def comparison_create(
    *,
    project: Project,
    suite: Suite,
    candidate: Variant,
    baselines: Sequence[tuple[str, Variant]],
    general_suite: Suite | None = None,
    smallest_gain: float = 0.02,
    general_margin: float = 0.03,
    name: str = "",
    by: User | None,
) -> Comparison:
    """Queue the comparison of `candidate` with every baseline (label, variant) on the suite.

    The same comparison that is under way already is returned instead, so that a form sent twice is one look at the
    items. Raises `LeakageError` when items of either suite occur in what the candidate was trained on.
    """
    _check_fair(project, suite, candidate, baselines, general_suite)
    if not (0 < smallest_gain < 1 and 0 < general_margin < 1):
        raise ComparisonError("The smallest gain and the margin lie between 0 and 100 points.")
    for checked in filter(None, (suite, general_suite)):
        _check_leakage(checked, candidate)
    general_base = _untuned(candidate, by) if general_suite is not None else None
    wanted = {
        "suite": suite,
        "general_suite": general_suite,
        "candidate": candidate,
        "smallest_gain": smallest_gain,
        "general_margin": general_margin,
    }
    with transaction.atomic():
        # One number and one look at a time.
        Project.objects.select_for_update().get(pk=project.pk)
        under_way = _same_under_way(project, wanted, [variant for _, variant in baselines])
        if under_way is not None:
            return under_way
        return _queue(
            wanted,
            baselines,
            project=project,
            name=(name or f"{candidate.model_version} against {len(baselines)} baselines")[:160],
            general_base=general_base,
            created_by=by,
        )


def _untuned(candidate: Variant, by: User | None) -> Variant:
    """What the candidate was before its training: general skill is measured on both."""
    return variant_ensure(
        project=candidate.project,
        name=f"{candidate.base_model.name}, as it is",
        base_model=candidate.base_model,
        sampling=candidate.sampling,
        actor=by,
    )


def _queue(wanted: Mapping[str, Any], baselines: Sequence[tuple[str, Variant]], **fields: Any) -> Comparison:
    """The comparison under the project's next number, as one more look at its suite, and its operation."""
    project, by, suite = fields["project"], fields["created_by"], wanted["suite"]
    last = Comparison.objects.filter(project=project).aggregate(last=models.Max("number"))["last"] or 0
    look = next_look(suite)
    comparison = Comparison.objects.create(number=last + 1, look=look, **wanted, **fields)
    ComparisonBaseline.objects.bulk_create(
        ComparisonBaseline(comparison=comparison, variant=variant, label=label[:60], order=order)
        for order, (label, variant) in enumerate(baselines)
    )
    record(
        workspace=project.workspace,
        actor=by,
        action="comparison.started",
        target=comparison,
        data={
            "suite": suite.hash,
            "candidate": wanted["candidate"].hash,
            "baselines": [variant.hash for _, variant in baselines],
            "look": look,
            "smallest_gain": wanted["smallest_gain"],
            "general_margin": wanted["general_margin"],
        },
    )
    _start(comparison, by)
    return comparison


def _same_under_way(
    project: Project, wanted: Mapping[str, Any], baselines: Sequence[Variant]
) -> Comparison | None:
    candidates = Comparison.objects.filter(project=project, state__in=Comparison.ACTIVE, **wanted)
    for comparison in candidates.prefetch_related("contenders"):
        if [contender.variant_id for contender in comparison.contenders.all()] == [
            one.pk for one in baselines
        ]:
            return comparison
    return None


def comparison_resume(*, comparison: Comparison, by: User | None) -> None:
    """Take up a stopped comparison where it stopped; answers already given are kept."""
    with transaction.atomic():
        transition(comparison, ComparisonState.QUEUED, error="", finished_at=None)
        record(
            workspace=comparison.project.workspace, actor=by, action="comparison.resumed", target=comparison
        )
        _start(comparison, by)


def comparison_stopped(*, operation: Operation) -> None:
    """Its work ended without a verdict: say so, and why. Called in the transaction that ends the operation."""
    comparison = Comparison.objects.select_for_update().filter(pk=operation.subject_id).first()
    if comparison is None or not comparison.is_active:
        return
    cancelled = operation.state == OperationState.CANCELLED
    transition(
        comparison,
        ComparisonState.CANCELLED if cancelled else ComparisonState.FAILED,
        error=operation.error,
        finished_at=timezone.now(),
    )
    record(
        workspace=comparison.project.workspace,
        actor=None,
        action="comparison.cancelled" if cancelled else "comparison.failed",
        target=comparison,
        data={"error": operation.error},
    )


def _start(comparison: Comparison, by: User | None) -> None:
    operation_start(
        workspace=comparison.project.workspace,
        kind=KIND,
        subject=comparison,
        title=f"Compare {comparison.name}",
        actor=by,
        url=comparison.get_absolute_url(),
    )


def _check_fair(
    project: Project,
    suite: Suite,
    candidate: Variant,
    baselines: Sequence[tuple[str, Variant]],
    general_suite: Suite | None,
) -> None:
    everything: list[Suite | Variant] = [suite, candidate, *(variant for _, variant in baselines)]
    if general_suite is not None:
        everything.append(general_suite)
    if any(one.project_id != project.pk for one in everything):
        raise ComparisonError("Suites and variants of another project cannot be used here.")
    if suite.kind != SuiteKind.TASK:
        raise ComparisonError(f"“{suite.name}” tests general skills. Choose items of the task to compare on.")
    if general_suite is not None and general_suite.kind != SuiteKind.GENERAL:
        raise ComparisonError(f"“{general_suite.name}” holds items of the task, not general skills.")
    if candidate.model_version is None:
        raise ComparisonError("The candidate must be a model that was trained here.")
    if not baselines:
        raise ComparisonError(
            "Without a baseline nothing is compared. Add at least the base model with the best prompt."
        )
    hashes = [variant.hash for _, variant in baselines]
    if len(set(hashes)) < len(hashes):
        raise ComparisonError(
            "Two baselines ask the same model in the same way. Change one, or leave it out."
        )
    if candidate.hash in hashes:
        raise ComparisonError("The candidate cannot be its own baseline.")
    labels = [label for label, _ in baselines]
    if len(set(labels)) < len(labels) or not all(label.strip() for label in labels):
        raise ComparisonError("Give every baseline a name of its own.")


def _check_leakage(suite: Suite, candidate: Variant) -> None:
    leaked = leaked_items(suite, candidate)
    if not leaked:
        return
    verb = "item occurs" if leaked == 1 else "items occur"
    raise LeakageError(
        f"{leaked} of the {suite.item_count} test {verb} word for word in {training_version_of(candidate)}, which"
        " the model was trained on: it may simply remember them. Use a suite that the model has never seen, or"
        " freeze a version without these rows and train on that."
    )
