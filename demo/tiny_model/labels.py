"""Made-up label and key names, so that a model must read what a label means instead of knowing the label."""

import random
import string

from demo.tiny_model import values


def syllables(rng: random.Random) -> str:
    count = rng.choice((1, 2, 2, 2, 3))
    word = "".join(
        rng.choice(values.ONSETS)
        + rng.choice(values.VOWELS)
        + rng.choice(values.CODAS if i == count - 1 else [""])
        for i in range(count)
    )
    return word + (rng.choice(values.ENDINGS) if rng.random() < 0.35 else "")


def letters(rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 5)))


def invented(rng: random.Random) -> str:
    """One name of a random make: syllables, a plain unrelated word, letters, or two parts joined."""
    roll = rng.random()
    if roll < 0.5:
        return syllables(rng)
    if roll < 0.78:
        return rng.choice(values.WORDS)
    if roll < 0.86:
        return letters(rng)
    first = syllables(rng) if rng.random() < 0.5 else rng.choice(values.WORDS)
    return first + rng.choice("-_") + rng.choice(values.WORDS)


def cased(rng: random.Random, names: list[str]) -> list[str]:
    roll = rng.random()
    if roll < 0.72:
        return names
    return [n.upper() for n in names] if roll < 0.84 else [n[0].upper() + n[1:] for n in names]


def distinct(rng: random.Random, count: int) -> list[str]:
    names: list[str] = []
    while len(names) < count:
        name = invented(rng)
        if name not in names:
            names.append(name)
    return cased(rng, names)


def series(rng: random.Random, count: int) -> list[str]:
    """Names that differ in a digit or letter only: K1 K2 K3, level-1, A B C, 10 20 30."""
    roll = rng.random()
    letter = rng.choice(string.ascii_uppercase)
    start = rng.choice((0, 1, 1, 1, 1, 2))
    numbers = [str(start + i) for i in range(count)]
    if roll < 0.6:
        return [letter + n for n in numbers]
    if roll < 0.7:
        stem = rng.choice((letter, syllables(rng)))
        return [f"{stem}-{n}" for n in numbers]
    if roll < 0.8:
        return list(string.ascii_uppercase[:count])
    if roll < 0.9:
        return numbers
    return [n + letter.lower() for n in numbers]


def key_names(rng: random.Random, pools: list[list[str]]) -> list[str]:
    """One key for each pool, all different; a third of them invented."""
    keys: list[str] = []
    for pool in pools:
        while True:
            key = invented(rng) if rng.random() < 0.35 else rng.choice(pool)
            if key not in keys:
                keys.append(key)
                break
    return keys
