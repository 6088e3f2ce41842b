"""A version as a Hugging Face dataset folder in a ZIP, made while it is sent; the same file can be imported again.

README.md              the dataset card: which file is which split, licence, size
data/<split>.jsonl     the rows of a split as lines of chat, in the order of the version
manifest.jsonl         the manifest, whose SHA-256 is the version's hash
export.json            hashes, sizes and rows of the files above, and what the version is
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from apps.datasets.exports import Drained
from apps.datasets.formats.export_reader import MANIFEST, SPLIT_FILES

PIECE = 256 * 1024
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same version gives the same bytes, whenever it is exported."""


def export_folder(
    *, about: dict[str, Any], splits: dict[str, Iterable[bytes]], manifest: Iterable[bytes]
) -> Iterator[bytes]:
    """`about` describes the version; `splits` hold the lines of each split, `manifest` its own, all with line ends."""
    sink = Drained()
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        yield from _member(archive, sink, "README.md", [card(about).encode()], files)
        for split, lines in splits.items():
            yield from _member(archive, sink, SPLIT_FILES[split], lines, files)
        yield from _member(archive, sink, MANIFEST, manifest, files)
        described = json.dumps(about | {"files": files}, ensure_ascii=False, indent=2) + "\n"
        yield from _member(archive, sink, "export.json", [described.encode()], {})
    yield sink.drain()


def _member(
    archive: zipfile.ZipFile,
    sink: Drained,
    name: str,
    lines: Iterable[bytes],
    files: dict[str, dict[str, Any]],
) -> Iterator[bytes]:
    digest, size, count = hashlib.sha256(), 0, 0
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as member:
        block = bytearray()
        for line in lines:
            block += line
            count += 1
            if len(block) >= PIECE:
                member.write(block)
                digest.update(block)
                size += len(block)
                block.clear()
                yield sink.drain()
        member.write(block)
        digest.update(block)
        size += len(block)
    files[name] = {"sha256": digest.hexdigest(), "bytes": size}
    if name.endswith(".jsonl"):
        files[name]["rows"] = count
    yield sink.drain()


def card(about: dict[str, Any]) -> str:
    """The dataset card. Its head is YAML; texts are written as JSON strings, which YAML reads alike."""
    head = ["---", f"pretty_name: {json.dumps(about['name'], ensure_ascii=False)}"]
    if about["licence"]:
        head.append(f"license: {json.dumps(about['licence'], ensure_ascii=False)}")
    head += [
        f"size_categories: [{_size(about['rows'])}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
    ]
    for split, rows in about["splits"].items():
        if rows:
            head += [f"  - split: {split}", f"    path: {SPLIT_FILES[split]}"]
    counts = "\n".join(f"| {split} | {rows} |" for split, rows in about["splits"].items())
    licence = about["licence"] or "not given"
    return "\n".join(
        [
            *head,
            "---",
            "",
            f"# {about['name']}, version {about['version']}",
            "",
            about["description"] or "",
            "",
            "Every row is a conversation in OpenAI's chat format: `messages` with `role` and `content`; the last",
            "message is the answer to learn. Preference pairs hold the refused answer in `rejected`.",
            "",
            "| Split | Rows |",
            "| --- | --- |",
            counts,
            "",
            f"- Licence: {licence}",
            f"- Manifest: SHA-256 `{about['manifest_sha256']}` of `{MANIFEST}`, the identity of the version",
            f"- Frozen: {about['frozen_at']}, seed {about['seed']}",
            f"- Checks: {_checks(about.get('checks'))}",
            "",
        ]
    )


def _checks(checks: dict[str, Any] | None) -> str:
    if checks is None:
        return "not run on this version"
    if not checks["not_passed"]:
        return f"all {len(checks['passed'])} passed or decided"
    count = len(checks["passed"]) + len(checks["not_passed"])
    return f"{len(checks['passed'])} of {count} passed; open: {', '.join(checks['not_passed'])}"


def _size(rows: int) -> str:
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for limit, name in limits if rows < limit), "n>1M")
