"""The frozen configuration of a job: everything that decides what comes out of it."""

from collections.abc import Mapping
from typing import Any, cast

from apps.core.errors import PortalError
from apps.core.formatting import format_number
from apps.datasets.models import Version
from apps.jobs.hyperparameters import recommend, resolve
from apps.jobs.job_files import replay_file
from apps.jobs.models import Objective
from apps.jobs.remote.prospects import prospect
from apps.jobs.remote.recipes import plain_suffix, remote_configuration, remote_numbers
from apps.jobs.replay import choose_rows
from apps.jobs.selectors import pair_counts
from apps.jobs.trainers import OWN
from apps.providers.contracts import Objective as ObjectiveName
from apps.providers.opening import support_over
from apps.registry.models import BaseModel


class JobRefusedError(PortalError):
    """The job can't be started as it is."""

    code = "job_refused"


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
    rows, validation_rows = usable_rows(version, objective)
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


def usable_rows(version: Version, objective: str) -> tuple[int, int]:
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
    support = support_over(base_model.connection, base_model.reference, chosen)
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
