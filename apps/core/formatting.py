"""Numbers, spans of time and identifiers as people read them. Plain text; None is never formatted here.

A group of digits is separated by a narrow no-break space, a number and its unit by a no-break space, so that a
figure never breaks over two lines.
"""

from datetime import datetime, timedelta
from decimal import Decimal

NARROW_SPACE = "\u202f"
SPACE = "\u00a0"
MINUS = "\u2212"

Number = int | float | Decimal


def _sign(text: str) -> str:
    return text.replace("-", MINUS)


def format_number(value: Number, digits: int | None = None) -> str:
    """12345.6 -> "12 345.6". `digits` after the point; without it whole numbers stay whole and others keep up to 4."""
    if digits is None:
        whole = value == int(value)
        text = f"{value:,.0f}" if whole else f"{value:,.4f}".rstrip("0").rstrip(".")
    else:
        text = f"{value:,.{digits}f}"
    return _sign(text.replace(",", NARROW_SPACE))


def format_percent(share: Number, digits: int = 1) -> str:
    """A share in 0..1: 0.84 -> "84.0 %"."""
    return f"{format_number(float(share) * 100, digits)}{SPACE}%"


def format_money(amount: Number, currency: str) -> str:
    """To the cent, with the currency behind: 1234.5, "EUR" -> "1 234.50 EUR"."""
    return f"{format_number(amount, 2)}{SPACE}{currency}"


def format_points(difference: Number, digits: int = 1) -> str:
    """A difference of two shares in percentage points, always signed: 0.072 -> "+7.2"."""
    points = round(float(difference) * 100, digits)
    if points == 0:
        return f"{0:.{digits}f}"
    return _sign(f"{points:+.{digits}f}")


def format_bytes(count: int) -> str:
    """Decimal units, as disks and networks are sold: 1_500_000 -> "1.5 MB"."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(size) < 1000 or unit == "TB":
            break
        size /= 1000
    if unit == "bytes":
        return f"{format_number(count, 0)}{SPACE}{'byte' if count == 1 else 'bytes'}"
    return f"{format_number(size, 0 if size >= 100 else 1)}{SPACE}{unit}"


_SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def format_duration(value: Number | timedelta) -> str:
    """Seconds, in the two largest units that matter: 72 -> "1 min 12 s", 0.42 -> "420 ms"."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    sign = MINUS if seconds < 0 else ""
    seconds = abs(seconds)
    if 0 < seconds < 1:
        milliseconds = seconds * 1000
        text = f"{milliseconds:.0f}" if milliseconds >= 1 else "<1"
        return f"{sign}{text}{SPACE}ms" if text != "1000" else f"{sign}1{SPACE}s"
    if seconds < 9.95:
        return f"{sign}{seconds:.1f}".removesuffix(".0") + f"{SPACE}s"
    rest = round(seconds)
    if rest >= 2 * 86400:
        rest = round(rest / 3600) * 3600
    elif rest >= 3600:
        rest = round(rest / 60) * 60
    parts: list[str] = []
    for unit, length in _SECONDS:
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{SPACE}{unit}")
        if len(parts) == 2:
            break
    kept = [part for part in parts if not part.startswith(f"0{SPACE}")]
    return sign + " ".join(kept)


def format_time_ago(value: datetime, now: datetime) -> str:
    """Relative and short: "just now", "5 min ago", "in 2 h", "3 days ago"; a date after four weeks."""
    seconds = (now - value).total_seconds()
    distance = abs(seconds)
    if distance < 45:
        return "just now" if seconds >= 0 else "in a moment"
    if distance < 3600 - 30:
        text = f"{max(1, round(distance / 60))}{SPACE}min"
    elif distance < 86400 - 1800:
        text = f"{round(distance / 3600)}{SPACE}h"
    elif distance < 28 * 86400:
        days = round(distance / 86400)
        text = f"{days}{SPACE}{'day' if days == 1 else 'days'}"
    else:
        same_year = value.year == now.year
        return f"{value.day}{SPACE}{value:%b}" + ("" if same_year else f"{SPACE}{value.year}")
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def shorten(value: object, length: int = 8) -> str:
    """The first characters of an identifier or hash; short ones stay whole."""
    text = str(value)
    return text if len(text) <= length + 1 else text[:length]
