"""Reads of the rows of a filter, to be written to a file."""

from collections.abc import Iterator

from apps.datasets.chat_lines import chat_line, made_payload
from apps.datasets.exports import ExportRow
from apps.datasets.models import Dataset, Example, Version, VersionRow
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import ids_of, rows_of

ROWS_A_READ = 1000


def filtered_export_rows(
    dataset: Dataset, wanted: RowFilter, version: Version | None = None
) -> Iterator[ExportRow]:
    """The rows that fit, in order: of a version with their positions and splits, else with their keys and the splits
    that their source gave them. Of every row its id is in memory, of a thousand at a time what they say."""
    ids = ids_of(rows_of(dataset, wanted, version))
    for start in range(0, len(ids), ROWS_A_READ):
        part = list(ids[start : start + ROWS_A_READ])
        places = _places(version, part) if version else {}
        rows = Example.objects.filter(pk__in=part).annotate(made=made_payload())
        found = {}
        for pk, key, given, raw, made in rows.values_list("pk", "key", "split", "raw", "made"):
            position, split = places.get(pk, (key, given))
            found[pk] = ExportRow(position, split, chat_line(raw, made))
        yield from (found[pk] for pk in part if pk in found)


def _places(version: Version, ids: list[int]) -> dict[int, tuple[int, str]]:
    rows = VersionRow.objects.filter(version=version, example__in=ids)
    return {pk: (position, split) for pk, position, split in rows.values_list("example", "position", "split")}
