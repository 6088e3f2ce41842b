"""Every file that can be made of a frozen version, by name: for the pages and for the API alike."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.datasets.export_folder import export_folder
from apps.datasets.exports import FORMATS
from apps.datasets.manifest import manifest_lines
from apps.datasets.models import Split, Version
from apps.datasets.provider_formats import FEATURES, OTHER, PAIR, PROVIDER_FORMATS, features_of
from apps.datasets.selectors import version_export_rows, version_manifest_rows, version_rows_jsonl
from apps.datasets.selectors_checks import latest_done_report

FOLDER = "dataset"
LINES = "application/x-ndjson"


@dataclass(frozen=True)
class ExportFile:
    name: str
    content_type: str
    content: Iterator[bytes]


def export_kinds() -> list[str]:
    return [FOLDER, *FORMATS, *PROVIDER_FORMATS]


def export_file(version: Version, kind: str, split: str | None = None) -> ExportFile | None:
    """The file of this kind, of one split or of all in the order of the manifest; None: there is no such kind.

    A dataset folder always holds all splits.
    """
    if kind == FOLDER:
        return _folder(version)
    if kind in PROVIDER_FORMATS:
        content = PROVIDER_FORMATS[kind].write(version_export_rows(version, split))
        return ExportFile(_name(version, split, kind, "jsonl"), LINES, content)
    wanted = FORMATS.get(kind)
    if wanted is None:
        return None
    content = wanted.write(version_export_rows(version, split))
    return ExportFile(_name(version, split, kind, wanted.ending), wanted.content_type, content)


def manifest_file(version: Version) -> ExportFile:
    """The manifest, made anew from the stored rows: its SHA-256 is the version's hash."""
    lines = manifest_lines(version_manifest_rows(version))
    return ExportFile(f"{file_stem(version)}-manifest.jsonl", LINES, lines)


def describe_version(version: Version) -> dict[str, Any]:
    """What a version is, for people and programs that get it as a file."""
    assert version.frozen_at is not None
    return {
        "name": version.dataset.name,
        "version": version.number,
        "description": version.dataset.description,
        "licence": version.dataset.licence,
        "note": version.note,
        "rows": version.row_count,
        "splits": {
            "train": version.train_count,
            "validation": version.validation_count,
            "test": version.test_count,
        },
        "seed": version.seed,
        "frozen_at": version.frozen_at.isoformat(timespec="seconds"),
        "manifest_sha256": version.manifest_hash,
        "checks": checks_passed(version),
    }


def checks_passed(version: Version) -> dict[str, Any] | None:
    """What the newest finished report of the version says of each check; None: it was never checked."""
    report = latest_done_report(version.dataset, version)
    if report is None:
        return None
    findings = report.findings.values_list("check_name", "severity", "open_count")
    open_checks = {name for name, severity, left in findings if left and severity != "info"}
    names = [each["name"] for each in report.checks]
    return {
        "finished_at": report.finished_at.isoformat(timespec="seconds") if report.finished_at else "",
        "rows": report.row_count,
        "passed": [name for name in names if name not in open_checks],
        "not_passed": [name for name in names if name in open_checks],
        "open_problems": report.problem_count,
        "open_to_look_at": report.attention_count,
    }


def feature_counts(version: Version, *splits: str) -> Mapping[str, int]:
    """What rows of these splits, or of all, hold that not every format can carry -> rows.

    Of versions frozen before this was counted, it is counted now.
    """
    wanted = splits or Split.values
    counted: dict[str, dict[str, int]] | None = version.statistics.get("features_by_split")
    total: Counter[str] = Counter()
    for split in wanted:
        if counted is None:
            total.update(features_of(row.payload) for row in version_export_rows(version, split))
        else:
            total.update(counted.get(split, {}))
    return total


@dataclass(frozen=True)
class OfferedExport:
    """A line of the page of exports."""

    key: str
    label: str
    note: str
    rows: int
    left_out: int = 0
    dropped: tuple[tuple[str, int], ...] = ()
    whole: bool = False
    """All splits in one file, always."""


_NOTES = {
    "chat": "The rows' lines; what was received as chat byte for byte.",
    "completion": "Lists of messages, with what stands beside them.",
    "preference": "OpenAI's lines for DPO.",
    "csv": "A table for spreadsheets; the whole row as JSON in its last column.",
    "parquet": "Messages with role and content, and the whole line.",
}


def offered_exports(version: Version) -> list[OfferedExport]:
    """Every kind of file, with how many rows and what of them it can't carry."""
    counts = feature_counts(version)
    rows = version.row_count
    pairs = sum(count for joined, count in counts.items() if PAIR in joined.split(","))
    others = sum(count for joined, count in counts.items() if OTHER in joined.split(","))
    found = [
        OfferedExport(
            FOLDER,
            "Dataset folder (Hugging Face, ZIP)",
            "Card, splits, manifest and hashes; imported again and frozen, it has the same manifest hash.",
            rows,
            whole=True,
        )
    ]
    for plain in FORMATS.values():
        is_pairs = plain.key == "preference"
        kept = pairs if is_pairs else rows
        lost: tuple[tuple[str, int], ...] = (
            ((FEATURES[OTHER], others),) if is_pairs and others and pairs else ()
        )
        if kept:
            found.append(OfferedExport(plain.key, plain.label, _NOTES[plain.key], kept, rows - kept, lost))
    for each in PROVIDER_FORMATS.values():
        losses = each.losses(counts)
        if losses.left_out == rows:
            continue
        lost = tuple((FEATURES[feature], count) for feature, count in losses.dropped.items())
        found.append(
            OfferedExport(each.key, each.label, each.note, rows - losses.left_out, losses.left_out, lost)
        )
    return found


def file_stem(version: Version) -> str:
    return name_stem(f"{version.dataset.name} v{version.number}")


def name_stem(name: str) -> str:
    """A name as a file may have it."""
    return name.replace("/", "-").replace(" ", "-")


def _name(version: Version, split: str | None, kind: str, ending: str) -> str:
    return f"{file_stem(version)}-{split or 'all'}-{kind}.{ending}"


def _folder(version: Version) -> ExportFile:
    content = export_folder(
        about=describe_version(version),
        splits={split: version_rows_jsonl(version, split) for split in Split.values},
        manifest=manifest_lines(version_manifest_rows(version)),
    )
    return ExportFile(f"{file_stem(version)}.zip", "application/zip", content)
