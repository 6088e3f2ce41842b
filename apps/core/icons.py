"""Outline icons of the one icon set, read from its npm package and inlined as SVG."""

import re
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHAPES = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_FRAME = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'


class IconMissingError(LookupError):
    """The icon set has no icon of this name."""


def icon_directory() -> Path:
    return Path(settings.BASE_DIR) / "node_modules" / "@tabler" / "icons" / "icons" / "outline"


@lru_cache(maxsize=512)
def icon_shapes(name: str) -> SafeString:
    """The inner shapes of an icon, without its <svg> element."""
    if not _NAME.fullmatch(name):
        raise IconMissingError(f"{name!r} is no icon name.")
    try:
        source = (icon_directory() / f"{name}.svg").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise IconMissingError(f"The icon set has no icon {name!r}; see https://tabler.io/icons.") from None
    match = _SHAPES.search(source)
    if match is None:
        raise IconMissingError(f"The file of the icon {name!r} holds no <svg> element.")
    shapes = " ".join(match.group(1).replace(_FRAME, "").split())
    return mark_safe(shapes)  # noqa: S308 - a file of the pinned icon package, never user text


def icons_must_exist() -> bool:
    """Whether a missing icon is an error; a running dashboard leaves it out instead."""
    return bool(getattr(settings, "FTPORTAL_STRICT_ICONS", settings.DEBUG))
