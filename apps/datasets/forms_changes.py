"""What people fill in to change many rows."""

from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet

from apps.datasets.forms import KEEP_CHOICES
from apps.datasets.models import ChangeAction, Dataset
from apps.datasets.row_edits import PLACES
from apps.datasets.row_filters import TAG_CHARACTERS


class BulkForm(forms.Form):
    """What to do with all rows of a filter. Which fields count depends on the action."""

    ACTIONS = (
        (ChangeAction.REPLACE, "Replace a text"),
        (ChangeAction.SET_SYSTEM, "Set the system prompt"),
        (ChangeAction.STRIP_SYSTEM, "Take the system prompt out"),
        (ChangeAction.TAG, "Add a tag"),
        (ChangeAction.UNTAG, "Take a tag off"),
        (ChangeAction.REMOVE, "Remove the rows"),
    )
    FIELDS: ClassVar[dict[str, tuple[str, ...]]] = {
        ChangeAction.REPLACE: ("find", "replacement", "place"),
        ChangeAction.SET_SYSTEM: ("text",),
        ChangeAction.TAG: ("tag",),
        ChangeAction.UNTAG: ("tag",),
    }

    use_required_attribute = False  # a field of another action must not keep the form from being sent
    action = forms.ChoiceField(label="What to do", choices=ACTIONS)
    find = forms.CharField(label="Text", required=False, max_length=2000, strip=False)
    replacement = forms.CharField(
        label="Replace it by",
        required=False,
        max_length=2000,
        strip=False,
        help_text="Left empty, the text is taken out.",
    )
    place = forms.ChoiceField(label="Where", choices=list(PLACES.items()), required=False)
    text = forms.CharField(
        label="System prompt",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="It takes the place of the one that is there.",
    )
    tag = forms.CharField(label="Tag", required=False, max_length=TAG_CHARACTERS)

    def __init__(self, *args: Any, removed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Only what the action needs is asked for; none of it is optional to that action.
        needed = (
            ("find", "text", "tag")
            if not self.is_bound
            else self.FIELDS.get(str(self.data.get("action")), ())
        )
        for name in ("find", "text", "tag"):
            self.fields[name].required = name in needed
        if removed:
            field = self.fields["action"]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(ChangeAction.BRING_BACK, "Bring the rows back")]

    def clean_find(self) -> str:
        return str(self.cleaned_data["find"]).replace("\r\n", "\n")

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")

    def clean_place(self) -> str:
        return self.cleaned_data["place"] or "everywhere"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        same = "find" in cleaned and cleaned["find"] == cleaned.get("replacement")
        if cleaned.get("action") == ChangeAction.REPLACE and same:
            self.add_error("replacement", "This is the text that is there already.")
        return cleaned

    @property
    def parameters(self) -> dict[str, Any]:
        names = self.FIELDS.get(self.cleaned_data["action"], ())
        return {name: self.cleaned_data[name] for name in names}


class MergeForm(forms.Form):
    other = forms.ModelChoiceField(Dataset.objects.none(), label="Rows of", empty_label=None)
    duplicates = forms.ChoiceField(choices=KEEP_CHOICES, initial="drop")

    def __init__(self, *args: Any, others: QuerySet[Dataset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["other"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = others


class FilterNameForm(forms.Form):
    name = forms.CharField(max_length=60)
