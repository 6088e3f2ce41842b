"""The manifest of a version: what is in it, in which order and in which split. Its SHA-256 is the version's identity.

One line of canonical JSON a row, each ended by LF:

    {"content":"…","position":1,"raw":"…","split":"train"}

`content` is the SHA-256 of the canonical JSON of the messages (of a preference pair with the rejected answer). `raw` is
that of the row as a line of chat: the line as received, or where a row of another shape was received, as from CSV, the
canonical JSON of what was made of it. It is the hash of the row's line in every export of chat rows.

The same file, frozen with the same seed and shares, has the same manifest on every machine:
`sha256sum manifest.jsonl` prints the version's hash.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apps.core.canonical import canonical_json


class ManifestRow(NamedTuple):
    position: int
    content_hash: str
    raw_hash: str
    split: str


def manifest_lines(rows: Iterable[ManifestRow]) -> Iterator[bytes]:
    """The lines of the manifest, line ends included, for rows in the order of their positions."""
    for row in rows:
        yield (
            canonical_json(
                {
                    "content": row.content_hash,
                    "position": row.position,
                    "raw": row.raw_hash,
                    "split": row.split,
                }
            )
            + b"\n"
        )


def manifest_hash(rows: Iterable[ManifestRow]) -> str:
    """SHA-256 over all lines, in hexadecimal."""
    digest = hashlib.sha256()
    for line in manifest_lines(rows):
        digest.update(line)
    return digest.hexdigest()
