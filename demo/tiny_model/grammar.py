"""Sentences from patterns: choices in square brackets, slots in braces, and the noise of real mail.

A wordings file holds concepts. `# name` opens a group, `@` gives its descriptions, `## name` opens a concept of the
group, `=` gives the concept's descriptions, `~` its plain names and each `-` line is one sentence pattern. Alternatives
are separated by `|`. A group without concepts of its own has one level only.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from demo.tiny_model import values

WORDINGS = Path(__file__).parent / "wordings"
CHOICE = re.compile(r"\[([^\[\]]*)\]")
QUESTION = re.compile(
    r"(when|where|what|why|how|which|who|is|are|can|could|do|does|did|will|would|may|have you|has)\b", re.I
)
SLOT = re.compile(r"\{(\w+)\}")
# Every ninth pattern of a concept is kept out of pre-training, so that the general suite can ask about unseen wordings.
HELD_OUT_EVERY, HELD_OUT_AT = 9, 4


@dataclass
class Concept:
    """One thing a message can be about (or one level of an attribute)."""

    name: str
    group: str
    descriptions: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)

    def patterns_for(self, *, held_out: bool) -> list[str]:
        """The patterns seen in pre-training, or those kept out of it; too short lists keep nothing out."""
        if len(self.patterns) <= HELD_OUT_AT:
            return self.patterns
        return [p for i, p in enumerate(self.patterns) if (i % HELD_OUT_EVERY == HELD_OUT_AT) == held_out]


@dataclass
class Group:
    """Concepts that belong together: a topic with its subtopics, or an attribute with its levels."""

    name: str
    descriptions: list[str] = field(default_factory=list)
    concepts: list[Concept] = field(default_factory=list)


@dataclass(frozen=True)
class Fillers:
    greetings: list[str]
    closings: list[str]
    asides: list[str]


def alternatives(text: str) -> list[str]:
    return [part.strip() for part in text.split("|")]


@cache
def load_groups(file_name: str) -> dict[str, Group]:
    """The groups of a wordings file by name, in the order of the file."""
    groups: dict[str, Group] = {}
    group, concept = Group(""), Concept("", "")
    for number, line in enumerate((WORDINGS / file_name).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        mark, _, rest = line.partition(" ")
        if mark == "#":
            group = groups.setdefault(rest, Group(rest))
        elif mark == "##":
            found = [c for c in group.concepts if c.name == rest]
            concept = found[0] if found else Concept(rest, group.name)
            if not found:
                group.concepts.append(concept)
        elif mark == "@":
            group.descriptions.extend(alternatives(rest))
        elif mark == "=":
            concept.descriptions.extend(alternatives(rest))
        elif mark == "~":
            concept.names.extend(alternatives(rest))
        elif mark == "-":
            concept.patterns.append(rest)
        else:
            raise ValueError(
                f"{file_name}:{number}: a line must start with #, ##, @, =, ~ or -, not {mark!r}"
            )
    return groups


@cache
def load_fillers() -> Fillers:
    lines = (WORDINGS / "fillers.txt").read_text(encoding="utf-8").splitlines()
    by_mark = {line[0]: alternatives(line[2:]) for line in lines if line.strip()}
    return Fillers(greetings=by_mark[">"], closings=by_mark["<"], asides=by_mark["~"])


def amount(rng: random.Random) -> str:
    number = f"{rng.randint(3, 300)}" + (f".{rng.randint(10, 99)}" if rng.random() < 0.4 else "")
    return rng.choice((f"{number} euros", f"${number}", f"{number} dollars", f"£{number}"))


def person(rng: random.Random) -> str:
    name = rng.choice(values.PEOPLE)
    return f"{name} {rng.choice(values.SURNAMES)}" if rng.random() < 0.3 else name


def order(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"{rng.choice('ABCDEFGHKMNRSTX')}{rng.randint(100, 9999)}"
    return f"{rng.randint(1000, 99999)}"


def email(rng: random.Random) -> str:
    name, host = rng.choice(values.PEOPLE).lower(), rng.choice(("post", "home", "work", "mail"))
    return f"{name}@{host}.{rng.choice(('net', 'org', 'com'))}"


SLOT_VALUES: dict[str, Callable[[random.Random], str]] = {
    "person": person,
    "city": lambda rng: rng.choice(values.CITIES),
    "thing": lambda rng: rng.choice(values.THINGS),
    "app": lambda rng: rng.choice(values.APPS),
    "month": lambda rng: rng.choice(values.MONTHS),
    "weekday": lambda rng: rng.choice(values.WEEKDAYS),
    "date": lambda rng: f"{rng.randint(1, 28)} {rng.choice(values.MONTHS)}",
    "time": lambda rng: f"{rng.randint(7, 19)}:{rng.choice(('00', '15', '30', '45'))}",
    "amount": amount,
    "order": order,
    "number": lambda rng: str(rng.randint(10, 999)),
    "age": lambda rng: str(rng.randint(20, 80)),
    "phone": lambda rng: f"0{rng.randint(20, 99)} {rng.randint(1000, 9999)}",
    "email": email,
}


def slot_value(rng: random.Random, slot: str) -> str:
    """A fresh value for a slot name such as `person` or `amount`."""
    return SLOT_VALUES[slot](rng)


def expand(rng: random.Random, pattern: str) -> str:
    """One sentence of the pattern, without end mark; double spaces left by empty choices are closed."""
    text = pattern
    while CHOICE.search(text):
        text = CHOICE.sub(lambda found: rng.choice(found.group(1).split("|")), text)
    text = SLOT.sub(lambda found: slot_value(rng, found.group(1)), text)
    return re.sub(r"\s+", " ", text).replace(" ,", ",").strip()


def sentence(rng: random.Random, pattern: str) -> str:
    """An expanded pattern with a capital and an end mark, as a careful writer puts it."""
    text = expand(rng, pattern)
    text = text[0].upper() + text[1:]
    if text[-1] in ".!?":
        return text
    asks = QUESTION.match(text)
    return text + ("?" if asks else rng.choice((".", ".", ".", "!")))


def typo(rng: random.Random, text: str) -> str:
    """One slip of the fingers: a letter dropped, doubled or swapped with the next."""
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    slips = (
        text[:i] + text[i + 1 :],
        text[:i] + text[i] + text[i:],
        text[:i] + text[i + 1] + text[i] + text[i + 2 :],
    )
    return rng.choice(slips)


def roughen(rng: random.Random, text: str, *, share: float = 0.3) -> str:
    """Noise on some messages: small letters, missing end marks, slips of the fingers."""
    if rng.random() > share:
        return text
    if rng.random() < 0.5:
        text = text.lower()
    if rng.random() < 0.4:
        text = text.rstrip(".!?")
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        text = typo(rng, text)
    return text


def with_fillers(rng: random.Random, sentences: list[str], *, share: float = 0.3) -> str:
    """The sentences as one message, sometimes with greeting, aside and closing."""
    fillers = load_fillers()
    parts = list(sentences)
    if rng.random() < share / 2:
        parts.insert(rng.randint(0, len(parts)), sentence(rng, rng.choice(fillers.asides)))
    if rng.random() < share:
        greeting = expand(rng, rng.choice(fillers.greetings))
        parts.insert(0, greeting[0].upper() + greeting[1:] + rng.choice((",", "!", ",", ".")))
    if rng.random() < share:
        parts.append(sentence(rng, rng.choice(fillers.closings)).rstrip("?"))
    return " ".join(parts)
