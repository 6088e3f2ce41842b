"""What two texts are compared by: sets of overlapping pieces, and their Jaccard similarity.

A text of many words is taken apart into words and pairs of neighbouring words: similar only where it says the same,
however often the same few words come up in the data. Short texts, and texts without spaces between words, are taken
apart into three characters at a time, so that a slip of the pen is still the same text. Around the border a text has
both, so that no pair falls between the two.
"""

from typing import Any

from apps.datasets.checks.texts import words_of

WORDS_FROM = 20
CHARACTERS_BELOW = 25
SHINGLE = 3


def word_shingles(words: list[str]) -> set[str]:
    """Empty for a text that is too short to be compared by words."""
    if len(words) < WORDS_FROM:
        return set()
    return {*words, *(f"{one} {other}" for one, other in zip(words, words[1:], strict=False))}


def character_shingles(words: list[str]) -> set[str]:
    """Empty for a text that is long enough to be compared by words alone, or that has no word."""
    if not words or len(words) >= CHARACTERS_BELOW:
        return set()
    text = f" {' '.join(words)} "
    return {text[start : start + SHINGLE] for start in range(len(text) - SHINGLE + 1)}


def jaccard(one: set[Any], other: set[Any]) -> float:
    """Shared pieces over all pieces; 0 where there is nothing to compare."""
    if not one or not other:
        return 0.0
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def similarity(one: str, other: str) -> float:
    """By words or by characters, whichever says more, of those that both texts have."""
    first, second = words_of(one), words_of(other)
    return max(
        jaccard(word_shingles(first), word_shingles(second)),
        jaccard(character_shingles(first), character_shingles(second)),
    )
