"""Recording what a model says to the items of a suite, for the day on which it answers no more.

A recording is the run of a variant like any other: comparisons find it and ask nothing again.
"""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.evaluations.models import Run, Suite, SuiteKind
from apps.evaluations.selectors.leakage import leaked_items
from apps.evaluations.selectors.recordings import RECORD_KIND, recordings_url
from apps.evaluations.services.comparisons import ComparisonError, LeakageError
from apps.evaluations.services.running import PlannedRun, run_ask, run_finish
from apps.evaluations.services.sampling import answer_tokens
from apps.operations.progress import Progress
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_start
from apps.projects.models import Project
from apps.registry.models import ModelVersion
from apps.registry.services import variant_ensure


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What to record. `knows_trained_on`: it is known that the model learned from some of these items."""

    model_version: ModelVersion
    suite: Suite
    knows_trained_on: bool = False


def recording_start(*, project: Project, wish: Recording, by: User | None) -> Run:
    """Ask the model everything in the background; the same recording that is there already goes on instead.

    Raises LeakageError for items that the model was trained on, unless that is known, and ComparisonError.
    """
    model, suite = wish.model_version, wish.suite
    if model.project_id != project.pk or suite.project_id != project.pk:
        raise ComparisonError("Suites and models of another project cannot be used here.")
    if suite.kind != SuiteKind.TASK:
        raise ComparisonError(f"“{suite.name}” tests general skills. Choose items of the task to record.")
    variant = variant_ensure(
        project=project,
        name=model.name,
        base_model=model.base_model,
        model_version=model,
        sampling={"max_tokens": answer_tokens(suite)},
        actor=by,
    )
    trained_on = leaked_items(suite, variant)
    if trained_on and not wish.knows_trained_on:
        raise LeakageError(
            f"The model was trained on {trained_on} of the {suite.item_count} items: on those it looks better than it"
            " is. Choose items that it has never seen, or confirm that you know."
        )
    with transaction.atomic():
        run, _ = Run.objects.get_or_create(suite=suite, variant=variant)
        running = latest_operation_for(run, RECORD_KIND)
        if run.is_finished or (running is not None and running.is_active):
            return run
        operation_start(
            workspace=project.workspace,
            kind=RECORD_KIND,
            subject=run,
            title=f"Record what {model.name} answers",
            actor=by,
            url=recordings_url(project),
        )
        record(
            workspace=project.workspace,
            actor=by,
            action="recording.started",
            target=run,
            data={"suite": suite.hash, "variant": variant.hash, "trained_on": trained_on},
        )
    return run


def recording_run(*, run: Run, progress: Progress) -> None:
    """Ask what is missing and close the run. Raises when it should stop; answers are kept."""
    if run.is_finished:
        return
    done = run.answers.count()
    progress.report(
        done, total=run.suite.item_count, unit="answers", message="Counting what is missing", force=True
    )
    run_ask(PlannedRun(run, run.variant.name), progress, done)
    run_finish(run=run)


def recording_close(*, run: Run, by: User | None) -> None:
    """Nothing more will be asked, such as when the model is gone: what has no answer stays unscored."""
    with transaction.atomic():
        locked = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        running = latest_operation_for(run, RECORD_KIND)
        if locked.is_finished or (running is not None and running.is_active):
            raise ConflictError("The recording is closed already, or still under way. Reload the page.")
        if not locked.answers.filter(error="").exists():
            raise ConflictError("There is no answer to keep. Start the recording again.")
        run_finish(run=run)
        Run.objects.filter(pk=run.pk).update(updated_at=timezone.now())
        record(
            workspace=run.suite.project.workspace,
            actor=by,
            action="recording.closed",
            target=run,
            data={"answered": run.answered, "of": run.suite.item_count},
        )
