"""The trainers of this machine: which are offered, and what each can't do with a version and its settings.

Besides our own trainer an operator may name others in the environment. No page can: what is named here is run.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings

from apps.core.formatting import format_number
from apps.datasets.models import Split, Version
from apps.datasets.provider_formats import FEATURES, OTHER, PROVIDER_FORMATS, WEIGHTS, ProviderFormat
from apps.datasets.version_exports import feature_counts
from apps.jobs.planning import Advice
from apps.jobs.selectors import row_counts
from apps.jobs.template_fit import template_problems
from apps.providers.contracts import Hyperparameters, LoraSettings, Objective, Problem
from apps.providers.launching.adapter import LaunchedTrainer
from apps.providers.registry import provider_class
from apps.registry.models import BaseModel

OWN = "local"
OWN_LABEL = "This installation’s trainer"
LAUNCHED = ("llama_factory", "axolotl", "custom")
WITH_RECIPE = ("llama_factory", "axolotl")
"""Those whose own configuration can be written without running them."""


@dataclass(frozen=True)
class OfferedTrainer:
    name: str
    label: str


def launched_class(name: str) -> type[LaunchedTrainer]:
    return provider_class(name)


def trainer_command(name: str) -> str:
    """The operator's command line; empty where none is set."""
    return str(getattr(settings, launched_class(name).setting, "")).strip()


def trainer_label(name: str) -> str:
    return launched_class(name).label if name in LAUNCHED else OWN_LABEL


def offered_trainers() -> list[OfferedTrainer]:
    """Our own trainer first, then those that are set up."""
    found = [OfferedTrainer(OWN, OWN_LABEL)]
    return found + [OfferedTrainer(name, trainer_label(name)) for name in LAUNCHED if trainer_command(name)]


def trainer_format(name: str, objective: str) -> ProviderFormat | None:
    """What the data files of a trainer are written in; None: lines of chat as they are."""
    if name not in LAUNCHED:
        return None
    key = launched_class(name).data_formats.get(cast("Objective", str(objective)))
    return PROVIDER_FORMATS[key] if key else None


def leaves_out_long_rows(name: str, values: Mapping[str, Any]) -> bool:
    """Whether rows that are too long are left out before the trainer gets them, because it can't itself."""
    return (
        name in LAUNCHED
        and values["too_long"] == "drop"
        and "drop" not in launched_class(name).handles_too_long
    )


def hyperparameters_of(*, method: str, objective: str, values: Mapping[str, Any]) -> Hyperparameters:
    """A job's settings as the trainers of this machine take them."""
    rest = dict(values)
    rest.pop("replay_rows")
    rank, alpha, dropout = (rest.pop(name) for name in ("lora_rank", "lora_alpha", "lora_dropout"))
    lora = LoraSettings(rank=rank, alpha=alpha, dropout=dropout) if method == "lora" else None
    return Hyperparameters(
        method=cast("Any", str(method)), objective=cast("Any", str(objective)), lora=lora, **rest
    )


# --- What is said before the start ------------------------------------------------------------------------------


def trainer_problems(
    name: str,
    *,
    version: Version,
    base_model: BaseModel,
    hyperparameters: Hyperparameters,
    over_length: int | None,
    has_validation: bool,
) -> list[Problem]:
    """What the trainer can't do with these settings and what of the rows is lost; of our own trainer what the base
    model's chat template loses.

    `over_length` are training rows that are too long, None where they were not counted. Only errors stop a job.
    """
    nothing_left = over_length is not None and over_length >= version.train_count
    if nothing_left and hyperparameters.too_long == "drop":
        message = (
            f"All {format_number(version.train_count)} training rows are longer than"
            f" {format_number(hyperparameters.max_length)} tokens, so none would be left. Raise it."
        )
        return [Problem(code="nothing_left", field="max_length", message=message)]
    if name not in LAUNCHED:
        return [
            *_own_length_problems(version, base_model, hyperparameters, over_length),
            *template_problems(version, base_model, objective=hyperparameters.objective),
        ]
    trainer = launched_class(name)
    problems = trainer.settings_problems(hyperparameters, has_validation=has_validation)
    problems += _length_problems(trainer, hyperparameters, over_length)
    wanted = trainer_format(name, hyperparameters.objective)
    return problems + (_losses(trainer.label, version, wanted) if wanted else [])


def trainer_refusal(
    name: str,
    *,
    version: Version,
    base_model: BaseModel,
    hyperparameters: Hyperparameters,
    over_length: int | None,
    has_validation: bool,
) -> str:
    """Why the trainer can't be started on this; empty when it can."""
    if name not in [trainer.name for trainer in offered_trainers()]:
        return f"{trainer_label(name)} is not set up on this installation."
    problems = trainer_problems(
        name,
        version=version,
        base_model=base_model,
        hyperparameters=hyperparameters,
        over_length=over_length,
        has_validation=has_validation,
    )
    return next((problem.message for problem in problems if problem.severity == "error"), "")


def _own_length_problems(
    version: Version, base_model: BaseModel, hyperparameters: Hyperparameters, over_length: int | None
) -> list[Problem]:
    """Of our own trainer, which can do whatever is wished with long rows."""
    limit, reads = hyperparameters.max_length, base_model.context_length
    if over_length and hyperparameters.too_long == "refuse" and version.tokenizer == base_model.reference:
        message = (
            f"{_rows(over_length)} longer than {format_number(limit)} tokens. Raise the maximum length, or choose what"
            " happens to them."
        )
        return [Problem(code="rows_too_long", field="too_long", message=message)]
    problems = []
    if over_length is not None and version.tokenizer and version.tokenizer != base_model.reference:
        message = (
            f"Tokens are as {version.tokenizer_name} counts them, which the version was frozen for;"
            f" {base_model} may count more or fewer."
        )
        problems.append(Problem(code="other_tokenizer", severity="warning", message=message))
    if reads is not None and limit > reads:
        beyond = row_counts(version, max_length=reads).over_length
        if beyond:
            message = (
                f"{_rows(beyond)} longer than the {format_number(reads)} tokens that {base_model} reads, and the"
                " maximum length lets them in. Lower it."
            )
            problems.append(Problem(code="beyond_context", severity="warning", message=message))
    return problems


def _length_problems(
    trainer: type[LaunchedTrainer], hyperparameters: Hyperparameters, over_length: int | None
) -> list[Problem]:
    wish = hyperparameters.too_long
    if wish in trainer.handles_too_long:
        return []
    if over_length is None:
        message = (
            f"{trainer.label} can only cut rows that are too long, and the tokens of this version's rows were not "
            "counted, so the long ones can't be found before. Choose “Cut them”, or another trainer."
        )
        return [Problem(code="long_rows_unknown", field="too_long", message=message)]
    if wish == "refuse" and over_length:
        message = (
            f"{_rows(over_length)} longer than {format_number(hyperparameters.max_length)} tokens. Raise the maximum "
            "length, or choose what happens to them."
        )
        return [Problem(code="rows_too_long", field="too_long", message=message)]
    return []


def _losses(label: str, version: Version, wanted: ProviderFormat) -> list[Problem]:
    training = feature_counts(version, Split.TRAIN)
    counts = Counter(training) + Counter(feature_counts(version, Split.VALIDATION))
    losses = wanted.losses(counts)
    problems = []
    if wanted.losses(training).left_out >= version.train_count:
        message = f"{label} can't be given any of this version's rows: {_why(wanted)}."
        return [Problem(code="nothing_left", field="version", message=message)]
    if losses.left_out:
        of_all = format_number(sum(counts.values()))
        message = (
            f"{format_number(losses.left_out)} of {of_all} rows are left out for {label}: {_why(wanted)}."
        )
        problems.append(Problem(code="rows_left_out", severity="warning", message=message))
    for feature, rows in losses.dropped.items():
        if feature == OTHER:
            continue  # no trainer reads it
        count = format_number(rows)
        message = f"{count} {'row loses' if rows == 1 else 'rows lose'} {FEATURES[feature]}."
        if feature == WEIGHTS:
            message = f"{label} knows no weights: {count} {'row is' if rows == 1 else 'rows are'} trained on in full."
        problems.append(Problem(code=f"loses_{feature}", severity="warning", message=message))
    return problems


def _why(wanted: ProviderFormat) -> str:
    parts = [f"with {FEATURES[feature]}" for feature in wanted.left_out]
    parts += [f"without {FEATURES[wanted.needs]}"] if wanted.needs else []
    return "rows " + " or ".join(parts)


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{format_number(count)} rows are"


def as_advice(problems: list[Problem]) -> list[Advice]:
    """Warnings as the card of the form shows them."""
    return [Advice(tone="attention", text=each.message) for each in problems if each.severity == "warning"]
