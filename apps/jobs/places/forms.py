"""What the page that compares providers is asked for: all of it in the URL, and anything odd takes its default."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import QuerySet

from apps.datasets.models import Version
from apps.jobs.forms import VersionChoice
from apps.jobs.models import Objective
from apps.providers.contracts import Objective as ObjectiveName

USUAL_EPOCHS = 3.0
OBJECTIVES = [(Objective.SUPERVISED, "Supervised"), (Objective.DPO, "DPO, on its pairs")]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to compare for."""

    version: Version
    objective: ObjectiveName
    epochs: float
    search: str

    def choices(self, epochs: float | None = None) -> dict[str, Any]:
        """For the address of the form of a new job."""
        return {
            "version": self.version.pk,
            "objective": self.objective,
            "epochs": f"{self.epochs if epochs is None else epochs:g}",
        }


class PlaceForm(forms.Form):
    version = VersionChoice(queryset=Version.objects.none(), required=False, empty_label=None)
    objective = forms.ChoiceField(choices=OBJECTIVES, required=False)
    epochs = forms.FloatField(min_value=0.1, max_value=50, required=False)
    q = forms.CharField(max_length=100, required=False)

    def __init__(self, data: Any, *, versions: QuerySet[Version], newest: Version) -> None:
        super().__init__({"version": newest.pk, **{name: data[name] for name in data if data[name]}})
        self.newest = newest
        self._versions = self.fields["version"]
        assert isinstance(self._versions, VersionChoice)
        self._versions.queryset = versions

    @property
    def wanted(self) -> Wanted:
        self.is_valid()
        kept = self.cleaned_data
        return Wanted(
            version=kept.get("version") or self.newest,
            objective="dpo" if kept.get("objective") == Objective.DPO else "supervised",
            epochs=kept.get("epochs") or USUAL_EPOCHS,
            search=kept.get("q") or "",
        )

    @property
    def version_choices(self) -> list[tuple[int, str]]:
        """Values and labels, the newest first."""
        field = self._versions
        assert isinstance(field, VersionChoice)
        assert field.queryset is not None
        return [(version.pk, field.label_from_instance(version)) for version in field.queryset[:100]]


class TakeForm(forms.Form):
    """A line of the page whose model is not in the workspace yet."""

    connection = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    reference = forms.CharField(max_length=300)
    version = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    objective = forms.ChoiceField(choices=OBJECTIVES)
    epochs = forms.FloatField(min_value=0.1, max_value=50)

    def choices(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "version": data["version"],
            "objective": data["objective"],
            "epochs": f"{data['epochs']:g}",
        }
