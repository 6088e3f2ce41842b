"""The options of a sorting task, and messages that belong to them."""

from dataclasses import dataclass

from demo.tiny_model import labels
from demo.tiny_model.dialogue import Source
from demo.tiny_model.grammar import Concept, Group, load_groups, roughen, sentence, with_fillers

SERVICE_WEIGHT = {
    "money": 4,
    "delivery": 4,
    "entry": 4,
    "fault": 4,
    "wish": 4,
    "gadget": 2,
    "howto": 2,
    "strangers": 2,
}


FALLBACKS = (
    "anything else",
    "everything else",
    "none of these",
    "all other messages",
    "something else",
    "not one of these",
)


@dataclass(frozen=True)
class Option:
    """A label of one task with what it stands for; `concepts` is empty for the label of all other messages."""

    label: str
    description: str
    concepts: tuple[Concept, ...]


def topics() -> dict[str, Group]:
    return load_groups("service.txt") | load_groups("everyday.txt")


def say(source: Source, concept: Concept) -> str:
    return sentence(source.rng, source.rng.choice(concept.patterns_for(held_out=source.held_out)))


def weighted_topics(source: Source, count: int) -> list[Group]:
    """Different topics, those of a customer service more often."""
    rng, service_only = source.rng, source.rng.random() < 0.55
    pool = dict(load_groups("service.txt") if service_only else topics())
    chosen: list[Group] = []
    for _ in range(min(count, len(pool))):
        weights = [SERVICE_WEIGHT.get(name, 1) for name in pool]
        name = rng.choices(list(pool), weights)[0]
        chosen.append(pool.pop(name))
    return chosen


def described(source: Source, own: list[str], parts: list[str]) -> str:
    """A description of one to three phrases, joined in one of the usual ways."""
    rng = source.rng
    count = rng.choice((1, 1, 2, 2, 3))
    phrases = rng.sample(own, min(len(own), 1)) if rng.random() < 0.7 or not parts else []
    rest = [p for p in (parts if rng.random() < 0.7 else own + parts) if p not in phrases]
    phrases += rng.sample(rest, min(len(rest), max(0, count - len(phrases))))
    rng.shuffle(phrases)
    return rng.choice((", ", ", ", "; ", " or ")).join(phrases)


def topic_options(source: Source, count: int, *, fallback_share: float = 0.3) -> tuple[Option, ...]:
    """Options over topics, or over the finer concepts inside one or more topics."""
    rng = source.rng
    entries: list[tuple[str, tuple[Concept, ...]]] = []
    if rng.random() < 0.62:
        for group in weighted_topics(source, count):
            parts = [d for c in group.concepts for d in c.descriptions]
            entries.append((described(source, group.descriptions, parts), tuple(group.concepts)))
    else:
        near = weighted_topics(source, rng.choice((1, 2, count)))
        concepts = [c for group in near for c in group.concepts]
        for concept in rng.sample(concepts, min(count, len(concepts))):
            entries.append((described(source, concept.descriptions, []), (concept,)))
    if len(entries) > 2 and rng.random() < fallback_share:
        entries[-1] = (rng.choice(FALLBACKS), ())
    names = labels.distinct(rng, len(entries)) if rng.random() < 0.85 else labels.series(rng, len(entries))
    return tuple(Option(name, *entry) for name, entry in zip(names, entries, strict=True))


def level_options(source: Source, group: Group) -> tuple[Option, ...]:
    """The levels of an attribute, two or all of them, in order or not."""
    rng = source.rng
    levels = list(group.concepts)
    if rng.random() < 0.15:
        rng.shuffle(levels)
    roll = rng.random()
    if roll < 0.5:
        names = labels.series(rng, len(levels))
    elif roll < 0.8:
        names = labels.distinct(rng, len(levels))
    else:
        names = [rng.choice([n for n in level.names if labels.allowed(n)]) for level in levels]
    return tuple(
        Option(name, described(source, level.descriptions, level.descriptions), (level,))
        for name, level in zip(names, levels, strict=True)
    )


def draw(source: Source, options: tuple[Option, ...]) -> tuple[Option, Concept]:
    """An option and something that belongs to it; for the fallback, a topic that no other option covers."""
    rng = source.rng
    option = rng.choice(options)
    if option.concepts:
        return option, rng.choice(option.concepts)
    taken = {c.group for o in options for c in o.concepts}
    free = [g for name, g in topics().items() if name not in taken]
    return option, rng.choice(rng.choice(free).concepts)


def message(source: Source, topic: Concept, levels: list[Concept]) -> str:
    """A message about a topic that also shows the given levels. The middle level often shows by silence."""
    rng = source.rng
    parts = [say(source, topic)]
    if rng.random() < 0.25:
        parts.append(say(source, topic))
    for level in levels:
        if not (level.name == "middle" and rng.random() < 0.5):
            parts.insert(rng.randint(0, len(parts)) if rng.random() < 0.5 else len(parts), say(source, level))
    return roughen(rng, with_fillers(rng, parts))
