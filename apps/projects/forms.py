from decimal import Decimal
from typing import Any

from django import forms

from apps.projects.models import default_base_model


class ProjectForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80)
    goal = forms.CharField(
        label="Goal",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the model should do, and how you will know that it does it well enough.",
    )
    base_model = forms.CharField(
        label="Base model",
        required=False,
        max_length=300,
        help_text="A directory with a Hugging Face model on the server, or a hub id where the hub can be reached."
        " Its tokenizer counts your tokens. Empty: the tiny model that ships with ftportal.",
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["base_model"].widget.attrs["placeholder"] = default_base_model()


class ProjectSettingsForm(ProjectForm):
    """What can be said of a project later on, too."""

    hourly_rate = forms.DecimalField(
        label="An hour of people's time costs",
        required=False,
        min_value=Decimal("0.01"),
        max_digits=10,
        decimal_places=2,
        help_text="Labeling, reviews and decisions are then shown in money as well. Empty: unknown, not free.",
    )
    currency = forms.RegexField(
        r"^[A-Za-z]{3}$",
        label="Currency",
        required=False,
        help_text="Three letters: EUR, USD, …",
        error_messages={"invalid": "A currency is named by three letters, such as EUR."},
    )

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        rate, currency = data.get("hourly_rate"), data.get("currency")
        if rate is not None and not currency and "currency" not in self.errors:
            self.add_error("currency", "Say in which currency the hour is paid.")
        if rate is None and currency and "hourly_rate" not in self.errors:
            self.add_error("hourly_rate", "Say what an hour costs, or leave the currency empty as well.")
        return data
