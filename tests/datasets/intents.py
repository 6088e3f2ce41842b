"""A file of the shape and size of CLINC150 (Larson et al., 2019): 150 intents with 100, 20 and 30 queries each, and
100, 100 and 1,000 out-of-scope ones.

Its sentences are put together here, always the same. Where FTPORTAL_CLINC150 names the published data_full.json, that
is used in its place.
"""

import json
import os
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

SIZES = {"train": 100, "val": 20, "test": 30}
OUT_OF_SCOPE = {"oos_train": 100, "oos_val": 100, "oos_test": 1000}

OPENERS = (
    "could you", "please", "i need you to", "is it possible to", "how do i", "help me", "i would like to",
    "can somebody", "would you mind to", "tell me how to", "what must i do to", "i tried twice to", "kindly",
    "my boss asked me to", "show me where to", "before monday i have to", "is there a way to", "we want to",
    "my daughter wants to", "remind me how people", "am i allowed to", "walk me through how to",
)  # fmt: skip
VERBS = (
    "cancel", "reserve", "change", "track", "pay for", "report", "explain", "compare", "renew", "insure", "return",
    "share", "print", "block", "translate",
)  # fmt: skip
THINGS = (
    "the flight", "a hotel room", "my credit card", "this invoice", "our phone contract", "the rental car",
    "my savings account", "that parcel", "the dinner recipe", "a calendar entry",
)  # fmt: skip
WHO = (
    "for my grandmother", "for the whole family", "with my old colleague", "together with a friend",
    "for eleven people", "without any papers", "for our new neighbour", "with only an app", "as a student",
    "for a wedding guest", "with two small children", "on behalf of the club", "under another surname",
    "for somebody in hospital", "like last summer", "with a broken screen", "for a visiting professor",
    "as quickly as you can", "at the lowest price", "in euros instead of pounds", "by voice only", "in plain words",
    "without a password", "before anyone notices", "for the night shift", "over a slow connection",
)  # fmt: skip
WHERE = (
    "in the north of portugal", "near the central station", "at the airport desk", "in the village shop",
    "on the company portal", "during the train strike", "between christmas and easter", "on a rainy thursday",
    "at the end of the quarter", "from a borrowed laptop", "somewhere around denver", "in a town called ely",
    "after the office has closed", "while i am abroad", "within the next hour", "on the upper deck",
    "beside the river museum", "across the border", "on the second floor", "next to the bakery",
    "when the market opens", "throughout february", "at half past seven", "in the mountain hut",
    "outside the city limits", "along the old canal",
)  # fmt: skip
ANIMALS = ("otters", "magpies", "snails", "camels", "bats", "salmon", "hedgehogs", "spiders", "goats", "owls")
DEEDS = (
    "sleep",
    "hide",
    "quarrel",
    "sing",
    "travel",
    "hunt",
    "play",
    "gather",
    "dig",
    "dance",
    "wait",
    "learn",
)


def published_file() -> bytes:
    """The file as it would be downloaded."""
    named = os.environ.get("FTPORTAL_CLINC150")
    return Path(named).read_bytes() if named else _generated()


@cache
def _generated() -> bytes:
    random_ = random.Random(150)
    seen: set[str] = set()
    content: dict[str, list[list[str]]] = {name: [] for name in (*SIZES, *OUT_OF_SCOPE)}
    for verb in VERBS:
        for thing in THINGS:
            intent = f"{verb}_{thing.split(' ', 1)[1]}".replace(" ", "_")
            for name, count in SIZES.items():
                content[name] += [[_query(random_, seen, f"{verb} {thing}"), intent] for _ in range(count)]
    for name, count in OUT_OF_SCOPE.items():
        content[name] = [[_question(random_, seen), "oos"] for _ in range(count)]
    return json.dumps(content).encode()


def _query(random_: random.Random, seen: set[str], what: str) -> str:
    return _new(
        seen,
        lambda: " ".join(
            (random_.choice(OPENERS), what, *random_.sample((random_.choice(WHO), random_.choice(WHERE)), 2))
        ),
    )


def _question(random_: random.Random, seen: set[str]) -> str:
    return _new(
        seen,
        lambda: (
            f"why do {random_.choice(ANIMALS)} {random_.choice(DEEDS)} {random_.choice(WHERE)}"
            f" and never {random_.choice(DEEDS)} {random_.choice(WHO)}"
        ),
    )


def _new(seen: set[str], make: Callable[[], str]) -> str:
    text = make()
    while text in seen:
        text = make()
    seen.add(text)
    return text
