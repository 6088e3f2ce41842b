"""Files to import: slices of the demo's tickets, and the ways in which files go wrong."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "demo"
TICKETS = DEMO / "support_tickets" / "tickets.jsonl"
SKILLS = DEMO / "general_skills" / "general_skills.jsonl"


def distinct_tickets(count: int) -> list[bytes]:
    """The first tickets whose conversations are all different."""
    seen: set[str] = set()
    found: list[bytes] = []
    for line in TICKETS.read_bytes().splitlines():
        messages = json.dumps(json.loads(line)["messages"], sort_keys=True)
        if messages not in seen:
            seen.add(messages)
            found.append(line)
        if len(found) == count:
            return found
    raise AssertionError(f"the demo has only {len(found)} distinct tickets")


def jsonl(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def general_items(count: int) -> bytes:
    """The first items of every skill in turn, so that a small suite still has several skills."""
    by_skill: dict[str, list[bytes]] = {}
    for line in SKILLS.read_bytes().splitlines():
        by_skill.setdefault(json.loads(line)["skill"], []).append(line)
    mixed: Iterator[bytes] = itertools.chain.from_iterable(zip(*by_skill.values(), strict=False))
    return jsonl(list(itertools.islice(mixed, count)))


def row(*messages: tuple[str, object], **more: object) -> bytes:
    """A row with these (role, content) messages."""
    spoken = [{"role": role, "content": content} for role, content in messages]
    return json.dumps({"messages": spoken, **more}).encode()


def many_rows(count: int) -> bytes:
    """Different, valid, short rows."""
    return jsonl(
        [
            row(("user", f"Ticket number {n}, please sort."), ("assistant", f"queue {n % 7}"))
            for n in range(count)
        ]
    )
