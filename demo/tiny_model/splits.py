"""The demo's split of the tickets: whole wordings go to training, validation or test, so that no sentence is shared."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
TICKETS = Path(__file__).parents[1] / "support_tickets" / "tickets.jsonl"


@dataclass(frozen=True)
class Splits:
    train: list[Row]
    validation: list[Row]
    test: list[Row]


def load(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_wording(seed: int = 0, *, validation: float = 0.12, test: float = 0.15) -> Splits:
    """Shares are of the wordings of each category; exact duplicates are left out."""
    rows = [row for row in load(TICKETS) if not row["metadata"]["duplicate"]]
    rng = random.Random(seed)
    place: dict[str, str] = {}
    for category in sorted({row["metadata"]["category"] for row in rows}):
        own = sorted({r["metadata"]["wording"] for r in rows if r["metadata"]["category"] == category})
        rng.shuffle(own)
        for i, wording in enumerate(own):
            at = i / len(own)
            place[wording] = "test" if at < test else "validation" if at < test + validation else "train"
    parts: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        parts[place[row["metadata"]["wording"]]].append(row)
    return Splits(**parts)
