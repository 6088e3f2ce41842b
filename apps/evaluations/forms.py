from typing import Any

from django import forms

from apps.core.formatting import format_number
from apps.datasets.models import Version, VersionState
from apps.evaluations.models import Suite, SuiteKind
from apps.evaluations.selectors.recordings import finished_recordings
from apps.evaluations.selectors.tools import tools_note
from apps.evaluations.services.planning import Wish
from apps.evaluations.services.suites import general_suite_path
from apps.projects.models import Project
from apps.registry.models import ModelVersion, Variant

SHIPPED = "shipped"
MOST_EXAMPLES = 32


class ModelChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """With number and place: a model that is made anew has the name of the one that it replaces."""

    def label_from_instance(self, obj: ModelVersion) -> str:
        connection = obj.base_model.connection
        where = f"at {connection}" if connection is not None else f"from {obj.base_model}"
        return f"{obj.name} (model {obj.number}, {where})"


class ComparisonForm(forms.Form):
    """A new comparison with defaults that a careful team would choose."""

    model_version = ModelChoice(ModelVersion.objects.none(), label="Fine-tuned model", empty_label=None)
    suite = forms.ChoiceField(
        label="Held-out items",
        help_text="Items that the model has never seen. The first use of a test split freezes it as a suite.",
    )
    recorded = forms.ChoiceField(
        label="The model that it replaces",
        required=False,
        help_text="What an earlier tuned model answered to the same items. It is not asked again, so it may be gone.",
    )
    zero_shot = forms.BooleanField(label="The base model as it is", required=False, initial=True)
    written_prompt = forms.CharField(
        label="Best prompt",
        required=False,
        max_length=20_000,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "true"}),
        help_text="The best system prompt you can write for the base model; it replaces the items' own. Tune it on"
        " the validation split, not on these items.",
    )
    few_shot = forms.IntegerField(
        label="Few-shot examples",
        min_value=0,
        max_value=MOST_EXAMPLES,
        initial=4,
        help_text="Taken from the training split, covering different answers. 0 leaves this baseline out.",
    )
    few_shot_with_prompt = forms.BooleanField(
        label="Show the examples below the best prompt", required=False, initial=True
    )
    general_suite = forms.ChoiceField(
        label="General skills",
        required=False,
        help_text="What the model could do before, which narrow tuning often costs. Asked before and after tuning.",
    )
    smallest_gain = forms.FloatField(
        label="Smallest gain worth having",
        min_value=0.1,
        max_value=50,
        initial=2,
        help_text="Below it, the upkeep of a tuned model does not pay. Decide before you look.",
        widget=forms.NumberInput(attrs={"step": "0.1"}),
    )
    general_margin = forms.FloatField(
        label="Largest loss of general skill accepted",
        min_value=0.1,
        max_value=50,
        initial=3,
        widget=forms.NumberInput(attrs={"step": "0.1"}),
    )
    name = forms.CharField(label="Name", required=False, max_length=160)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        models = ModelVersion.objects.filter(project=project).select_related("base_model__connection")
        self._suites = {str(suite.pk): suite for suite in Suite.objects.filter(project=project)}
        self._versions = {str(version.pk): version for version in _testable(project)}
        field = self.fields["model_version"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self._models = models
        self._offer("suite", self._task_choices())
        self._offer("general_suite", self._general_choices())
        self._runs = {str(run.pk): run for run in finished_recordings(project)}
        self._offer("recorded", self._recorded_choices())
        self.fields["written_prompt"].initial = earlier_prompt(project)

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        field.initial = choices[0][0] if choices else ""

    def _asks_for(self, name: str, choice: str) -> bool:
        """Whether this was chosen in a page that was opened before somebody else froze the suite: it still means it."""
        return self.is_bound and self.data.get(name) == choice

    def _task_choices(self) -> list[tuple[str, str]]:
        frozen = {suite.version_id for suite in self._suites.values() if suite.split == "test"}
        choices = [
            (f"suite:{suite.pk}", f"{suite.name} ({format_number(suite.item_count)} items)")
            for suite in self._suites.values()
            if suite.kind == SuiteKind.TASK
        ]
        return choices + [
            (f"version:{version.pk}", f"{version}, test split ({format_number(version.test_count)} items)")
            for version in self._versions.values()
            if version.pk not in frozen or self._asks_for("suite", f"version:{version.pk}")
        ]

    def _general_choices(self) -> list[tuple[str, str]]:
        choices = [
            (f"suite:{suite.pk}", f"{suite.name} ({format_number(suite.item_count)} items)")
            for suite in self._suites.values()
            if suite.kind == SuiteKind.GENERAL
        ]
        if (not choices or self._asks_for("general_suite", SHIPPED)) and general_suite_path().is_file():
            choices.append((SHIPPED, "General skills (ships with ftportal)"))
        return [*choices, ("", "Do not measure")]

    def _recorded_choices(self) -> list[tuple[str, str]]:
        return [("", "None")] + [
            (key, f"{run.variant.name}: {format_number(run.answered)} answers to {run.suite.name}")
            for key, run in self._runs.items()
        ]

    def counts(self) -> dict[str, int | None]:
        """Items and calls that the choices so far would mean, valid or not; None where nothing is chosen."""

        def chosen(name: str) -> Any:
            return self[name].value()

        baselines = bool(chosen("zero_shot")) + bool(str(chosen("written_prompt") or "").strip())
        baselines += str(chosen("few_shot") or "0").strip() not in ("", "0")
        items = self._item_count(str(chosen("suite") or ""))
        general = self._item_count(str(chosen("general_suite") or "")) or 0
        return {
            "items": items,
            "general_items": general,
            "contenders": baselines + 1 + (str(chosen("recorded") or "") in self._runs),
            "calls": items * (baselines + 1) + 2 * general if items is not None else None,
        }

    def tools_note(self) -> str:
        """What the chosen model would not read of the chosen items; empty where nothing is chosen, or lost."""
        kind, _, key = str(self["suite"].value() or "").partition(":")
        chosen = str(self["model_version"].value() or "")
        model = next((one for one in self._models if str(one.pk) == chosen), None)
        if model is None:
            return ""
        return tools_note(
            model.base_model,
            suite=self._suites.get(key) if kind == "suite" else None,
            version=self._versions.get(key) if kind == "version" else None,
        )

    def _item_count(self, choice: str) -> int | None:
        kind, _, key = choice.partition(":")
        if kind == "suite" and key in self._suites:
            return self._suites[key].item_count
        if kind == "version" and key in self._versions:
            return self._versions[key].test_count
        if choice == SHIPPED and general_suite_path().is_file():
            with general_suite_path().open("rb") as lines:
                return sum(1 for line in lines if line.strip())
        return None

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        run = self._runs.get(values.get("recorded") or "")
        if run is not None and run.variant.model_version == values.get("model_version"):
            self.add_error("recorded", "These are the answers of the same model. Choose the one before it.")
        if run is not None and values.get("suite") != f"suite:{run.suite_id}":
            self.add_error(
                "recorded", f"They were recorded on “{run.suite.name}”: choose these held-out items above."
            )
        prompted = values.get("zero_shot") or values.get("written_prompt") or values.get("few_shot")
        if run is None and not prompted:
            raise forms.ValidationError(
                "Without a baseline nothing is compared. Keep the base model as it is, or write a prompt."
            )
        return values

    def wish(self) -> Wish:
        """The choices as the service takes them; only after `is_valid`."""
        values = self.cleaned_data
        kind, _, key = values["suite"].partition(":")
        general = values["general_suite"]
        return Wish(
            model_version=values["model_version"],
            suite=self._suites[key] if kind == "suite" else None,
            version=self._versions[key] if kind == "version" else None,
            recorded=self._runs.get(values["recorded"]),
            zero_shot=values["zero_shot"],
            written_prompt=values["written_prompt"],
            few_shot=values["few_shot"],
            few_shot_with_prompt=values["few_shot_with_prompt"],
            general_suite=self._suites[general.partition(":")[2]] if general.startswith("suite:") else None,
            add_general_suite=general == SHIPPED,
            smallest_gain=values["smallest_gain"] / 100,
            general_margin=values["general_margin"] / 100,
            name=values["name"],
        )


class RecordingForm(forms.Form):
    """What a tuned model shall be asked, to have its answers when it is gone."""

    model_version = ModelChoice(ModelVersion.objects.none(), label="Fine-tuned model", empty_label=None)
    suite = forms.ChoiceField(
        label="Held-out items",
        help_text="Items that it has never seen. The first use of a test split freezes it as a suite.",
    )
    knows_trained_on = forms.BooleanField(
        label="I know that it was trained on some of these items, and looks better on them than it is",
        required=False,
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._suites = {
            str(suite.pk): suite for suite in Suite.objects.filter(project=project, kind=SuiteKind.TASK)
        }
        frozen = {suite.version_id for suite in self._suites.values() if suite.split == "test"}
        self._versions = {str(each.pk): each for each in _testable(project) if each.pk not in frozen}
        models = self.fields["model_version"]
        assert isinstance(models, forms.ModelChoiceField)
        models.queryset = ModelVersion.objects.filter(project=project).select_related(
            "base_model__connection"
        )
        suites = self.fields["suite"]
        assert isinstance(suites, forms.ChoiceField)
        suites.choices = [
            (f"suite:{key}", f"{suite.name} ({format_number(suite.item_count)} items)")
            for key, suite in self._suites.items()
        ] + [
            (f"version:{key}", f"{version}, test split ({format_number(version.test_count)} items)")
            for key, version in self._versions.items()
        ]

    @property
    def has_items(self) -> bool:
        return bool(self._suites or self._versions)

    def chosen(self) -> tuple[Suite | None, Version | None]:
        """The suite, or the version whose test split becomes one; only after `is_valid`."""
        kind, _, key = self.cleaned_data["suite"].partition(":")
        return (self._suites[key], None) if kind == "suite" else (None, self._versions[key])


class SuiteUploadForm(forms.Form):
    """A file of test items."""

    name = forms.CharField(max_length=120)
    kind = forms.ChoiceField(
        choices=[
            (SuiteKind.GENERAL, "General skills: what the model should not forget"),
            (SuiteKind.TASK, "The task: what the model is tuned for"),
        ],
        widget=forms.RadioSelect,
        initial=SuiteKind.GENERAL,
    )
    file = forms.FileField(
        help_text='JSON lines: {"messages": […], "expected": "…", "skill": "…"}; the skill may be left out.'
    )


def _testable(project: Project) -> list[Version]:
    return list(
        Version.objects.filter(dataset__project=project, state=VersionState.FROZEN, test_count__gt=0)
        .select_related("dataset")
        .order_by("-frozen_at")
    )


def earlier_prompt(project: Project) -> str:
    """The prompt last written for a base model in this project."""
    return (
        Variant.objects.filter(project=project, model_version=None)
        .exclude(system_prompt="")
        .order_by("-pk")
        .values_list("system_prompt", flat=True)
        .first()
        or ""
    )
