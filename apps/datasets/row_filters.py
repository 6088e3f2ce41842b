"""Which rows of a dataset somebody wants to see or to change: a filter that lives in the URL.

Only what is named here can be asked for; a filter never reaches a column by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from apps.core.formatting import format_number
from apps.datasets.search import text_query
from apps.datasets.splits import SPLITS

NO_SPLIT = "none"
ROWS_SELECTED = 500
TAG_CHARACTERS = 40
ANSWER_CHARACTERS = 2000
FINDING_CHARACTERS = 40


def number_of(value: object) -> int | None:
    """A whole number from a URL; None for anything else."""
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True)
class Condition:
    """One part of a filter as a person reads it, and the filter's URL without it."""

    text: str
    query_without: str


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    words: str = ""
    split: str = ""
    """A split given by the source; `NO_SPLIT`: rows that came without one."""
    answer: str = ""
    shortest: int | None = None
    longest: int | None = None
    """In characters of all messages."""
    source: int | None = None
    tag: str = ""
    removed: bool = False
    rows: tuple[int, ...] = ()
    """Keys of rows that were picked one by one."""
    finding: str = ""
    """The code of a finding in the newest report of the checks."""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "RowFilter":
        """From the URL. What makes no sense is left out."""
        split = str(parameters.get("split") or "")
        many = parameters.getlist("row") if hasattr(parameters, "getlist") else parameters.get("row", ())
        picked = [number_of(value) for value in many]
        return cls(
            words=str(parameters.get("q") or "").strip(),
            split=split if split in (*SPLITS, NO_SPLIT) else "",
            answer=str(parameters.get("answer") or "").strip().replace("\x00", "")[:ANSWER_CHARACTERS],
            shortest=number_of(parameters.get("min")),
            longest=number_of(parameters.get("max")),
            source=number_of(parameters.get("source")),
            tag=str(parameters.get("tag") or "").strip().replace("\x00", "")[:TAG_CHARACTERS],
            removed=parameters.get("state") == "removed",
            finding=str(parameters.get("finding") or "").strip().replace("\x00", "")[:FINDING_CHARACTERS],
            rows=tuple(key for key in picked[:ROWS_SELECTED] if key is not None),
        )

    @property
    def query(self) -> str:
        """The filter as the query of a URL."""
        pairs: list[tuple[str, object]] = [
            ("q", self.words),
            ("split", self.split),
            ("answer", self.answer),
            ("min", self.shortest),
            ("max", self.longest),
            ("source", self.source),
            ("tag", self.tag),
            ("state", "removed" if self.removed else ""),
            ("finding", self.finding),
            *(("row", key) for key in self.rows),
        ]
        return urlencode([(name, value) for name, value in pairs if value not in ("", None)])

    @property
    def text_query(self) -> str:
        return text_query(self.words)

    @property
    def is_active(self) -> bool:
        """Whether it leaves anything out of what stands in the dataset."""
        return bool(self.query)

    def conditions(self, source_name: str = "", finding_title: str = "") -> list[Condition]:
        """What it asks for, part by part."""
        found = []

        def part(text: str, **without: Any) -> None:
            found.append(Condition(text, replace(self, **without).query))

        if self.words:
            part(f"words: {self.words}", words="")
        if self.split:
            name = "no split given" if self.split == NO_SPLIT else f"given as {self.split}"
            part(name, split="")
        if self.answer:
            part(f"answer: {self.answer[:60]}", answer="")
        if self.shortest is not None:
            part(f"at least {format_number(self.shortest)} characters", shortest=None)
        if self.longest is not None:
            part(f"at most {format_number(self.longest)} characters", longest=None)
        if self.source is not None:
            part(f"from {source_name or f'import {self.source}'}", source=None)
        if self.tag:
            part(f"tag: {self.tag}", tag="")
        if self.finding:
            part(f"found: {finding_title or self.finding}", finding="")
        if self.removed:
            part("removed rows", removed=False)
        if self.rows:
            part(f"{len(self.rows)} picked row{'' if len(self.rows) == 1 else 's'}", rows=())
        return found

    @property
    def description(self) -> str:
        """In one line, for the record."""
        return ", ".join(condition.text for condition in self.conditions()) or "all rows"


FILTER_PARAMETERS = ("q", "split", "answer", "min", "max", "source", "tag", "state", "finding", "row")
assert len(FILTER_PARAMETERS) == len(fields(RowFilter))
