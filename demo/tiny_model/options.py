"""The options of a sorting task, and messages that belong to them."""

from dataclasses import dataclass

from demo.tiny_model import labels
from demo.tiny_model.dialogue import Source
from demo.tiny_model.grammar import Concept, Group, load_groups, roughen, sentence, with_fillers

# One plain word for each topic and each level of urgency. The skill of naming them teaches the meaning of messages and
# of descriptions before a made-up label has to be found by it.
TOPIC_WORDS = {
    "entry": "passwords",
    "fault": "errors",
    "wish": "ideas",
    "gadget": "devices",
    "sending_back": "returns",
    "booking": "appointments",
    "opening": "visits",
    "strangers": "offers",
    "howto": "instructions",
    "leaving": "cancelling",
}
LEVEL_WORDS = {"high": "urgent", "middle": "normal", "low": "later"}
NAMED_SHARE = 0.85
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
    rng, service_only = source.rng, source.rng.random() < 0.65
    pool = dict(load_groups("service.txt") if service_only else topics())
    chosen: list[Group] = []
    for _ in range(min(count, len(pool))):
        weights = [SERVICE_WEIGHT.get(name, 1) for name in pool]
        name = rng.choices(list(pool), weights)[0]
        chosen.append(pool.pop(name))
    return chosen


def plain_word(group: str) -> str:
    return TOPIC_WORDS.get(group, group)


def described(source: Source, own: list[str], parts: list[str], word: str | None = None) -> str:
    """A description of one to three phrases, joined in one of the usual ways; `word` often leads it."""
    rng = source.rng
    if word and rng.random() < NAMED_SHARE:
        rest = described(source, own, parts)
        return rng.choice((word, f"{word}, {rest}", f"{word}, {rest}"))
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
    if rng.random() < 0.8:
        for group in weighted_topics(source, count):
            parts = [d for c in group.concepts for d in c.descriptions]
            entries.append(
                (described(source, group.descriptions, parts, plain_word(group.name)), tuple(group.concepts))
            )
    else:
        near = weighted_topics(source, rng.choice((1, 2, count)))
        concepts = [c for group in near for c in group.concepts]
        for concept in rng.sample(concepts, min(count, len(concepts))):
            entries.append((described(source, concept.descriptions, []), (concept,)))
    if len(entries) > 2 and rng.random() < fallback_share:
        entries[-1] = (rng.choice(FALLBACKS), ())
    names = labels.distinct(rng, len(entries)) if rng.random() < 0.85 else labels.series(rng, len(entries))
    return tuple(Option(name, *entry) for name, entry in zip(names, entries, strict=True))


def plain_options(source: Source, count: int) -> tuple[Option, ...]:
    """Options over topics told by their plain words, the easiest to match."""
    rng = source.rng
    groups = weighted_topics(source, count)
    names = labels.distinct(rng, count)
    told = [plain_word(group.name) for group in groups]
    if rng.random() < 0.4:
        told = [f"{word}, {rng.choice(g.descriptions)}" for word, g in zip(told, groups, strict=True)]
    return tuple(
        Option(name, text, tuple(group.concepts))
        for name, text, group in zip(names, told, groups, strict=True)
    )


def named_options(source: Source, count: int) -> tuple[Option, ...]:
    """Options whose labels are the plain words themselves, described or not, sometimes with `other` for the rest."""
    rng = source.rng
    groups = weighted_topics(source, count)
    with_text, rest = rng.random() < 0.6, rng.random() < 0.4
    options = []
    for group in groups:
        parts = [d for c in group.concepts for d in c.descriptions]
        text = described(source, group.descriptions, parts) if with_text else ""
        options.append(Option(plain_word(group.name), text, tuple(group.concepts)))
    if rest:
        options.append(Option("other", rng.choice(FALLBACKS) if with_text else "", ()))
    return tuple(options)


def named_levels(source: Source) -> tuple[Option, ...]:
    """The three levels of urgency under their plain words."""
    with_text = source.rng.random() < 0.6
    return tuple(
        Option(
            LEVEL_WORDS[level.name],
            described(source, level.descriptions, level.descriptions) if with_text else "",
            (level,),
        )
        for level in load_groups("attributes.txt")["hurry"].concepts
    )


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
        names = [rng.choice(level.names) for level in levels]
    return tuple(
        Option(
            name,
            described(source, level.descriptions, level.descriptions, LEVEL_WORDS.get(level.name)),
            (level,),
        )
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
