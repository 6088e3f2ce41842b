"""One row of a file, as a reader hands it on."""

from dataclasses import dataclass
from typing import Any

from apps.datasets.problems import RowProblem

UNREAD: Any = object()
"""The value of a record whose `raw` is JSON that nobody has decoded yet."""


class FileError(Exception):
    """The file, or the rest of it, can't be read; `problem` is the sentence for the person."""

    def __init__(self, problem: RowProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class Record:
    """A row that was cut out of the file, good or bad."""

    number: int
    """The line it begins at; in formats without lines its place among the rows: 1, 2, …"""
    raw: bytes
    """As received. JSON that was spread over several lines is joined to one; of a row over the limit, its beginning."""
    last: int
    """The line it ends at, or `number`."""
    end: int
    """How many bytes of the stored file were needed so far; in plain JSON lines exactly where the row ends."""
    value: Any = UNREAD
    """The columns of a row of CSV or Parquet."""
    offset: int | None = None
    """Where it begins, in bytes of the unpacked file, in formats that have such places."""
    length: int = 0
    problem: RowProblem | None = None
    """Why it could not be read, whatever its columns mean."""
    is_empty: bool = False
    over_limit: bool = False
    section: str = ""
    """The key under which a JSON file holds it: {"train": [row, …]}."""
    split: str = ""
    """The split that an export says it is in."""
