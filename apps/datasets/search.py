"""Words that a person typed, as a Postgres text query."""

import re

QUERY_CHARACTERS = 200
_TERMS = re.compile(r'"([^"]*)"|(\S+)')


def text_query(words: str) -> str:
    """What the person typed as a Postgres text query: all words, the last one by its beginning; "in quotes": a phrase.

    Empty when there is nothing to search for. The beginning of a word costs the index all words that begin so, which
    for several words at once is too slow over a million rows; the last one is that which is still being typed.
    """
    terms = []
    for phrase, word in _TERMS.findall(words.replace("\x00", "")[:QUERY_CHARACTERS]):
        text = phrase or word
        if not any(character.isalnum() for character in text):
            continue
        terms.append((bool(phrase), "'" + text.replace("\\", " ").replace("'", "''") + "'"))
    if not terms:
        return ""
    is_phrase, last = terms.pop()
    return " & ".join([*(quoted for _, quoted in terms), last if is_phrase else f"{last}:*"])
