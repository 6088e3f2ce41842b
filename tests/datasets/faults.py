"""Rows without a fault, and one or two with each fault that the checks find."""

from typing import Any

from apps.datasets.models import CheckReport, FindingRow
from tests.datasets.conftest import row

LONG = (
    "please send the parcel with the blue lamp to my new address in the old town because I moved there in May"
)
PLAIN = [
    row(f"{verb} the {thing} in {place}", f"{verb} {thing}"[:20].strip())
    for verb in ("find", "mend", "paint")
    for thing in ("table", "window", "bicycle", "garden gate")
    for place in ("the north wing", "our summer house", "room seventeen")
]
FAULTS = [
    row(LONG, "shipping"),
    row(LONG.replace("blue", "green"), "shipping"),
    row("Which plan do I have?", "plan"),
    row("which  plan do I have?", "plan"),
    row("close my account at once", "closing"),
    row("close my account at once", "opening"),
    row("my mail is ada.lovelace@acme.io, write there", "contact"),
    row("charge 4111 1111 1111 1111 for it", "contact"),
    row("is there anything else I should tell", " \u200b"),
]


def examples_in(report: CheckReport, code: str) -> list[set[str]]:
    """The questions of each item of a finding."""
    rows = FindingRow.objects.filter(finding__report=report, finding__code=code, example__isnull=False)
    items: dict[int, set[str]] = {}
    for each in rows.select_related("example"):
        assert each.example is not None
        items.setdefault(each.item, set()).add(each.example.payload["messages"][0]["content"])
    return [items[number] for number in sorted(items)]


def asked(fault: dict[str, Any]) -> str:
    return str(fault["messages"][0]["content"])
