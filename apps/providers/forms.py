"""Forms of connections, made of what a provider declares, and of prices. Stored secrets are never put into a page."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.html import escape

from apps.providers.catalogue import connectable
from apps.providers.connection_settings import LONGEST, SettingError
from apps.providers.models import PriceKind
from apps.providers.prices import SUPERVISED
from apps.providers.remote import Setting

PREFIX, FORGET = "setting-", "forget-"


class ConnectionForm(forms.Form):
    """`stored` are the names of secrets that are kept; without it, the form is for a new connection."""

    name = forms.CharField(
        label="Name", max_length=80, help_text="How your team tells it from others: OpenAI, research account."
    )

    def __init__(
        self, *args: Any, declared: tuple[Setting, ...], stored: frozenset[str] = frozenset(), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.declared = declared
        for setting in declared:
            kept = setting.secret and setting.name in stored
            self.fields[PREFIX + setting.name] = _field(setting, kept)
            if kept and not setting.required:
                self.fields[FORGET + setting.name] = forms.BooleanField(
                    required=False, label=f"Delete the stored {setting.label.lower()}"
                )

    @property
    def settings(self) -> dict[str, str]:
        return self._given(secret=False)

    @property
    def secrets(self) -> dict[str, str]:
        return self._given(secret=True)

    @property
    def forgotten(self) -> list[str]:
        return [each.name for each in self.declared if self.cleaned_data.get(FORGET + each.name)]

    def _given(self, *, secret: bool) -> dict[str, str]:
        return {
            each.name: self.cleaned_data.get(PREFIX + each.name) or ""
            for each in self.declared
            if each.secret == secret
        }

    def add_setting_error(self, error: SettingError) -> None:
        """Under its field, where the form has one."""
        for field in (error.field, PREFIX + error.field):
            if field in self.fields:
                self.add_error(field, error.message)
                return
        self.add_error(None, error.message)

    @staticmethod
    def initial_of(name: str, settings: Mapping[str, str]) -> dict[str, str]:
        return {"name": name} | {PREFIX + key: value for key, value in settings.items()}


def _field(setting: Setting, kept: bool) -> forms.Field:
    help_text: str = escape(setting.help)
    if kept:
        help_text = f"Stored, and shown nowhere. Leave it empty to keep it. {help_text}".strip()
    required = setting.required and not kept and not setting.default
    if setting.choices:
        choices = [(choice, choice) for choice in setting.choices]
        if not setting.required and not setting.default:
            choices.insert(0, ("", "As the provider does it"))
        return forms.ChoiceField(
            label=setting.label,
            choices=choices,
            required=required,
            initial=setting.default,
            help_text=help_text,
        )
    widget: forms.Widget
    if setting.secret:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
    elif setting.is_url:
        widget = forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false", "autocomplete": "off"})
    elif setting.is_text:
        widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"})
    else:
        widget = forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"})
    return forms.CharField(
        label=setting.label,
        required=required,
        max_length=LONGEST,
        initial=setting.default,
        help_text=help_text,
        widget=widget,
    )


WHAT = [
    ("training:supervised", "Training, supervised"),
    ("training:dpo", "Training, DPO"),
    ("input:supervised", "Asking the tuned model: input"),
    ("output:supervised", "Asking the tuned model: output"),
]


class PriceForm(forms.Form):
    """What a workspace pays for one million tokens."""

    provider = forms.ChoiceField(label="Provider")
    model = forms.CharField(
        label="Base model",
        max_length=200,
        help_text="Its name as the provider writes it, or the beginning of names followed by *.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )
    what = forms.ChoiceField(label="For", choices=WHAT)
    amount = forms.DecimalField(
        label="Price of 1 million tokens", min_value=0, max_digits=12, decimal_places=4, localize=False
    )
    currency = forms.RegexField(regex=r"^[A-Za-z]{3}$", label="Currency", initial="USD", max_length=3)
    as_of = forms.DateField(label="As of", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    source = forms.CharField(
        label="Source",
        max_length=300,
        required=False,
        help_text="The page or the contract, so that somebody can look again.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.name, each.label) for each in connectable()]
        self.fields["currency"].error_messages["invalid"] = "Three letters, such as USD or EUR."

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        return currency

    def values(self) -> dict[str, Any]:
        """As `price_set` takes them."""
        kind, _, objective = self.cleaned_data["what"].partition(":")
        kept = {name: value for name, value in self.cleaned_data.items() if name != "what"}
        return kept | {"kind": kind, "objective": objective}


def what_of(kind: str, objective: str) -> str:
    """The choice of the form for a price."""
    return f"{kind}:{objective if kind == PriceKind.TRAINING else SUPERVISED}"


WHAT_LABELS = dict(WHAT)
