"""The picture of one estimate with its interval on a shared scale, as numbers for a small SVG."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Whiskers:
    """Positions in 0..100 along the width of the picture."""

    low: float
    point: float
    high: float
    reference: float | None
    cut_low: bool
    """The interval goes on below the scale."""
    cut_high: bool


def whiskers(
    *,
    low: float,
    point: float,
    high: float,
    minimum: float,
    maximum: float,
    reference: float | None = None,
) -> Whiskers:
    """Values outside the scale are drawn at its edge and marked as cut."""
    if not minimum < maximum:
        raise ValueError("A scale needs a minimum below its maximum.")
    if not low <= point <= high:
        raise ValueError("An interval needs low <= point <= high.")

    def place(value: float) -> float:
        share = (value - minimum) / (maximum - minimum)
        return round(100 * min(1.0, max(0.0, share)), 2)

    inside = reference is not None and minimum <= reference <= maximum
    return Whiskers(
        low=place(low),
        point=place(point),
        high=place(high),
        reference=place(reference) if inside and reference is not None else None,
        cut_low=low < minimum,
        cut_high=high > maximum,
    )
