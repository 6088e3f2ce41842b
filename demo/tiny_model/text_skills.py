"""Skills on text itself: extract, answer from given sentences, look up, reformat, copy, continue a pattern."""

import json
import random
import string
from collections.abc import Callable

from demo.tiny_model import labels
from demo.tiny_model.dialogue import Dialogue, Source, Turn, asked
from demo.tiny_model.grammar import load_groups, sentence, slot_value
from demo.tiny_model.values import CITIES, MONTHS, PEOPLE, SURNAMES, THINGS, WEEKDAYS, WORDS

SLOT_WORDS = {
    "person": ("name", "name of the person", "person"),
    "city": ("city", "town", "place"),
    "amount": ("amount", "sum of money", "price"),
    "order": ("order number", "number of the order", "order"),
    "date": ("date", "day", "calendar date"),
    "weekday": ("weekday", "day of the week", "weekday name"),
    "phone": ("phone number", "number to call", "telephone number"),
    "email": ("e-mail address", "mail address", "address for mail"),
    "thing": ("item", "thing", "object"),
    "time": ("time", "hour", "clock time"),
}
CARRIERS = {
    "person": (
        "My name is {v}.",
        "{v} told me so.",
        "Please ask {v}.",
        "This is {v}.",
        "{v} will come too.",
        "Greetings, {v}",
    ),
    "city": (
        "I live in {v}.",
        "It was sent to {v}.",
        "We are based in {v}.",
        "The office is in {v}.",
        "I write from {v}.",
    ),
    "amount": ("It cost {v}.", "I paid {v}.", "The sum was {v}.", "They asked for {v}.", "You owe me {v}."),
    "order": (
        "The order is {v}.",
        "It is about order {v}.",
        "My order number is {v}.",
        "See order {v}.",
        "Order {v} is the one.",
    ),
    "date": (
        "It was on {v}.",
        "We met on {v}.",
        "It began on {v}.",
        "Since {v} nothing works.",
        "I wrote on {v}.",
    ),
    "weekday": (
        "Come on {v}.",
        "It happened on {v}.",
        "I am free on {v}.",
        "The shop is closed on {v}.",
        "We fly on {v}.",
    ),
    "phone": ("Call me on {v}.", "My number is {v}.", "Ring {v}.", "You reach me on {v}."),
    "email": ("Write to {v}.", "My address is {v}.", "Send it to {v}.", "Mail me at {v}."),
    "thing": ("I bought a {v}.", "The {v} is new.", "We need a {v}.", "It is about the {v}."),
    "time": ("It was {v} then.", "Be there at {v}.", "We start at {v}.", "At {v} it rang."),
}
EXTRACT = (
    "Find the {w} in the text.",
    "What is the {w}?",
    "Give the {w}.",
    "Extract the {w}.",
    "Write down the {w} from the message.",
    "Which {w} is named?",
    "Copy the {w} out of the text.",
    "Return only the {w}.",
    "{w}?",
    "Tell me the {w} in this message.",
    "Look for the {w}.",
    "Answer with the {w} only.",
)


def facts_text(source: Source, slots: list[str]) -> tuple[str, dict[str, str]]:
    rng = source.rng
    values = {slot: slot_value(rng, slot) for slot in slots}
    parts = [rng.choice(CARRIERS[slot]).format(v=values[slot]) for slot in slots]
    if rng.random() < 0.5:
        groups = load_groups("everyday.txt")
        concept = rng.choice(groups[rng.choice(("weather", "pets", "garden", "health", "house"))].concepts)
        plain = [p for p in concept.patterns_for(held_out=source.held_out) if "{" not in p]
        if plain:
            parts.append(sentence(rng, rng.choice(plain)))
    rng.shuffle(parts)
    return " ".join(parts), values


def extract(source: Source) -> Dialogue:
    rng = source.rng
    wanted = rng.choice(list(SLOT_WORDS))
    word = source.rng.choice(SLOT_WORDS[wanted])
    questions = []
    for _ in range(rng.choice((1, 2, 3, 4))):
        others = rng.sample(
            [s for s in SLOT_WORDS if s != wanted and {s, wanted} != {"date", "weekday"}], rng.randint(1, 3)
        )
        text, values = facts_text(source, [wanted, *others])
        questions.append((text, values[wanted]))
    instruction = source.phrase(EXTRACT).format(w=word)
    return Dialogue("extract", asked(source, instruction[0].upper() + instruction[1:], questions))


def fact(rng: random.Random, person: str) -> tuple[str, dict[str, str]]:
    """A sentence about a person and what can be asked about it."""
    city, thing, day, count = (
        rng.choice(CITIES),
        rng.choice(THINGS),
        rng.choice(WEEKDAYS),
        str(rng.randint(2, 60)),
    )
    kind = rng.randrange(5)
    if kind == 0:
        return f"{person} bought a {thing} in {city}.", {
            f"What did {person} buy?": thing,
            f"Where was {person}?": city,
        }
    if kind == 1:
        return f"{person} comes from {city} and is {count} years old.", {
            f"How old is {person}?": count,
            f"Where does {person} come from?": city,
        }
    if kind == 2:
        return f"On {day} {person} goes to {city}.", {
            f"When does {person} go?": day,
            f"Where does {person} go?": city,
        }
    if kind == 3:
        return f"{person} sold {count} tickets on {day}.", {
            f"How many tickets did {person} sell?": count,
            f"When did {person} sell tickets?": day,
        }
    return f"The {thing} belongs to {person}.", {
        f"Who owns the {thing}?": person,
        f"What does {person} own?": thing,
    }


READ = (
    "Answer from the text.",
    "Read the text and answer.",
    "Use the text to answer.",
    "Answer with one or two words.",
    "Here are some facts.",
    "Short answers, please.",
    "Look at these sentences.",
    "Text:",
)


def answer_from_text(source: Source) -> Dialogue:
    rng = source.rng
    people = rng.sample(PEOPLE, rng.choice((2, 3, 4)))
    facts = [fact(rng, person) for person in people]
    text = " ".join(sentence_ for sentence_, _ in facts)
    questions = [pair for _, answers in facts for pair in answers.items()]
    rng.shuffle(questions)
    instruction = f"{source.phrase(READ)}\n{text}"
    return Dialogue("answer_from_text", asked(source, instruction, questions[: rng.choice((1, 2, 3, 4))]))


BOOK_HEADS = (
    "Code book:",
    "The list:",
    "Use this table.",
    "These are the codes.",
    "Key:",
    "Look it up here.",
    "Answer from the list.",
)
BOOK_LINES = ("{a} = {b}", "{a}: {b}", "{a} means {b}", "{a} -> {b}", "- {a}: {b}", "{a} is {b}", "{a} | {b}")
FORWARD = ("What is {a}?", "{a}", "What does {a} mean?", "Give the meaning of {a}.", "{a}?", "Look up {a}.")
BACKWARD = (
    "Which code stands for {b}?",
    "What is the code of {b}?",
    "Code for {b}?",
    "{b} has which code?",
    "Find the code of {b}.",
    "Name the code for {b}.",
)


def look_up(source: Source) -> Dialogue:
    rng = source.rng
    count = rng.randint(2, 6)
    codes = rng.choice((labels.distinct, labels.series))(rng, count)
    meanings = rng.sample(rng.choice((THINGS, CITIES, WORDS, PEOPLE)), count)
    pairs = list(zip(codes, meanings, strict=True))
    rng.shuffle(pairs)
    line = source.phrase(BOOK_LINES)
    book = rng.choice(("\n", "\n", "; ")).join(line.format(a=a, b=b) for a, b in pairs)
    questions = []
    for a, b in rng.sample(pairs, min(count, rng.choice((1, 2, 3, 3)))):
        questions.append(
            (source.phrase(FORWARD).format(a=a), b)
            if rng.random() < 0.65
            else (source.phrase(BACKWARD).format(b=b), a)
        )
    return Dialogue("look_up", asked(source, f"{source.phrase(BOOK_HEADS)}\n{book}", questions))


def words(source: Source, count: int) -> list[str]:
    pool = list(WORDS) + [t for t in THINGS if " " not in t] + CITIES + PEOPLE
    return source.rng.sample(pool, count)


def iso_date(source: Source) -> tuple[str, str]:
    rng = source.rng
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2030)
    return f"{day} {MONTHS[month - 1]} {year}", f"{year}-{month:02d}-{day:02d}"


def comma_list(source: Source) -> tuple[str, str]:
    items = words(source, source.rng.randint(2, 5))
    return ", ".join(items), "\n".join(f"- {i}" for i in items)


def dash_list(source: Source) -> tuple[str, str]:
    answer, question = comma_list(source)
    return question, answer


def upper(source: Source) -> tuple[str, str]:
    text = " ".join(words(source, source.rng.randint(1, 3))).lower()
    return text, text.upper()


def surname_first(source: Source) -> tuple[str, str]:
    first, last = source.rng.choice(PEOPLE), source.rng.choice(SURNAMES)
    return f"{first} {last}", f"{last}, {first}"


def to_json(source: Source) -> tuple[str, str]:
    rng = source.rng
    values = {
        "name": rng.choice(PEOPLE),
        "city": rng.choice(CITIES),
        "item": rng.choice(THINGS),
        "age": str(rng.randint(18, 90)),
    }
    keys = rng.sample(list(values), rng.choice((2, 3)))
    return ", ".join(f"{k} {values[k]}" for k in keys), json.dumps({k: values[k] for k in keys})


def to_tags(source: Source) -> tuple[str, str]:
    tag, text = source.rng.choice(("b", "i", "p", "li", "em")), " ".join(words(source, 2))
    return f"{tag}: {text}", f"<{tag}>{text}</{tag}>"


REFORMATS: dict[Callable[[Source], tuple[str, str]], tuple[str, ...]] = {
    iso_date: (
        "Write the date as YYYY-MM-DD.",
        "Turn the date into numbers, year first.",
        "ISO date, please.",
        "Change the date to YYYY-MM-DD.",
    ),
    comma_list: (
        "Write the list with dashes, one item a line.",
        "Make a list with a dash before each item.",
        "One line for each item, with a dash.",
    ),
    dash_list: (
        "Write the list in one line with commas.",
        "Join the items with commas.",
        "Make one line of the list.",
    ),
    upper: (
        "Write in capitals.",
        "Use capital letters only.",
        "Make all letters large.",
        "Upper case, please.",
    ),
    surname_first: (
        "Write the family name first, then a comma.",
        "Put the last name first: Last, First.",
        "Last name first.",
    ),
    to_json: ("Write it as JSON.", "Make a JSON object.", "Turn the pairs into JSON.", "Answer in JSON."),
    to_tags: ("Put the text into the tag.", "Write it as HTML.", "Make HTML with the given tag."),
}


def reformat(source: Source) -> Dialogue:
    rng = source.rng
    make = rng.choice(list(REFORMATS))
    questions = [make(source) for _ in range(rng.choice((1, 2, 3, 4)))]
    return Dialogue("reformat", asked(source, source.phrase(REFORMATS[make]), questions))


COPY = (
    "Repeat exactly.",
    "Say it again.",
    "Copy the text.",
    "Write the same text.",
    "Repeat what I write.",
    "Echo the message.",
    "Return the text without a change.",
    "Copy this word by word.",
)


def copied_text(source: Source) -> str:
    rng = source.rng
    roll = rng.random()
    if roll < 0.4:
        group = rng.choice(list(load_groups("everyday.txt").values()))
        return sentence(rng, rng.choice(rng.choice(group.concepts).patterns_for(held_out=source.held_out)))
    if roll < 0.65:
        return " ".join(labels.distinct(rng, rng.randint(1, 4)))
    if roll < 0.92:
        return " ".join(words(source, rng.randint(2, 5)))
    return "".join(rng.choice(string.ascii_letters + string.digits + "-_") for _ in range(rng.randint(3, 10)))


def copy(source: Source) -> Dialogue:
    questions = [(text, text) for text in (copied_text(source) for _ in range(source.rng.choice((1, 2, 3))))]
    return Dialogue("copy", asked(source, source.phrase(COPY), questions))


def pattern_rule(rng: random.Random) -> Callable[[str, str], tuple[str, str]]:
    """A rule on one or two words, to be found from examples."""
    before, after = rng.choice(
        (("[", "]"), ("(", ")"), ("<", ">"), ("* ", ""), ("", "!"), ("", "?"), ("# ", ""), ('"', '"'))
    )
    fixed = labels.invented(rng)
    rules: list[Callable[[str, str], tuple[str, str]]] = [
        lambda a, b: (a, f"{before}{a}{after}"),
        lambda a, b: (a, a.upper()),
        lambda a, b: (f"{a} {b}", f"{b} {a}"),
        lambda a, b: (f"{a} {b}", a),
        lambda a, b: (f"{a} {b}", b),
        lambda a, b: (a, f"{a} {a}"),
        lambda a, b: (a, f"{fixed} {a}"),
        lambda a, b: (a, f"{a}-{fixed}"),
        lambda a, b: (f"{a} and {b}", f"{a}, {b}"),
        lambda a, b: (f"{a} {b}", f"{before}{b}{after} {a}"),
        lambda a, b: (a, a[0].upper()),
    ]
    return rng.choice(rules)


def continue_pattern(source: Source) -> Dialogue:
    """Single words changed by one rule, shown by the earlier turns or by lines of one prompt."""
    rng = source.rng
    rule, count = pattern_rule(rng), rng.randint(3, 6)
    drawn = [w.lower() for w in words(source, 2 * count)]
    pairs = [rule(drawn[2 * i], drawn[2 * i + 1]) for i in range(count)]
    if rng.random() < 0.3:
        arrow = rng.choice((" -> ", " = ", ": ", " => "))
        shown = "\n".join(f"{q}{arrow}{a}" for q, a in pairs[:-1]) + f"\n{pairs[-1][0]}{arrow.rstrip()}"
        return Dialogue("pattern", (Turn("user", shown), Turn("assistant", pairs[-1][1])))
    turns: list[Turn] = []
    for i, (question, answer) in enumerate(pairs):
        turns += [Turn("user", question), Turn("assistant", answer, 0.15 if i == 0 else 1.0)]
    return Dialogue("pattern", tuple(turns))
