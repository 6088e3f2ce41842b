"""Starting, cancelling and ending training jobs."""

import uuid
from collections.abc import Mapping
from typing import Any, cast

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.audit.services import record
from apps.core.canonical import canonical_hash
from apps.core.errors import ConflictError, PortalError
from apps.core.formatting import format_number
from apps.core.states import transition
from apps.datasets.models import Version, VersionState
from apps.jobs.hyperparameters import recommend, resolve
from apps.jobs.job_files import replay_file
from apps.jobs.models import Checkpoint, JobState, MetricPoint, Objective, TrainingJob
from apps.jobs.prospects import prospect
from apps.jobs.remote_recipes import CostEstimate, plain_suffix, remote_configuration, remote_numbers
from apps.jobs.replay import choose_rows
from apps.jobs.selectors import pair_counts, row_counts
from apps.jobs.trainers import OWN, hyperparameters_of, trainer_refusal
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel, operation_start
from apps.projects.models import Project
from apps.providers.contracts import Objective as ObjectiveName
from apps.providers.contracts import TrainingResult
from apps.providers.opening import adapter_for
from apps.registry.models import BaseModel
from apps.registry.services import model_version_create

KIND = "jobs.train"
KIND_REMOTE = "jobs.train_remotely"
SUBJECT_TYPE = "jobs.trainingjob"


class JobRefusedError(PortalError):
    """The job can't be started as it is."""

    code = "job_refused"


def job_start(
    *,
    project: Project,
    version: Version,
    base_model: BaseModel,
    name: str,
    method: str,
    hyperparameters: Mapping[str, Any],
    by: User | None,
    objective: str = Objective.SUPERVISED,
    cost: CostEstimate | None = None,
    trained_by: str = OWN,
    submission_key: uuid.UUID | None = None,
) -> TrainingJob:
    """Freeze a configuration and queue its training, here or at the provider of the base model.

    `hyperparameters` may leave out what shall take its recommended value, or what the provider shall decide. `cost`
    is what the person was told that a provider will charge; None: nobody knows. The same `submission_key` in a
    project returns the job that it started before. Raises JobRefusedError and HyperparameterError.
    """
    if submission_key is not None:
        earlier = TrainingJob.objects.filter(project=project, submission_key=submission_key).first()
        if earlier is not None:
            return earlier
    _check(project=project, version=version, base_model=base_model)
    remote = base_model.connection is not None
    if remote:
        configuration = make_remote_configuration(
            version=version,
            base_model=base_model,
            objective=objective,
            hyperparameters=hyperparameters,
            suffix=name,
        )
    else:
        configuration = make_configuration(
            version=version,
            base_model=base_model,
            method=method,
            hyperparameters=hyperparameters,
            objective=objective,
            trained_by=trained_by,
        )
        _check_trainer(trained_by, version=version, objective=objective, configuration=configuration)
    try:
        with transaction.atomic():
            Project.objects.select_for_update().get(pk=project.pk)  # one number at a time
            last = TrainingJob.objects.filter(project=project).aggregate(last=models.Max("number"))["last"]
            number = (last or 0) + 1
            job = TrainingJob.objects.create(
                project=project,
                number=number,
                name=(name.strip() or f"Training {number}")[:120],
                version=version,
                base_model=base_model,
                provider=trained_by if base_model.provider == OWN else base_model.provider,
                method=configuration["method"],
                objective=objective,
                estimated_cost=cost.amount if cost else None,
                currency=cost.currency if cost else "",
                price_date=cost.price_date if cost else None,
                configuration=configuration,
                configuration_hash=canonical_hash(configuration),
                submission_key=submission_key,
                created_by=by,
            )
            operation_start(
                workspace=project.workspace,
                kind=KIND_REMOTE if remote else KIND,
                subject=job,
                title=f"Train {job.name}",
                actor=by,
                url=job.get_absolute_url(),
            )
            record(
                workspace=project.workspace,
                actor=by,
                action="job.started",
                target=job,
                data={"version": str(version), "configuration_hash": job.configuration_hash},
            )
    except IntegrityError:
        # The same form was sent twice at the same moment: the other request was first.
        return TrainingJob.objects.get(project=project, submission_key=submission_key)
    return job


def _check(*, project: Project, version: Version, base_model: BaseModel) -> None:
    if version.dataset.project_id != project.pk:
        raise JobRefusedError("The dataset version belongs to another project.")
    if base_model.workspace_id != project.workspace_id:
        raise JobRefusedError("The base model belongs to another workspace.")
    if version.state != VersionState.FROZEN:
        raise JobRefusedError(f"{version} is not frozen yet. Only frozen versions are trained on.")
    if not version.train_count:
        raise JobRefusedError(f"{version} has no training rows. Freeze one with a smaller test share.")
    if base_model.connection is not None and base_model.connection.removed_at is not None:
        raise JobRefusedError(
            f"The connection “{base_model.connection}” of {base_model} was removed. Choose another base model."
        )


def _check_trainer(
    trained_by: str, *, version: Version, objective: str, configuration: Mapping[str, Any]
) -> None:
    values = configuration["hyperparameters"]
    refusal = trainer_refusal(
        trained_by,
        version=version,
        hyperparameters=hyperparameters_of(
            method=configuration["method"], objective=objective, values=values
        ),
        over_length=row_counts(version, max_length=values["max_length"]).over_length,
        has_validation=_usable_rows(version, objective)[1] > 0,
    )
    if refusal:
        raise JobRefusedError(refusal)


def make_configuration(
    *,
    version: Version,
    base_model: BaseModel,
    method: str,
    hyperparameters: Mapping[str, Any],
    objective: str = Objective.SUPERVISED,
    trained_by: str = OWN,
) -> dict[str, Any]:
    """Everything that decides what comes out of the training, by content, not by name.

    The objective is named where it is not the supervised one, and the trainer where it is not our own, so that a
    training keeps the hash that it has always had.
    """
    rows, validation_rows = _usable_rows(version, objective)
    recommended = recommend(
        method=method,
        parameters=base_model.parameters,
        context_length=base_model.context_length,
        rows=rows,
        too_long=version.too_long,
        objective=objective,
    )
    values = resolve(hyperparameters, method=method, recommended=recommended, objective=objective)
    if values["early_stopping_patience"] is not None and not validation_rows:
        what = "validation pairs" if objective == Objective.DPO else "validation rows"
        raise JobRefusedError(
            f"Early stopping watches the validation loss, and this version has no {what}. Switch it off, or"
            " freeze a version with a validation share."
        )
    replay = None
    if values["replay_rows"]:
        chosen = choose_rows(replay_file(), count=values["replay_rows"], seed=values["seed"])
        replay = {"rows": len(chosen.rows), "sha256": chosen.sha256}
    configuration: dict[str, Any] = {
        "base_model": {"reference": base_model.reference, "revision": base_model.revision},
        "data": {"manifest_hash": version.manifest_hash},
        "replay": replay,
        "method": method,
        "hyperparameters": values,
    }
    if objective != Objective.SUPERVISED:
        configuration["objective"] = str(objective)
    if trained_by != OWN:
        configuration["trained_by"] = trained_by
    return configuration


def _usable_rows(version: Version, objective: str) -> tuple[int, int]:
    """Rows to train and to validate on. Raises JobRefusedError where DPO has nothing to learn from."""
    if objective != Objective.DPO:
        return version.train_count, version.validation_count
    pairs = pair_counts(version)
    if not pairs.train:
        raise JobRefusedError(
            f"DPO learns from preference pairs, and none of the {format_number(version.train_count)} training rows of"
            f" {version} is one: a row needs a rejected answer beside the preferred one. Import pairs, or train"
            " supervised."
        )
    return pairs.train, pairs.validation


def make_remote_configuration(
    *,
    version: Version,
    base_model: BaseModel,
    objective: str,
    hyperparameters: Mapping[str, Any],
    suffix: str,
) -> dict[str, Any]:
    """The same for a job that the provider of the base model runs. Raises JobRefusedError and HyperparameterError."""
    given = dict(hyperparameters)
    seed = given.pop("seed", None)
    chosen = cast("ObjectiveName", objective)
    assert base_model.connection is not None
    support = adapter_for(base_model.connection).support(base_model.reference, chosen)
    if support is None:
        raise JobRefusedError(
            f"{base_model} can't be trained with {objective} over “{base_model.connection}”."
        )
    numbers = remote_numbers(given, support)
    ahead = prospect(version, base_model=base_model, objective=objective, support=support, numbers=numbers)
    if ahead.problems:
        raise JobRefusedError(" ".join(ahead.problems))
    return remote_configuration(
        version=version,
        provider=base_model.provider,
        reference=base_model.reference,
        objective=chosen,
        numbers=numbers,
        data_format=support.data_format,
        seed=seed if support.takes_seed else None,
        suffix=plain_suffix(suffix),
    )


def job_operation(job: TrainingJob) -> Operation | None:
    """The newest background work of a job."""
    return Operation.objects.filter(
        kind__in=(KIND, KIND_REMOTE), subject_type=SUBJECT_TYPE, subject_id=job.pk
    ).first()


def job_cancel(*, job: TrainingJob, by: User) -> None:
    """Ask the training to stop. It ends within seconds and keeps its last checkpoint."""
    with transaction.atomic():
        locked = TrainingJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if locked.state == JobState.PAUSED:
            _end_paused(locked, by)
            return
        operation = _running_operation(locked)
        TrainingJob.objects.filter(pk=job.pk, cancelled_by=None).update(cancelled_by=by, pausing=False)
    operation_cancel(operation=operation, by=by)


def _running_operation(job: TrainingJob) -> Operation:
    operation = job_operation(job)
    if operation is None or not operation.is_active:
        raise ConflictError(f"“{job.name}” has ended already: {job.get_state_display().lower()}.")
    return operation


def _end_paused(job: TrainingJob, by: User) -> None:
    transition(job, JobState.CANCELLED, finished_at=timezone.now(), cancelled_by=by, paused_at=None)
    record(
        workspace=job.project.workspace,
        actor=by,
        action="job.cancelled",
        target=job,
        data={"step": job.step, "reason": ""},
    )


def job_pause(*, job: TrainingJob, by: User) -> None:
    """Let the training save where it stands and stop; it can go on from there, on the machine that has it."""
    with transaction.atomic():
        locked = TrainingJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if locked.state == JobState.PAUSED:
            raise ConflictError(f"“{job.name}” is paused already.")
        if locked.base_model.connection_id is not None:
            raise ConflictError(
                f"“{job.name}” trains at a provider and can't be paused; it can be cancelled."
            )
        operation = _running_operation(locked)
        if operation.cancel_requested_at is not None:
            raise ConflictError(f"“{job.name}” is stopping already.")
        TrainingJob.objects.filter(pk=job.pk).update(pausing=True)
    operation_cancel(operation=operation, by=by)


def job_resume(*, job: TrainingJob, by: User) -> None:
    """Queue a paused job again; its trainer goes on from the last checkpoint."""
    with transaction.atomic():
        locked = (
            TrainingJob.objects.select_for_update(of=("self",))
            .select_related("project__workspace")
            .get(pk=job.pk)
        )
        if locked.state != JobState.PAUSED:
            raise ConflictError(f"“{job.name}” is not paused: {job.get_state_display().lower()}.")
        transition(locked, JobState.QUEUED, paused_at=None)
        operation_start(
            workspace=locked.project.workspace,
            kind=KIND,
            subject=locked,
            title=f"Train {locked.name}",
            actor=by,
            url=locked.get_absolute_url(),
        )
        record(workspace=locked.project.workspace, actor=by, action="job.resumed", target=locked)


def job_stop(*, operation: Operation) -> None:
    """The operation ended without success: so did its job. Called in the same transaction."""
    job = (
        TrainingJob.objects.select_for_update()
        .select_related("project__workspace")
        .get(pk=operation.subject_id)
    )
    if not job.is_active:
        return
    cancelled = operation.state == OperationState.CANCELLED
    if cancelled and job.pausing:
        now = timezone.now()
        transition(job, JobState.PAUSED, pausing=False, paused_at=now, pauses=models.F("pauses") + 1)
        record(
            workspace=job.project.workspace,
            actor=None,
            action="job.paused",
            target=job,
            data={"step": job.step},
        )
        return
    state = JobState.CANCELLED if cancelled else JobState.FAILED
    transition(
        job, state, finished_at=timezone.now(), error=operation.error, pausing=False, next_poll_at=None
    )
    record(
        workspace=job.project.workspace,
        actor=job.cancelled_by if cancelled else None,
        action="job.cancelled" if cancelled else "job.failed",
        target=job,
        data={"step": job.step, "reason": job.error},
    )


# --- Steps of the supervisor ---------------------------------------------------------------------------------------


def job_mark_running(*, job: TrainingJob) -> None:
    """No effect when an earlier supervisor has marked it."""
    if job.state == JobState.QUEUED:
        transition(job, JobState.RUNNING, started_at=job.started_at or timezone.now())


def job_progress_reset(*, job: TrainingJob) -> None:
    """The directory with the trainer's events is gone, so the training starts anew and its numbers with it."""
    with transaction.atomic():
        MetricPoint.objects.filter(job=job).delete()
        Checkpoint.objects.filter(job=job).delete()
        TrainingJob.objects.filter(pk=job.pk).update(
            events_seen=0,
            step=0,
            train_loss=None,
            validation_loss=None,
            best_validation_loss=None,
            best_step=None,
            phases=[],
            rewinds=models.F("rewinds") + 1,
            updated_at=timezone.now(),
        )
    job.refresh_from_db()


def job_restart_note(*, job: TrainingJob) -> None:
    """One more start of the trainer after it ended by itself."""
    TrainingJob.objects.filter(pk=job.pk).update(restarts=models.F("restarts") + 1, updated_at=timezone.now())
    job.refresh_from_db(fields=["restarts"])


def job_log_note(*, job: TrainingJob, tail: str) -> None:
    # Postgres keeps no NUL in a text.
    TrainingJob.objects.filter(pk=job.pk).update(
        log_tail=tail.replace("\0", "\ufffd"), updated_at=timezone.now()
    )


def job_log_attach(*, job: TrainingJob, log: Blob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(log=log, updated_at=timezone.now())


def job_checkpoint_keep(*, job: TrainingJob, artifact: Blob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(last_checkpoint=artifact, updated_at=timezone.now())


def job_checkpoint_store(*, checkpoint: Checkpoint, artifact: Blob) -> None:
    Checkpoint.objects.filter(pk=checkpoint.pk).update(artifact=artifact)


def job_succeed(*, job: TrainingJob, result: TrainingResult, artifact: Blob | None) -> None:
    """Register the model and end the job, in one transaction. StaleStateError when another process was first."""
    with transaction.atomic():
        model_version = model_version_create(
            project=job.project,
            base_model=job.base_model,
            kind=result.kind,
            artifact=artifact,
            name=job.name,
            validation_loss=result.validation_loss,
            best_step=result.best_step,
            actor=job.created_by,
            provider_model=result.provider_model or "",
        )
        transition(
            job,
            JobState.SUCCEEDED,
            finished_at=timezone.now(),
            next_poll_at=None,
            model_version=model_version,
            measured_tokens_per_second=_measured_rate(job),
        )
        record(
            workspace=job.project.workspace,
            actor=None,
            action="job.succeeded",
            target=job,
            data={
                "model_version": model_version.number,
                "artifact_sha256": artifact.sha256 if artifact else None,
                "provider_model": result.provider_model,
            },
        )


def _measured_rate(job: TrainingJob) -> float | None:
    """Tokens a second from the first training step to the last, validation included; only of an unbroken run."""
    if job.restarts or job.rewinds or job.pauses:
        return None
    last = MetricPoint.objects.filter(job=job, tokens__isnull=False, seconds__gt=0).order_by("-seq").first()
    if last is None or not last.tokens or not last.seconds:
        return None
    return last.tokens / last.seconds
