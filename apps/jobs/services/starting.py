"""Starting a training job, here or at a provider."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, models, transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.canonical import canonical_hash
from apps.datasets.models import Version, VersionState
from apps.jobs.models import Objective, TrainingJob
from apps.jobs.remote.recipes import CostEstimate
from apps.jobs.selectors import row_counts
from apps.jobs.services.configuration import (
    JobRefusedError,
    make_configuration,
    make_remote_configuration,
    usable_rows,
)
from apps.jobs.services.stopping import KIND, KIND_REMOTE
from apps.jobs.trainers import OWN, hyperparameters_of, trainer_refusal
from apps.operations.services import operation_start
from apps.projects.models import Project
from apps.registry.models import BaseModel


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
    what: dict[str, Any] = {"version": version, "base_model": base_model, "hyperparameters": hyperparameters}
    if base_model.connection is not None:
        configuration = make_remote_configuration(**what, objective=objective, suffix=name)
    else:
        configuration = make_configuration(**what, method=method, objective=objective, trained_by=trained_by)
        _check_trainer(
            trained_by,
            version=version,
            base_model=base_model,
            objective=objective,
            configuration=configuration,
        )
    try:
        return _queue(
            name,
            project=project,
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
    except IntegrityError:
        # The same form was sent twice at the same moment: the other request was first.
        return TrainingJob.objects.get(project=project, submission_key=submission_key)


def _queue(name: str, **fields: Any) -> TrainingJob:
    """The job under the project's next number, and its operation."""
    project, by = fields["project"], fields["created_by"]
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # one number at a time
        last = TrainingJob.objects.filter(project=project).aggregate(last=models.Max("number"))["last"]
        number = (last or 0) + 1
        job = TrainingJob.objects.create(
            number=number, name=(name.strip() or f"Training {number}")[:120], **fields
        )
        operation_start(
            workspace=project.workspace,
            kind=KIND if job.base_model.connection is None else KIND_REMOTE,
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
            data={"version": str(job.version), "configuration_hash": job.configuration_hash},
        )
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
    trained_by: str,
    *,
    version: Version,
    base_model: BaseModel,
    objective: str,
    configuration: Mapping[str, Any],
) -> None:
    values = configuration["hyperparameters"]
    refusal = trainer_refusal(
        trained_by,
        version=version,
        base_model=base_model,
        hyperparameters=hyperparameters_of(
            method=configuration["method"], objective=objective, values=values
        ),
        over_length=row_counts(version, max_length=values["max_length"]).over_length,
        has_validation=usable_rows(version, objective)[1] > 0,
    )
    if refusal:
        raise JobRefusedError(refusal)
