"""How settings and hardware of a training are written."""

from typing import Any

from django import template

from apps.core.templatetags.ui import UNKNOWN
from apps.jobs.forms import shown
from apps.jobs.hyperparameters import label
from apps.jobs.selectors import hardware_of

register = template.Library()


@register.filter
def setting(value: Any) -> str:
    """A hyperparameter as people write it: 0.0001 -> 1e-4."""
    if value is None:
        return "–"
    return shown(value)


@register.filter
def setting_name(name: str) -> str:
    """epochs -> Epochs."""
    return label(name)


@register.filter
def significant(value: float | None) -> str:
    """A figure to three significant digits; its size may be anything: 0.0017919 -> 0.00179."""
    return UNKNOWN if value is None else shown(float(f"{value:.3g}"))


@register.filter
def hardware(environment: dict[str, object]) -> str:
    return hardware_of(environment)
