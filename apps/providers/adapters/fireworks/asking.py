"""What Fireworks is asked for: names, limits, and a request of ours in the words of its client."""

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from apps.providers.contracts import Objective, Problem
from apps.providers.remote import DataFacts, RemoteNumber, RemoteRequest, Support

if TYPE_CHECKING:
    from fireworks.types import Model

LABEL = "Fireworks AI"
SUPERVISED, PREFERENCE = "supervisedFineTuningJobs", "dpoJobs"
LONGEST_LABEL = 63

_NUMBERS = (
    RemoteNumber(name="epochs", low=1, high=50, usual=1, whole=True),
    RemoteNumber(name="batch_size", low=1, high=4096, whole=True),
    RemoteNumber(name="learning_rate", low=1e-8, high=0.01, usual=1e-4),
    RemoteNumber(name="lora_rank", low=4, high=64, whole=True),
    RemoteNumber(name="weight_decay", low=0, high=1),
)
_BETA = RemoteNumber(name="beta", low=0.001, high=0.499)


class Name(NamedTuple):
    """A resource of Fireworks: `accounts/<account>/<kind>/<id>`."""

    account: str
    kind: str
    id: str

    def __str__(self) -> str:
        return f"accounts/{self.account}/{self.kind}/{self.id}"


def named(text: str, *, account: str, kind: str) -> Name:
    """The resource that is meant; a bare id is one of `kind` in `account`."""
    parts = text.partition("#")[0].strip("/").split("/")
    if len(parts) == 4 and parts[0] == "accounts":
        return Name(*parts[1:])
    return Name(account, kind, parts[-1])


def base_named(text: str) -> Name:
    """A bare name of a base model is one of Fireworks' own."""
    return named(text, account="fireworks", kind="models")


def support_of(objective: Objective) -> Support:
    preference = objective == "dpo"
    return Support(
        data_format="together-preference" if preference else "together",
        numbers=_NUMBERS + ((_BETA,) if preference else ()),
        takes_validation=not preference,
        fewest_rows=3,
        most_rows=3_000_000,
        note="Trains LoRA adapters. The tuned model answers only on a dedicated deployment, which is billed while it "
        "runs.",
    )


def job_id_of(job_key: str) -> str:
    """The id that a job gets there, chosen by us: a second job of the same id is refused."""
    return "ftp-" + hashlib.sha256(job_key.encode()).hexdigest()[:24]


def dataset_id_of(digest: str, role: str, objective: Objective) -> str:
    return f"ftp-{'pairs' if objective == 'dpo' else 'chat'}-{role[:5]}-{digest[:32]}"


def creation_of(request: RemoteRequest, *, early_stop: bool) -> dict[str, Any]:
    """The arguments of `supervised_fine_tuning_jobs.create` or `dpo_jobs.create`."""
    numbers = request.hyperparameters
    training: dict[str, Any] = {"base_model": str(base_named(request.base_model))}
    for ours, (theirs, whole) in _NAMES.items():
        if ours in numbers:
            training[theirs] = int(numbers[ours]) if whole else numbers[ours]
    asked: dict[str, Any] = {"dataset": request.training_file}
    if label := re.sub(r"\s+", " ", request.suffix).strip()[:LONGEST_LABEL]:
        asked["display_name"] = label
    if request.objective == "dpo":
        beta = {"dpo": {"beta": numbers["beta"]}} if "beta" in numbers else {}
        return asked | {
            "dpo_job_id": job_id_of(request.job_key),
            "training_config": training,
            "loss_config": {"method": "DPO", **beta},
        }
    if request.validation_file:
        asked |= {"evaluation_dataset": request.validation_file, "early_stop": early_stop}
    return asked | training | {"supervised_fine_tuning_job_id": job_id_of(request.job_key)}


_NAMES = {
    "epochs": ("epochs", True),
    "batch_size": ("batch_size_samples", True),
    "learning_rate": ("learning_rate", False),
    "lora_rank": ("lora_rank", True),
    "weight_decay": ("optimizer_weight_decay", False),
}


def problems_with(model: "Model", data: DataFacts) -> Iterator[Problem]:
    """What the base model itself forbids."""
    details = model.base_model_details
    if model.tunable is False and not (details and details.tunable):
        yield Problem(
            code="not_trainable",
            message=f"{LABEL} does not train {model.display_name or model.name}. Choose a model that it lists as "
            "tunable.",
            field="base_model",
        )
    longest, most = data.longest_row_tokens, model.training_context_length
    if longest is not None and most and longest > most:
        yield Problem(
            code="row_too_long",
            message=f"{LABEL} trains this model on at most {most} tokens of a row; the longest has {longest}.",
            field="training_file",
            severity="warning",
        )
