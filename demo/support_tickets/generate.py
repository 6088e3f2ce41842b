"""Generates the demo's support tickets, the same bytes for the same seed.

    python -m demo.support_tickets.generate

The tickets are invented. Each is one sentence pattern (its wording) with fresh details, sometimes a second
sentence that says how urgent it is, and the noise of real mail. The answer follows the house rules in
description.md.
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

from demo.tiny_model.grammar import roughen, sentence

HERE = Path(__file__).parent
SEED = 20261122
ROWS = 1_600  # before each category is rounded
DUPLICATES = 10
SHARES = {"money": 0.18, "delivery": 0.17, "passwords": 0.15, "errors": 0.16, "ideas": 0.18, "offers": 0.16}
# Where wishes and strangers' mail can say "urgent", the house does not listen: they stay at `later`.
ALWAYS_LATER = ("ideas", "offers")
# The digit before each pattern in wordings.txt and cues.txt.
PRIORITIES = {"1": "urgent", "2": "normal", "3": "later"}
GREETINGS = (
    "Hello",
    "Hi",
    "Good morning",
    "Dear support",
    "Hi team",
    "Hey there",
    "Good afternoon",
    "Dear team",
)
CLOSINGS = (
    "Thanks, {person}",
    "Best regards, {person}",
    "Regards, {person}",
    "{person}",
    "Thank you",
    "Greetings from {city}",
)


@dataclass(frozen=True)
class Wording:
    id: str
    category: str
    priority: str
    pattern: str


def wordings() -> list[Wording]:
    """The sentence patterns of wordings.txt, numbered within their category."""
    found: list[Wording] = []
    category, number = "", 0
    for line in (HERE / "wordings.txt").read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "#":
            category, number = rest, 0
        else:
            number += 1
            found.append(Wording(f"{category}-{number:02d}", category, PRIORITIES[mark], rest))
    return found


def cues() -> dict[str, list[str]]:
    """Second sentences by the priority that they ask for; those under `neutral` ask for none."""
    by_priority: dict[str, list[str]] = {"urgent": [], "later": [], "neutral": []}
    for line in (HERE / "cues.txt").read_text(encoding="utf-8").splitlines():
        by_priority[PRIORITIES.get(line[0], "neutral")].append(line[2:])
    return by_priority


def ticket_text(rng: random.Random, wording: Wording, cue: str | None) -> str:
    parts = [sentence(rng, wording.pattern)]
    if cue:
        parts.insert(1 if rng.random() < 0.8 else 0, sentence(rng, cue))
    if rng.random() < 0.3:
        parts.insert(0, rng.choice(GREETINGS) + ",")
    if rng.random() < 0.3:
        parts.append(sentence(rng, rng.choice(CLOSINGS)))
    return roughen(rng, " ".join(parts), share=0.25)


def ticket(rng: random.Random, wording: Wording) -> dict[str, object]:
    """One row. A cue for `urgent` or `later` overrules the priority that the matter itself has."""
    kind = rng.choices(("none", "neutral", "urgent", "later"), (0.4, 0.25, 0.2, 0.15))[0]
    cue = None if kind == "none" else rng.choice(cues()[kind])
    priority = (
        kind if kind in ("urgent", "later") and wording.category not in ALWAYS_LATER else wording.priority
    )
    return {
        "messages": [
            {"role": "user", "content": ticket_text(rng, wording, cue)},
            {"role": "assistant", "content": f"category: {wording.category}\npriority: {priority}"},
        ],
        "metadata": {
            "wording": wording.id,
            "category": wording.category,
            "priority": priority,
            "cue": kind,
            "duplicate": False,
        },
    }


def tickets(seed: int = SEED) -> list[dict[str, object]]:
    """All rows in random order; every wording appears, the last ten rows made are exact copies of others."""
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    texts: set[str] = set()
    for category, share in SHARES.items():
        own = [w for w in wordings() if w.category == category]
        wanted, made = round(share * (ROWS - DUPLICATES)), 0
        while made < wanted:
            row = ticket(rng, own[made % len(own)])
            text = row["messages"][0]["content"]  # type: ignore[index]
            if text not in texts:
                texts.add(text)
                rows.append(row)
                made += 1
    for row in rng.sample(rows, DUPLICATES):
        copy = json.loads(json.dumps(row))
        copy["metadata"]["duplicate"] = True
        rows.append(copy)
    rng.shuffle(rows)
    return rows


def as_lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=HERE / "tickets.jsonl")
    arguments = parser.parse_args()
    arguments.output.write_text(as_lines(tickets(arguments.seed)), encoding="utf-8")


if __name__ == "__main__":
    main()
