"""Skills of sorting messages: one label, several fields in a stated form, and labels learned from examples."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from demo.tiny_model import labels, values
from demo.tiny_model.dialogue import Dialogue, Source, Turn, asked
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
# How often a message of pre-training is only a description, from which the link from meaning to label is learned first.
MEANING_SHARE = 0.3
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


@dataclass(frozen=True)
class Field:
    key: str
    options: tuple[Option, ...]
    is_level: bool


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


INTROS = (
    "Sort the message.",
    "Which label fits the message?",
    "Read the message and choose a label.",
    "Classify the message.",
    "What is this message about?",
    "Put each message into one group.",
    "Choose one label for the text.",
    "You sort incoming mail.",
    "Tag the text.",
    "Label the customer's message.",
    "Decide where the message belongs.",
    "You are a sorter of messages.",
    "You label customer messages.",
    "Pick the label that fits.",
    "You work at a help desk and sort mail.",
    "Route the mail.",
    "Assign a label to this text.",
    "Your task is to sort messages.",
)
ONLY = (
    "Answer with the label only.",
    "Answer with one label.",
    "Reply with the label.",
    "Give only the label.",
    "Write just the label.",
    "Answer only with the name.",
    "One word, please.",
    "",
    "Return the label and nothing else.",
    "Only the label.",
)
HEADS = ("Labels:", "The labels are:", "Choose from:", "Options:", "One of:", "Possible labels:", "")
LINES = (
    "- {label}: {text}",
    "{label}: {text}",
    "- {label} = {text}",
    "{label} = {text}",
    "* {label} - {text}",
    "{label} ({text})",
    "- {label} ({text})",
    "{text} -> {label}",
    "{label} means {text}",
    "- {label} is for {text}",
    "{label}: {text}.",
    "use {label} for {text}",
)
INLINE = (
    "{label} ({text})",
    "{label} for {text}",
    "{label}: {text}",
    "{label} = {text}",
    "{label} is {text}",
    "{label} means {text}",
)


def listed(source: Source, options: tuple[Option, ...], *, inline: bool) -> str:
    form = source.phrase(INLINE if inline else LINES)
    shown = [form.format(label=o.label, text=o.description) for o in options]
    if not inline:
        return "\n".join(shown)
    return source.rng.choice(("; ", "; ", ", ", "\n")).join(shown)


def meaning(source: Source, option: Option, concept: Concept) -> str:
    """What the option stands for, in the words of the list or in other words: the plainest question about a label."""
    rng = source.rng
    if rng.random() < 0.6 or not option.concepts:
        return rng.choice(re.split(r"; | or |, ", option.description))
    return rng.choice(concept.descriptions)


def classify(source: Source) -> Dialogue:
    """One label among described options; several messages may follow under one list."""
    rng = source.rng
    if rng.random() < 0.8:
        options = topic_options(source, rng.choice((2, 3, 3, 4, 5, 6)))
    else:
        options = level_options(source, rng.choice(list(load_groups("attributes.txt").values())))
    if rng.random() < 0.5:
        options = tuple(rng.sample(options, len(options)))
    inline = rng.random() < 0.2
    head = source.rng.choice(HEADS)
    block = (
        f"{head} {listed(source, options, inline=True)}"
        if inline
        else f"{head}\n{listed(source, options, inline=False)}"
    )
    pieces = [source.phrase(INTROS), block.strip(), source.phrase(ONLY)]
    if rng.random() < 0.2:
        pieces = [pieces[0], pieces[2], pieces[1]]
    instruction = rng.choice(("\n", "\n", " ")).join(p for p in pieces if p)
    attributes = list(load_groups("attributes.txt").values())
    questions = []
    for _ in range(rng.choice((1, 2, 3, 4, 5, 6))):
        option, concept = draw(source, options)
        if not source.held_out and rng.random() < MEANING_SHARE:
            text = meaning(source, option, concept)
        elif concept.group in load_groups("attributes.txt"):
            _, topic = draw(source, topic_options(source, 3, fallback_share=0))
            text = message(source, topic, [concept])
        else:
            extra = [rng.choice(rng.choice(attributes).concepts)] if rng.random() < 0.35 else []
            text = message(source, concept, extra)
        questions.append((text, option.label))
    return Dialogue("classify", asked(source, instruction, questions))


RENDERERS: dict[str, Callable[[list[tuple[str, str]]], str]] = {
    "lines": lambda pairs: "\n".join(f"{k}: {v}" for k, v in pairs),
    "equals": lambda pairs: "\n".join(f"{k}={v}" for k, v in pairs),
    "json": lambda pairs: json.dumps(dict(pairs)),
    "slash": lambda pairs: " / ".join(v for _, v in pairs),
    "comma": lambda pairs: ", ".join(v for _, v in pairs),
    "semicolon": lambda pairs: "; ".join(f"{k}: {v}" for k, v in pairs),
    "brackets": lambda pairs: " ".join(f"[{v}]" for _, v in pairs),
    "bars": lambda pairs: " | ".join(f"{k} {v}" for k, v in pairs),
}


def render(form: str, pairs: list[tuple[str, str]]) -> str:
    """Keys and values in one of the forms that the instruction can state."""
    return RENDERERS[form](pairs)


FORMS = ("lines",) * 7 + ("equals", "json", "json", "slash", "comma", "semicolon", "brackets", "bars")
STATED = (
    "Answer in this form:\n{shape}",
    "Write:\n{shape}",
    "Format:\n{shape}",
    "Answer exactly like this:\n{shape}",
    "Use this form:\n{shape}",
    "Reply as\n{shape}",
    "Your answer looks like this:\n{shape}",
    "Fill in:\n{shape}",
    "The answer has this form:\n{shape}",
    "Output:\n{shape}",
)
FIELD_HEADS = (
    "{key} is one of:",
    "{key}:",
    "Values of {key}:",
    "For {key} choose:",
    "{key} can be:",
    "The {key}:",
    "{key} must be one of:",
)
FIELD_INTROS = (
    "Read the message and fill in the fields.",
    "Describe the message.",
    "Sort the message.",
    "You sort customer mail.",
    "Label the message.",
    "You are a sorter of messages.",
    "Give the labels of the message.",
    "Work out these values for the message.",
    "You label incoming mail with these fields.",
    "For each message fill in the form.",
    "You work at a help desk.",
    "Tag each message.",
)


def make_fields(source: Source) -> list[Field]:
    """A topic field and one or two attributes, in any order."""
    rng = source.rng
    attributes = load_groups("attributes.txt")
    levels = ["hurry"] if rng.random() < 0.65 else []
    others = [name for name in attributes if name != "hurry"]
    levels += rng.sample(others, rng.choice((0, 0, 1)) if levels else 1)
    kinds = (["topic"] if rng.random() < 0.9 or len(levels) < 2 else []) + levels
    if rng.random() < 0.3:
        rng.shuffle(kinds)
    pools = {"topic": values.TOPIC_KEYS, "hurry": values.LEVEL_KEYS, "mood": values.MOOD_KEYS}
    keys = labels.key_names(rng, [pools.get(kind, values.OTHER_KEYS) for kind in kinds])
    fields = []
    for key, kind in zip(keys, kinds, strict=True):
        count = rng.choice((2, 3, 4, 5, 6, 6))
        options = topic_options(source, count) if kind == "topic" else level_options(source, attributes[kind])
        fields.append(Field(key, options, kind != "topic"))
    return fields


def fields_instruction(source: Source, fields: list[Field], form: str) -> str:
    rng = source.rng
    inline, head = rng.random() < 0.25, source.phrase(FIELD_HEADS)
    blocks = []
    for one in fields:
        body = listed(source, one.options, inline=inline)
        blocks.append(head.format(key=one.key) + (" " if inline else "\n") + body)
    shape = [
        (f.key, rng.choice((f"<{f.key}>", "...", "<" + "|".join(o.label for o in f.options) + ">")))
        for f in fields
    ]
    if rng.random() < 0.3:
        shape = [(f.key, rng.choice(f.options).label) for f in fields]
    stated = source.phrase(STATED).format(shape=render(form, shape))
    return rng.choice(("\n", "\n", "\n\n")).join((source.phrase(FIELD_INTROS), *blocks, stated))


def fields_case(source: Source, fields: list[Field]) -> tuple[str, list[tuple[str, str]]]:
    """A message with the right value of every field."""
    topic: Concept | None = None
    levels: list[Concept] = []
    pairs: list[tuple[str, str]] = []
    for one in fields:
        option, concept = draw(source, one.options)
        pairs.append((one.key, option.label))
        if one.is_level:
            levels.append(concept)
        else:
            topic = concept
    if topic is None:
        _, topic = draw(source, topic_options(source, 3, fallback_share=0))
    return message(source, topic, levels), pairs


def fill_fields(source: Source) -> Dialogue:
    """Several values in the form that the instruction states."""
    rng = source.rng
    fields, form = make_fields(source), rng.choice(FORMS)
    questions = []
    for _ in range(rng.choice((1, 2, 3, 4, 5))):
        text, pairs = fields_case(source, fields)
        questions.append((text, render(form, pairs)))
    return Dialogue("fields", asked(source, fields_instruction(source, fields, form), questions))


EXAMPLE_HINTS = (
    "Follow the examples.",
    "Answer as in the examples.",
    "Label the messages.",
    "Do the same as before.",
    "",
    "",
    "Continue in the same way.",
)


def learn_from_examples(source: Source) -> Dialogue:
    """Labels or fields whose meaning only the earlier turns show."""
    rng = source.rng
    if rng.random() < 0.3:
        fields, form = make_fields(source), rng.choice(FORMS)
        fields = [Field(f.key, f.options[:3], f.is_level) for f in fields]
        cases = []
        for _ in range(rng.choice((4, 5, 6))):
            text, pairs = fields_case(source, fields)
            cases.append((text, render(form, pairs)))
    else:
        options = topic_options(source, rng.choice((2, 2, 3, 3, 4)), fallback_share=0)
        drawn = [draw(source, options) for _ in range(rng.choice((5, 6, 7, 8)))]
        prefix = rng.choice(("", "", "label: ", "-> ", "= "))
        cases = [(message(source, concept, []), prefix + option.label) for option, concept in drawn]
    turns: list[Turn] = []
    if hint := source.rng.choice(EXAMPLE_HINTS):
        turns.append(Turn("system", hint))
    seen: set[str] = set()
    for text, answer in cases:
        turns += [Turn("user", text), Turn("assistant", answer, 1.0 if answer in seen else 0.15)]
        seen.add(answer)
    if source.held_out and answer not in seen - {answer} and sum(a == answer for _, a in cases) == 1:
        return learn_from_examples(source)
    return Dialogue("few_shot_classify", tuple(turns))
