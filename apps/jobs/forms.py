"""The form of a new training job. An empty setting takes its recommended value."""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.html import format_html

from apps.core.formatting import format_number
from apps.datasets.models import Version
from apps.jobs.hyperparameters import (
    FIELDS,
    LORA_FIELDS,
    Choice,
    HyperparameterError,
    Recommended,
    label,
    recommend,
    resolve,
)
from apps.jobs.models import Method, Objective, TrainingJob
from apps.jobs.planning import Advice, PairCounts, Plan, make_plan
from apps.jobs.selectors import (
    MeasuredRate,
    measured_rate,
    pair_counts,
    row_counts,
    trainable_base_models,
    trainable_versions,
)
from apps.jobs.trainers import (
    LAUNCHED,
    OWN,
    as_advice,
    hyperparameters_of,
    offered_trainers,
    trainer_label,
    trainer_problems,
)
from apps.projects.models import Project
from apps.providers.contracts import Problem
from apps.registry.models import BaseModel

COMMON = ("epochs", "learning_rate", "batch_size", "lora_rank")
RARE = (
    "lora_alpha", "lora_dropout", "max_length", "too_long", "gradient_accumulation", "scheduler", "warmup_ratio",
    "weight_decay", "max_grad_norm", "evaluation_steps", "early_stopping_patience", "max_steps", "seed",
)  # fmt: skip
CHOICE_LABELS = {
    "cosine": "Cosine: falls smoothly to zero",
    "linear": "Linear: falls evenly to zero",
    "constant": "Constant after the warm-up",
    "drop": "Leave them out",
    "truncate": "Cut them at the end",
    "refuse": "Refuse to start",
}
SHORT_CHOICES = {
    "cosine": "cosine", "linear": "linear", "constant": "constant",
    "drop": "leave them out", "truncate": "cut them", "refuse": "refuse to start",
}  # fmt: skip


class VersionChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        counts = f"{format_number(obj.train_count)} train, {format_number(obj.validation_count)} validation"
        return f"{obj} ({counts})"


class BaseModelChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        if obj.connection is not None:
            return f"{obj.name} at {obj.connection}"
        size = f" ({millions(obj.parameters)} parameters)" if obj.parameters else ""
        return f"{obj.name}{size}"


def millions(parameters: int) -> str:
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f} B"
    return f"{parameters / 1e6:.1f} M"


class JobForm(forms.Form):
    """Bound, it knows what would be started: `values`, `recommended`, `plan` and `rate`, as far as they are known."""

    submission_key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    version = VersionChoice(
        queryset=Version.objects.none(), label="Dataset version", empty_label="Choose a frozen version"
    )
    base_model = BaseModelChoice(
        queryset=BaseModel.objects.none(), label="Base model", empty_label="Choose a base model"
    )
    method = forms.ChoiceField(
        choices=[
            (Method.LORA, "LoRA: small adapters, a fraction of the memory; the default for most teams"),
            (Method.FULL, "Full fine-tuning: all weights; as large as the base model"),
        ],
        widget=forms.RadioSelect,
        initial=Method.LORA,
    )
    trained_by = forms.ChoiceField(
        required=False,
        widget=forms.RadioSelect,
        initial=OWN,
        label="Trained by",
        help_text="The others are programs of their own on the worker’s machine. They get the same settings and rows.",
    )
    objective = forms.ChoiceField(
        choices=[
            (Objective.SUPERVISED, "Preferred answers only: supervised training, as on any other data"),
            (Objective.DPO, "Preferred against rejected answers: DPO, direct preference optimization"),
        ],
        widget=forms.RadioSelect,
        required=False,
        label=label("objective"),
    )
    name = forms.CharField(
        max_length=120,
        required=False,
        label="Name",
        help_text="How you will tell it from the others. Numbered if left empty.",
    )
    replay_rows = forms.IntegerField(
        required=False,
        label="Mix in general data",
        help_text="Rows of general tasks added to the training data, so that the model keeps its general skills.",
    )
    accept_few = forms.BooleanField(
        required=False, label="I know that these are too few rows, and want to train anyway"
    )

    def __init__(
        self, *args: Any, project: Project, replay_available: int, elsewhere: str = "", **kwargs: Any
    ) -> None:
        """With `elsewhere`, the name of another trainer, the form is to be taken away and trained there."""
        super().__init__(*args, **kwargs)
        self.elsewhere = elsewhere
        self.replay_available = replay_available
        self.values: dict[str, Any] | None = None
        self.recommended: dict[str, Recommended] = {}
        self.plan: Plan | None = None
        self.rate: MeasuredRate | None = None
        self.trainer_problems: list[Problem] = []
        self._choice("version", trainable_versions(project))
        self._choice("base_model", trainable_base_models(project.workspace))
        for name in (*COMMON, *RARE):
            self.fields[name] = _setting_field(name)
        self._offer_objective()
        self._offer_trainers()
        if not replay_available:
            del self.fields["replay_rows"]
        self.show_recommendations()

    def _choice(self, name: str, queryset: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = queryset

    # --- Who trains -------------------------------------------------------------------------------------------------

    def _offer_trainers(self) -> None:
        """A choice only where the installation names another trainer than its own."""
        self.trainers = offered_trainers()
        field = self.fields["trained_by"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(trainer.name, trainer.label) for trainer in self.trainers]
        if len(self.trainers) == 1 or self.elsewhere:
            del self.fields["trained_by"]

    @property
    def trainer(self) -> str:
        return self.elsewhere or self.cleaned_data.get("trained_by") or OWN

    @property
    def trainer_shown(self) -> str:
        """Who trains, where there is a choice."""
        return trainer_label(self.trainer) if "trained_by" in self.fields else ""

    @property
    def trainer_advice(self) -> list[Advice]:
        return as_advice(self.trainer_problems)

    def _check_trainer(
        self,
        version: Version,
        base_model: BaseModel,
        method: str,
        *,
        over_length: int | None,
        validates: bool,
    ) -> None:
        assert self.values is not None
        self.trainer_problems = trainer_problems(
            self.trainer,
            version=version,
            base_model=base_model,
            hyperparameters=hyperparameters_of(
                method=method, objective=self.chosen_objective, values=self.values
            ),
            over_length=over_length,
            has_validation=validates,
        )
        for problem in self.trainer_problems:
            if problem.severity == "error":
                self.add_error(problem.field if problem.field in self.fields else None, problem.message)

    # --- Preference pairs --------------------------------------------------------------------------------------------

    def _offer_objective(self) -> None:
        """A choice only where the version has preference pairs; where it has nothing else, DPO is preselected."""
        version = self._chosen("version")
        self.pairs: PairCounts | None = pair_counts(version) if version else None
        self.chosen_objective = Objective.SUPERVISED
        if self.pairs is None or not self.pairs.train:
            del self.fields["objective"]
            return
        self.fields["objective"].initial = self.pairs.usual_objective
        self.fields["objective"].help_text = _pairs_in_words(self.pairs)
        chosen = self["objective"].value()
        self.chosen_objective = Objective(
            chosen if chosen in Objective.values else self.pairs.usual_objective
        )
        if self.is_bound and not chosen:
            given: Any = self.data
            data = given.copy()
            data[self.add_prefix("objective")] = self.chosen_objective.value
            self.data = data
        if self.chosen_objective == Objective.DPO:
            self.fields["beta"] = _setting_field("beta")

    @property
    def objective_state(self) -> str:
        """What the choice of the objective looks like: the page gets it anew when this differs from what it shows."""
        return (
            f"{self['version'].value()} {self.chosen_objective.value}" if "objective" in self.fields else ""
        )

    @property
    def setting_names(self) -> tuple[str, ...]:
        return (*COMMON, *(["beta"] if "beta" in self.fields else []), *RARE)

    # --- What is recommended ----------------------------------------------------------------------------------------

    def show_recommendations(self) -> None:
        """Write the recommended value of every setting under it, for what is chosen so far."""
        version, base_model = self._chosen("version"), self._chosen("base_model")
        method = self["method"].value()
        self.recommended = recommend(
            method=method if method in Method.values else Method.LORA,
            parameters=base_model.parameters if base_model else None,
            context_length=base_model.context_length if base_model else None,
            rows=self._rows(version),
            too_long=version.too_long if version else "",
            objective=self.chosen_objective,
        )
        for name in self.setting_names:
            self.fields[name].help_text = self.hint(name)

    def _rows(self, version: Version | None) -> int | None:
        if version is None or self.pairs is None:
            return None
        return self.pairs.train if self.chosen_objective == Objective.DPO else version.train_count

    def hint(self, name: str) -> str:
        found = self.recommended[name]
        if found.value is None:
            return format_html("Empty: {}.", found.reason)
        return format_html("Recommended: <strong>{}</strong>, {}.", shown(found.value), found.reason)

    def hints(self) -> list[tuple[str, str]]:
        """Element id and text of every recommendation, for refreshing them in an open page."""
        return [(f"{self[name].auto_id}_helptext", self.hint(name)) for name in self.setting_names]

    def _chosen(self, name: str) -> Any:
        field = self.fields[name]
        value = self[name].value()
        try:
            return field.clean(value) if value else None
        except forms.ValidationError:
            return None

    # --- What would be started --------------------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("replay_rows") and data["replay_rows"] > self.replay_available:
            self.add_error("replay_rows", f"There are {format_number(self.replay_available)} general rows.")
        version, base_model, method = data.get("version"), data.get("base_model"), data.get("method")
        if version is None or base_model is None or method is None:
            return data
        try:
            values = resolve(
                self.given(), method=method, recommended=self.recommended, objective=self.chosen_objective
            )
        except HyperparameterError as error:
            if error.field not in self.errors:
                self.add_error(error.field if error.field in self.fields else None, error.message)
            return data
        if any(name in self.errors for name in (*self.setting_names, "replay_rows")):
            return data  # a plan with the recommended value in place of what was meant would mislead
        self.values = values
        self.rate = measured_rate(
            base_model=base_model,
            method=method,
            objective=self.chosen_objective,
            provider=self.trainer,
        )
        counts = row_counts(version, max_length=self.values["max_length"])
        assert self.pairs is not None
        validates = (
            self.pairs.validation if self.chosen_objective == Objective.DPO else version.validation_count
        )
        self.plan = make_plan(
            counts,
            self.values,
            validation_rows=validates,
            rate=self.rate.tokens_per_second if self.rate else None,
            pairs=self.pairs,
            objective=self.chosen_objective,
        )
        if self.plan.must_confirm and not self.elsewhere and not data.get("accept_few"):
            self.add_error("accept_few", "Confirm that you want to train on so few rows.")
        if self.values["early_stopping_patience"] is not None and not validates:
            self.add_error("early_stopping_patience", "This version has no validation rows to watch.")
        self._check_trainer(
            version, base_model, method, over_length=counts.over_length, validates=validates > 0
        )
        return data

    def given(self) -> dict[str, Any]:
        """The settings that the person filled in."""
        method = self.cleaned_data.get("method")
        names = [name for name in (*self.setting_names, "replay_rows") if name in self.fields]
        return {
            name: value
            for name in names
            if (value := self.cleaned_data.get(name)) not in (None, "")
            and not (method == Method.FULL and name in LORA_FIELDS)
        }


def _setting_field(name: str) -> forms.Field:
    field = FIELDS[name]
    if isinstance(field, Choice):
        choices = [("", "Recommended"), *((value, CHOICE_LABELS[value]) for value in field.values)]
        return forms.ChoiceField(choices=choices, required=False, label=label(name))
    kind = forms.IntegerField if field.kind is int else forms.FloatField
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    what = "a whole number" if field.kind is int else "a number with a point, such as 0.002"
    messages = {"invalid": f"Enter {what}."}
    return kind(required=False, label=label(name), widget=widget, error_messages=messages)


def _pairs_in_words(pairs: PairCounts) -> str:
    rows = format_number(pairs.train_rows)
    if pairs.usual_objective == Objective.DPO:
        return f"All {rows} training rows are preference pairs, which DPO is made for, so it is chosen."
    return f"{format_number(pairs.train)} of {rows} training rows are preference pairs; DPO leaves the others out."


def shown(value: Any) -> str:
    """A setting as people write it: 0.0001 -> 1e-4, drop -> leave them out."""
    if isinstance(value, str):
        return SHORT_CHOICES.get(value, value)
    if isinstance(value, float) and 0 < value < 0.001:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    if isinstance(value, int | float):
        return format_number(value) if value >= 1000 else f"{value:g}"
    return str(value)


def initial_from(job: TrainingJob) -> dict[str, Any]:
    """The form filled in as an earlier job was started."""
    return {
        **{name: value for name, value in job.hyperparameters.items() if value is not None},
        "version": job.version_id,
        "base_model": job.base_model_id,
        "method": job.method,
        "objective": job.objective,
        "trained_by": job.provider if job.provider in LAUNCHED else OWN,
    }


def kept_choices(given: Mapping[str, Any]) -> str:
    """As a query: what means the same in the form of a job here and in that of one at a provider."""
    names = ("version", "base_model", "name", "objective", "from")
    return urlencode({name: given[name] for name in names if given.get(name)})


def new_submission_key() -> uuid.UUID:
    return uuid.uuid4()
