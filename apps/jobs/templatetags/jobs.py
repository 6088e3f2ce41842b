"""How settings and hardware of a training are written."""

from typing import Any

from django import template

from apps.core.templatetags.ui import UNKNOWN
from apps.jobs.forms import shown
from apps.jobs.selectors import hardware_of

register = template.Library()


@register.filter
def setting(value: Any) -> str:
    """A hyperparameter as people write it: 0.0001 -> 1e-4."""
    if value is None:
        return "–"
    return shown(value)


@register.filter
def known_setting(value: Any) -> str:
    """The same, for a figure that may not be known yet."""
    return UNKNOWN if value is None else shown(value)


@register.filter
def hardware(environment: dict[str, object]) -> str:
    return hardware_of(environment)
