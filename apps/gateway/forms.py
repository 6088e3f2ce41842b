from typing import Any

from django import forms

from apps.accounts.models import Workspace
from apps.gateway.models import ModelAlias, ServedModel
from apps.registry.models import BaseModel


class AliasForm(forms.Form):
    """Another name for a base model."""

    name = forms.RegexField(
        regex=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        max_length=200,
        label="Name in your code",
        help_text="Such as gpt-4o-mini-2024-07-18. Letters, digits, dots, dashes, underscores and slashes.",
    )
    base_model = forms.ModelChoiceField(
        queryset=BaseModel.objects.none(), label="Base model that answers", empty_label="Choose a base model"
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._workspace = workspace
        field = self.fields["base_model"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = BaseModel.objects.filter(workspace=workspace).order_by("name")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if ServedModel.objects.filter(workspace=self._workspace, name=name).exists():
            raise forms.ValidationError("A tuned model has this name already.")
        if ModelAlias.objects.filter(workspace=self._workspace, name=name).exists():
            raise forms.ValidationError("This name is taken. Remove it below first.")
        return name
