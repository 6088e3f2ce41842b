"""The form of a training job at a provider. A setting that is left empty is left to the provider."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html

from apps.core.formatting import format_number
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


class ObjectiveChoice(forms.RadioSelect):
    """What can't be chosen is shown all the same; `refused` says why, by its value."""

    refused: Mapping[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        if str(value) in self.refused:
            option["attrs"]["disabled"] = True
        return option


class RemoteJobForm(forms.Form):
    """Bound, it knows what would be sent: `numbers` and `prospect`, as far as they are known."""

    submission_key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    version = VersionChoice(
        queryset=Version.objects.none(), label="Dataset version", empty_label="Choose a frozen version"
    )
    base_model = BaseModelChoice(queryset=BaseModel.objects.none(), label="Base model", empty_label=None)
    objective = forms.ChoiceField(label="What to learn from", widget=ObjectiveChoice)
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
        self._offer_objectives()
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

    def _offer_objectives(self) -> None:
        """All of them, those that can't be chosen with the reason; one that can is preselected."""
        field = self.fields["objective"]
        assert isinstance(field, forms.ChoiceField)
        assert isinstance(field.widget, ObjectiveChoice)
        self.refused = self._refused()
        field.widget.refused = self.refused
        field.choices = [(each, self._words(each)) for each in OBJECTIVES]
        offered = [each for each in OBJECTIVES if each not in self.refused]
        usual = best_objective(self._chosen_version())
        preselected = usual if usual in offered else next(iter(offered), "")
        if self.initial.get("objective") not in offered:
            self.initial["objective"] = preselected
        if self.is_bound and not self["objective"].value():
            # The browser sends nothing of a choice that it doesn't offer any more.
            given: Any = self.data
            data = given.copy()
            data[self.add_prefix("objective")] = preselected
            self.data = data

    def _refused(self) -> dict[str, str]:
        assert self.model.connection is not None
        what = {"supervised": "answers", "dpo": "preference pairs"}
        refused: dict[str, str] = {
            each: f"{self.model.connection} does not train {self.model} on {what[each]}."
            for each in OBJECTIVES
            if each not in self.supports
        }
        version = self._chosen_version()
        if version is not None and not pair_counts(version).train:
            refused.setdefault(
                "dpo",
                f"None of the {format_number(version.train_count)} training rows of {version} is a preference pair:"
                " a row needs a rejected answer beside the preferred one.",
            )
        return refused

    def _words(self, objective: str) -> str:
        words, why = OBJECTIVE_WORDS[objective], self.refused.get(objective)
        return format_html('{}<span class="form-hint d-block">{}</span>', words, why) if why else words

    def _chosen_version(self) -> Version | None:
        value = self["version"].value()
        try:
            chosen: Version | None = self.fields["version"].clean(value) if value else None
        except forms.ValidationError:
            return None
        return chosen

    @property
    def shown(self) -> str:
        """What the choice of the objective and the settings depend on: the page gets them anew when it changes."""
        return f"{self['version'].value()} {self['objective'].value()}"

    @property
    def setting_fields(self) -> Sequence[forms.BoundField]:
        names = [number.name for number in self.support.numbers] if self.support else []
        return [self[name] for name in (*names, "seed") if name in self.fields]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        version, objective = data.get("version"), data.get("objective")
        if objective in self.refused:
            self.add_error("objective", self.refused[objective])
            return data
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
