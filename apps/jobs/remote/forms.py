"""The form of a training job at a provider. A setting that is left empty is left to the provider."""

from collections.abc import Sequence
from typing import Any

from django import forms

from apps.datasets.models import Version
from apps.jobs.forms import BaseModelChoice, VersionChoice, shown
from apps.jobs.hyperparameters import HyperparameterError, label
from apps.jobs.models import Objective
from apps.jobs.remote.prospects import Prospect, prospect
from apps.jobs.remote.recipes import remote_numbers
from apps.jobs.selectors import pair_counts, trainable_base_models, trainable_versions
from apps.projects.models import Project
from apps.providers.contracts import Objective as ObjectiveName
from apps.providers.opening import support_over
from apps.providers.remote import RemoteNumber, Support
from apps.registry.models import BaseModel

LARGEST_SEED = 2**31 - 1
OBJECTIVES: tuple[ObjectiveName, ...] = ("supervised", "dpo")


class RemoteJobForm(forms.Form):
    """Bound, it knows what would be sent: `numbers` and `prospect`, as far as they are known."""

    submission_key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    version = VersionChoice(
        queryset=Version.objects.none(), label="Dataset version", empty_label="Choose a frozen version"
    )
    base_model = BaseModelChoice(queryset=BaseModel.objects.none(), label="Base model", empty_label=None)
    objective = forms.ChoiceField(label="What to learn from", widget=forms.RadioSelect)
    name = forms.CharField(
        max_length=120,
        required=False,
        label="Name",
        help_text="How you will tell it from the others; the provider gets it as the suffix of the model's name.",
    )
    accept_cost = forms.BooleanField(
        required=False, label="I know that this is charged, and that nobody here knows how much it will be"
    )

    def __init__(self, *args: Any, project: Project, base_model: BaseModel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project, self.model = project, base_model
        self.numbers: dict[str, float | int] | None = None
        self.prospect: Prospect | None = None
        self._choice("version", trainable_versions(project))
        self._choice("base_model", trainable_base_models(project.workspace))
        assert base_model.connection is not None
        self.supports: dict[str, Support] = {
            each: support
            for each in OBJECTIVES
            if (support := support_over(base_model.connection, base_model.reference, each)) is not None
        }
        objective = self.fields["objective"]
        assert isinstance(objective, forms.ChoiceField)
        objective.choices = [(each, OBJECTIVE_WORDS[each]) for each in self.supports]
        self.initial.setdefault("objective", next(iter(self.supports), ""))
        self.support = self.supports.get(str(self["objective"].value()))
        for number in self.support.numbers if self.support else ():
            self.fields[number.name] = _field(number)
        if self.support and self.support.takes_seed:
            self.fields["seed"] = forms.IntegerField(
                required=False, min_value=0, max_value=LARGEST_SEED, label="Seed", help_text="Empty: any."
            )

    def _choice(self, name: str, queryset: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = queryset

    @property
    def setting_fields(self) -> Sequence[forms.BoundField]:
        names = [number.name for number in self.support.numbers] if self.support else []
        return [self[name] for name in (*names, "seed") if name in self.fields]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        version, objective = data.get("version"), data.get("objective")
        if version is None or objective is None or self.support is None:
            return data
        try:
            self.numbers = remote_numbers(self.given(with_seed=False), self.support)
        except HyperparameterError as error:
            if error.field not in self.errors:
                self.add_error(error.field if error.field in self.fields else None, error.message)
            return data
        self.prospect = prospect(
            version,
            base_model=self.model,
            objective=objective,
            support=self.support,
            numbers=self.numbers,
        )
        for problem in self.prospect.problems:
            self.add_error(None, problem)
        if self.prospect.cost is None and not self.errors and not data.get("accept_cost"):
            self.add_error("accept_cost", "Confirm it, or add the price first.")
        return data

    def given(self, *, with_seed: bool = True) -> dict[str, Any]:
        """The settings that the person filled in."""
        return {
            bound.name: self.cleaned_data[bound.name]
            for bound in self.setting_fields
            if (with_seed or bound.name != "seed") and self.cleaned_data.get(bound.name) not in (None, "")
        }


OBJECTIVE_WORDS = {
    "supervised": "Answers: the model learns to give the answer of each row",
    "dpo": "Preferences (DPO): the model learns which of two answers is the better one",
}


def _field(number: RemoteNumber) -> forms.Field:
    kind = forms.IntegerField if number.whole else forms.FloatField
    usual = "the provider decides" if number.usual is None else f"the provider takes {shown(number.usual)}"
    return kind(
        required=False,
        label=label(number.name),
        help_text=f"{shown(number.low)} to {shown(number.high)}. Empty: {usual}.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )


def best_objective(version: Version | None) -> str:
    """Preferences for a version in which every training row is a pair."""
    if version is None:
        return Objective.SUPERVISED
    pairs = pair_counts(version)
    return Objective.DPO if pairs.train and pairs.train == pairs.train_rows else Objective.SUPERVISED
