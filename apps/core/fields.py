"""How a form field is drawn: which control, which classes, which texts belong to it."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.utils.safestring import SafeString


@dataclass(frozen=True)
class FieldDisplay:
    bound: BoundField
    kind: str
    """hidden, checkbox, choices, or input (with its label above)."""
    label: str
    control: SafeString
    choices: list[Any]
    prefix: str
    suffix: str
    optional: bool


def _kind(widget: forms.Widget) -> str:
    if widget.is_hidden:
        return "hidden"
    if isinstance(widget, forms.CheckboxInput):
        return "checkbox"
    if isinstance(widget, forms.RadioSelect):  # CheckboxSelectMultiple is one, too
        return "choices"
    return "input"


def _control_class(widget: forms.Widget, kind: str) -> str:
    if kind in ("checkbox", "choices"):
        return "form-check-input"
    return "form-select" if isinstance(widget, forms.Select) else "form-control"


def field_display(bound: BoundField, *, prefix: str = "", suffix: str = "", label: str = "") -> FieldDisplay:
    widget = bound.field.widget
    kind = _kind(widget)
    classes = [str(widget.attrs.get("class", "")), _control_class(widget, kind)]
    if bound.errors:
        classes.append("is-invalid")
    css = " ".join(filter(None, classes))
    choices: list[Any] = []
    if kind == "choices":
        for choice in bound.subwidgets:
            choice.data["attrs"]["class"] = css
            choices.append(choice)
    return FieldDisplay(
        bound=bound,
        kind=kind,
        label=label or str(bound.label),
        control=SafeString("") if kind == "choices" else bound.as_widget(attrs={"class": css}),
        choices=choices,
        prefix=prefix,
        suffix=suffix,
        optional=not bound.field.required and kind not in ("checkbox", "hidden"),
    )
