"""Skills of sorting messages: one label, several fields in a stated form, and labels learned from examples."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from demo.tiny_model import labels, values
from demo.tiny_model.dialogue import Dialogue, Source, Turn, asked
from demo.tiny_model.grammar import Concept, load_groups
from demo.tiny_model.options import (
    LEVEL_WORDS,
    Option,
    draw,
    level_options,
    message,
    named_levels,
    named_options,
    plain_options,
    plain_word,
    topic_options,
    weighted_topics,
)

# How often a message of pre-training is only a description, from which the link from meaning to label is learned first.
MEANING_SHARE = 0.25
# How often the options are told by one plain word each.
PLAIN_SHARE = 0.6
# How often the fields of a form take plain words as values.
NAMED_FIELDS_SHARE = 0.7


@dataclass(frozen=True)
class Field:
    key: str
    options: tuple[Option, ...]
    is_level: bool


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
    """The options as lines or in one line; those without a description are only named."""
    if not any(option.description for option in options):
        names = [option.label for option in options]
        return (
            source.rng.choice((", ", " | ", " / ")).join(names)
            if inline
            else "\n".join(f"- {n}" for n in names)
        )
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
    if plain := rng.random() < PLAIN_SHARE:
        make = named_options if rng.random() < 0.6 else plain_options
        options = make(source, rng.choice((2, 3, 3, 4, 5, 6)))
    elif rng.random() < 0.75:
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
    for _ in range(rng.randint(3, 8) if plain else rng.randint(1, 6)):
        option, concept = draw(source, options)
        if not source.held_out and option.description and rng.random() < MEANING_SHARE:
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
NAME_TOPIC = (
    "Name the topic.",
    "What is it about? One word.",
    "Topic?",
    "Which topic?",
    "Give the topic.",
    "Say the topic.",
)
NAME_LEVEL = (
    "How urgent is it?",
    "Urgency?",
    "Say how urgent it is.",
    "Name the urgency.",
    "When is it needed?",
    "Give the urgency.",
)
NAME_BOTH = (
    "Topic and urgency?",
    "Name topic and urgency.",
    "Topic, then urgency.",
    "Say topic and urgency.",
    "Give both: topic, urgency.",
    "Topic / urgency",
)


def name_topic(source: Source) -> Dialogue:
    """The plain word for the topic, the urgency or both, of messages and of descriptions."""
    rng = source.rng
    kind = rng.choice(("topic", "topic", "level", "both", "both"))
    instruction = source.phrase({"topic": NAME_TOPIC, "level": NAME_LEVEL, "both": NAME_BOTH}[kind])
    keys, form = labels.key_names(rng, [values.TOPIC_KEYS, values.LEVEL_KEYS]), "comma"
    if kind == "both" and rng.random() < 0.8:
        form = rng.choice(FORMS)
        shape = render(form, [(key, rng.choice((f"<{key}>", "..."))) for key in keys])
        instruction += "\n" + source.phrase(STATED).format(shape=shape)
    levels = load_groups("attributes.txt")["hurry"].concepts
    questions = []
    for _ in range(rng.randint(3, 8)):
        group, level = weighted_topics(source, 1)[0], rng.choice(levels)
        concept = rng.choice(group.concepts)
        if kind == "topic":
            short = rng.random() < 0.25
            extra = [] if rng.random() < 0.6 else [level]
            told = rng.choice(group.descriptions + concept.descriptions)
            questions.append((told if short else message(source, concept, extra), plain_word(group.name)))
        elif kind == "level":
            short = rng.random() < 0.15
            told = rng.choice(level.descriptions)
            questions.append((told if short else message(source, concept, [level]), LEVEL_WORDS[level.name]))
        else:
            said = (plain_word(group.name), LEVEL_WORDS[level.name])
            answer = render(form, list(zip(keys, said, strict=True)))
            questions.append((message(source, concept, [level]), answer))
    return Dialogue("name_topic", asked(source, instruction, questions))


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


def make_named_fields(source: Source) -> list[Field]:
    """Topic and urgency, or one of them, whose labels are the plain words."""
    rng = source.rng
    kinds = rng.choice(
        (("topic", "hurry"), ("topic", "hurry"), ("topic", "hurry"), ("hurry", "topic"), ("topic",))
    )
    pools = {"topic": values.TOPIC_KEYS, "hurry": values.LEVEL_KEYS}
    keys = labels.key_names(rng, [pools[kind] for kind in kinds])
    return [
        Field(
            key,
            named_options(source, rng.randint(3, 7)) if kind == "topic" else named_levels(source),
            kind == "hurry",
        )
        for key, kind in zip(keys, kinds, strict=True)
    ]


def make_fields(source: Source) -> list[Field]:
    """A topic field and one or two attributes, in any order."""
    rng = source.rng
    if rng.random() < NAMED_FIELDS_SHARE:
        return make_named_fields(source)
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
        count = rng.choice((2, 3, 3, 4, 5, 6))
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
        fields = [Field(f.key, f.options[:3] if f.is_level else f.options[:4], f.is_level) for f in fields]
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
