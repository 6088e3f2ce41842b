"""The tags and filters of every page. docs/design-system.md shows each with an example to copy.

Filters print None as "unknown": a missing figure is never shown as a zero.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.core import formatting
from apps.core.chat import ChatMessage, chat_message
from apps.core.fields import FieldDisplay, field_display
from apps.core.icons import IconMissingError, icon_shapes, icons_must_exist
from apps.core.tones import state_tone
from apps.core.whiskers import whiskers as whisker_positions
from apps.core.word_difference import Segment
from apps.core.word_difference import word_difference as compare_words

register = template.Library()

UNKNOWN = mark_safe('<span class="text-unknown">unknown</span>')


# --- Icons, times, numbers ----------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, *, label: str = "", css: str = "") -> SafeString:
    """An icon beside text; with `label` it stands alone and is announced."""
    try:
        shapes = icon_shapes(name)
    except IconMissingError:
        if icons_must_exist():
            raise
        return SafeString("")
    role = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon {}" {} width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">{}</svg>',
        css,
        role,
        shapes,
    )


@register.simple_tag
def time_ago(value: datetime | None) -> SafeString:
    """Relative, with the exact time on hover."""
    if value is None:
        return UNKNOWN
    local = timezone.localtime(value)
    return format_html(
        '<time class="text-nowrap" datetime="{}" title="{}">{}</time>',
        value.isoformat(timespec="seconds"),
        f"{local.day} {local:%b %Y, %H:%M:%S %Z}",
        formatting.format_time_ago(local, timezone.localtime()),
    )


def _unless_unknown(value: Any, show: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None or value == "" else show(value)


@register.filter
def points(value: Any, digits: int = 1) -> str:
    """A difference of shares as percentage points: 0.072 -> +7.2."""
    return _unless_unknown(value, lambda known: formatting.format_points(known, digits))


@register.filter
def percent(value: Any, digits: int = 1) -> str:
    """A share in 0..1: 0.84 -> 84.0 %."""
    return _unless_unknown(value, lambda known: formatting.format_percent(known, digits))


@register.filter
def number(value: Any, digits: int | None = None) -> str:
    """12345 -> 12 345."""
    return _unless_unknown(value, lambda known: formatting.format_number(known, digits))


@register.filter
def money(value: Any, currency: str) -> str:
    """1234.5 with "EUR" -> 1 234.50 EUR."""
    return _unless_unknown(value, lambda known: formatting.format_money(known, currency))


@register.filter(name="bytes")
def byte_count(value: Any) -> str:
    """1500000 -> 1.5 MB."""
    return _unless_unknown(value, formatting.format_bytes)


@register.filter
def duration(value: float | Decimal | timedelta | None) -> str:
    """Seconds: 72 -> 1 min 12 s."""
    return _unless_unknown(value, formatting.format_duration)


@register.filter
def short_id(value: object) -> str:
    return _unless_unknown(value, lambda known: formatting.shorten(known, 8))


@register.filter
def short_hash(value: object) -> str:
    return _unless_unknown(value, lambda known: formatting.shorten(known, 12))


@register.filter
def unknown(value: Any) -> Any:
    """The value itself, or a muted "unknown" for None and the empty string."""
    return UNKNOWN if value is None or value == "" else value


# --- Small parts --------------------------------------------------------------------------------------------------


@register.inclusion_tag("components/copy_button.html")
def copy_button(value: object, *, label: str = "Copy", text: str = "") -> dict[str, object]:
    """Copies `value`. With `text` the button shows words, else only its icon."""
    return {"value": str(value), "label": label, "text": text}


@register.inclusion_tag("components/identifier.html")
def identifier(value: object, *, length: int = 12, label: str = "Copy identifier") -> dict[str, object]:
    """A short identifier or hash, whole on hover, with its copy button."""
    known = None if value is None or value == "" else str(value)
    return {"value": known, "short": formatting.shorten(known or "", length), "label": label}


@register.simple_tag
def key(*names: str) -> SafeString:
    """A key hint; several keys are pressed together."""
    return format_html_join("+", "<kbd>{}</kbd>", ((name,) for name in names))


@register.inclusion_tag("components/status_badge.html")
def status_badge(state: object, *, label: object = "", tone: str = "") -> dict[str, object]:
    """The state of a thing as a dot and a word. The tone follows from the state unless given."""
    text = str(label) or str(getattr(state, "label", state)).replace("_", " ").capitalize()
    return {"tone": tone or state_tone(str(state)), "label": text}


@register.inclusion_tag("components/stat.html")
def stat(
    label: str, value: object, *, unit: str = "", hint: object = "", tone: str = "", url: str = ""
) -> dict[str, object]:
    """One figure with its name, unit and spread or context."""
    shown = UNKNOWN if value is None or value == "" else value
    return {"label": label, "value": shown, "unit": unit, "hint": hint, "tone": tone, "url": url}


@register.inclusion_tag("components/alert.html")
def alert(
    tone: str, title: object, *, why: object = "", action: object = "", url: str = "", link: str = ""
) -> dict[str, object]:
    """What happened, why, what to do. Tones: info, done, attention, failed."""
    return {"tone": tone, "title": title, "why": why, "action": action, "url": url, "link": link}


@register.simple_block_tag
def callout(content: str, *, tone: str = "info", title: str = "") -> SafeString:
    """An alert around any content."""
    return render_to_string("components/alert.html", {"tone": tone, "title": title, "content": content})


@register.simple_block_tag
def verdict(content: str, *, title: str, tone: str = "info", label: str = "Verdict") -> SafeString:
    """The answer of a page in one sentence, before its evidence."""
    context = {"content": content, "title": title, "tone": tone, "label": label}
    return render_to_string("components/verdict.html", context)


# --- Larger parts -------------------------------------------------------------------------------------------------


@register.inclusion_tag("components/empty_state.html")
def empty_state(
    *,
    icon: str,
    title: str,
    text: object = "",
    action_url: str = "",
    action_label: str = "",
    sample_url: str = "",
    sample_label: str = "Download a sample file",
) -> dict[str, object]:
    """What this is and the one next step."""
    return dict(locals())


@register.inclusion_tag("components/progress.html")
def progress(
    done: int | None,
    total: int | None,
    *,
    label: str = "Progress",
    tone: str = "working",
    value_text: str = "",
) -> dict[str, object]:
    """A bar; without a known total it is indeterminate."""
    share = min(1.0, done / total) if total and done is not None else None
    return {
        "percent": None if share is None else round(100 * share, 1),
        "label": label,
        "tone": tone,
        "value_text": value_text,
    }


@register.inclusion_tag("components/operation_progress.html", takes_context=True)
def operation_progress(context: template.Context, operation: Any, *, cancel_url: str = "") -> dict[str, Any]:
    """Background work: what, done/total, rate, time left, a cancel that works. Takes an Operation or its like."""
    return {
        "operation": operation,
        "cancel_url": cancel_url,
        "tone": state_tone(operation.state),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("components/pager.html")
def pager(page: Any, *, newer: str = "Newer", older: str = "Older", target: str = "") -> dict[str, Any]:
    """The links of a keyset page. With `target` (a selector) htmx swaps only that part; the URL always follows."""
    return {"page": page, "newer": newer, "older": older, "target": target}


@register.inclusion_tag("components/tabs.html")
def tabs(items: Iterable[Mapping[str, Any]], *, label: str) -> dict[str, Any]:
    """Links that look like tabs: each {label, url, current, count (optional)}."""
    return {"items": items, "label": label}


@register.simple_block_tag(takes_context=True)
def confirm_dialog(
    context: template.Context,
    content: str,
    *,
    id: str,
    title: str,
    action_url: str,
    verb: str,
    cancel: str = "Keep it",
) -> SafeString:
    """Asks before a destructive action; the content says what will be lost. Open it with {% confirm_button id %}."""
    return render_to_string(
        "components/confirm_dialog.html",
        {
            "id": id,
            "title": title,
            "action_url": action_url,
            "verb": verb,
            "cancel": cancel,
            "content": content,
            "csrf_token": context.get("csrf_token"),
        },
    )


@register.inclusion_tag("components/confirm_button.html")
def confirm_button(dialog: str, label: str, *, icon: str = "trash", css: str = "btn") -> dict[str, str]:
    return {"dialog": dialog, "label": label, "icon": icon, "css": css}


@register.inclusion_tag("components/field.html")
def field(bound: Any, *, prefix: str = "", suffix: str = "", label: str = "") -> dict[str, FieldDisplay]:
    """One form field: label, control, help and errors tied together. `suffix` is the unit."""
    return {"field": field_display(bound, prefix=prefix, suffix=suffix, label=label)}


@register.inclusion_tag("components/form_fields.html")
def form_fields(form: Any) -> dict[str, Any]:
    """The errors of the form as a whole, then every field."""
    return {"form": form}


@register.inclusion_tag("components/upload_zone.html")
def upload_zone(
    *,
    name: str = "file",
    accept: str = "",
    max_bytes: int | None = None,
    help: object = "",
    multiple: bool = False,
) -> dict[str, object]:
    """A drop zone inside `<form data-upload enctype="multipart/form-data">`; a plain file input without JavaScript."""
    return dict(locals())


# --- Texts and pictures -------------------------------------------------------------------------------------------


@register.inclusion_tag("components/word_difference.html")
def word_difference(
    before: object, after: object, *, side: str = "after"
) -> dict[str, Sequence[Segment] | str]:
    """One side of two texts with the words marked that the other side lacks."""
    if side not in ("before", "after"):
        raise template.TemplateSyntaxError(f"side is 'before' or 'after', not {side!r}.")
    absent = "insert" if side == "before" else "delete"
    segments = compare_words(str(before or ""), str(after or ""))
    return {"segments": [segment for segment in segments if segment.op != absent], "side": side}


@register.inclusion_tag("components/whiskers.html")
def whiskers(
    low: float | None,
    point: float | None,
    high: float | None,
    *,
    minimum: float = 0.0,
    maximum: float = 1.0,
    reference: float | None = None,
    text: str = "",
) -> dict[str, object]:
    """An estimate with its interval on the scale minimum..maximum; `text` says the same in words."""
    if low is None or point is None or high is None:
        return {"positions": None}
    positions = whisker_positions(
        low=low, point=point, high=high, minimum=minimum, maximum=maximum, reference=reference
    )
    return {"positions": positions, "text": text or f"{point:.3g}, interval {low:.3g} to {high:.3g}"}


@register.inclusion_tag("components/chat_messages.html")
def chat_messages(messages: Iterable[Mapping[str, Any]]) -> dict[str, list[ChatMessage]]:
    """A conversation in chat format. Every text is hostile until escaped: it is shown as it is, never as HTML."""
    return {"chat": [chat_message(message) for message in messages]}


@register.inclusion_tag("components/loss_chart.html")
def loss_chart(
    runs: Sequence[Mapping[str, Any]], *, id: str = "loss-chart", stream_url: str = "", csv_url: str = ""
) -> dict[str, Any]:
    """The curves of one run or several: each {name, url, csv_url (optional)}. `url` serves the metrics as JSON."""
    plain = [{"name": run["name"], "url": run["url"], "csv_url": run.get("csv_url", "")} for run in runs]
    return {
        "id": id,
        "runs": plain,
        "runs_json": json.dumps(plain),
        "stream_url": stream_url,
        "csv_url": csv_url,
    }
