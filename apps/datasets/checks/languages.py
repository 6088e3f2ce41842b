"""A guess at the language of a text: by its script, and in Latin script by the most common little words.

An estimate, good enough to see that a tenth of the data is in another language; not to label a single short row.
"""

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from apps.core.formatting import format_number, format_percent
from apps.datasets.checks.results import (
    ACCEPT,
    ATTENTION,
    DROP_ROWS,
    INFO,
    Found,
    Item,
    Row,
    item_key,
    rows_text,
)

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

UNKNOWN = ""
STRAY_SHARE = 0.05
"""A language in fewer rows than this share, beside one that most rows are in, may have come in by mistake."""
_SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "Russian or another in Cyrillic",
    "ARABIC": "Arabic script",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "DEVANAGARI": "Hindi or another in Devanagari",
    "THAI": "Thai",
}
_LITTLE_WORDS = {
    "English": "the and is are was to of in for you my i it on with that this what how can do please not have be a an"
    " as at by from me we our your or if so when where who which would could will need get give make find set there up"
    " out about",
    "German": "der die das und ist sind ich du sie nicht ein eine zu mit auf für wie was mein meine kann bitte den dem",
    "French": "le la les et est sont je tu vous ne pas un une de des du pour avec que qui dans mon ma comment quel",
    "Spanish": "el la los las y es son yo tu usted no un una de del para con que en mi cómo qué por favor está puedo",
    "Italian": "il lo la gli e è sono io tu non un una di del per con che in mio mia come cosa posso favore della",
    "Portuguese": "o a os as e é são eu você não um uma de do da para com que em meu minha como posso favor está",
    "Dutch": "de het een en is zijn ik je u niet van voor met op dat wat hoe mijn kan alstublieft aan naar",
    "Polish": "i jest są nie w na z do się to jak co mój moja mogę proszę że czy dla po",
    "Swedish": "och är jag du inte en ett att för med på som vad hur min mitt kan det den",
    "Turkish": "ve bir bu ne nasıl için ile de da mı mi ben sen benim değil var yok lütfen",
}
_OF_WORD: dict[str, list[str]] = {}
for _language, _words in _LITTLE_WORDS.items():
    for _word in _words.split():
        _OF_WORD.setdefault(_word, []).append(_language)
_TOKENS = re.compile(r"[^\W\d_]+")
_ENOUGH_SIGNS = 2


def language_of(text: str) -> str:
    """The language that most speaks for, or "" where too little does."""
    if not text.isascii():
        scripts = Counter(
            _script(character) for character in text if character.isalpha() and character > "\u024f"
        )
        known = [(count, name) for name, count in scripts.items() if name in _SCRIPTS]
        if known and 3 * sum(count for count, _ in known) >= sum(c.isalpha() for c in text):
            names = {name for _, name in known}
            if names & {"HIRAGANA", "KATAKANA"}:
                return "Japanese"
            return _SCRIPTS[max(known)[1]]
    signs: dict[str, int] = {}
    for languages in filter(None, map(_OF_WORD.get, _TOKENS.findall(text.lower()))):
        for language in languages:
            signs[language] = signs.get(language, 0) + 1
    most = max(signs.values(), default=0)
    best = [language for language, count in signs.items() if count == most]
    return best[0] if most >= _ENOUGH_SIGNS and len(best) == 1 else UNKNOWN


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def language_findings(facts: "Facts") -> list[Found]:
    """The mix, and the rows of languages that are so rare that they may be a mistake."""
    counts = Counter(language for language in facts.languages if language)
    known = counts.total()
    if known < 50 or len(counts) < 2:
        return []
    shares = {language: count / known for language, count in counts.most_common()}
    main = next(iter(shares))
    mix = ", ".join(f"{language} {format_percent(share)}" for language, share in list(shares.items())[:5])
    stray = (
        {language for language, share in shares.items() if share < STRAY_SHARE}
        if shares[main] >= 0.8
        else set()
    )
    items = [
        Item(item_key("language", [facts.content[index]]), (Row(index, language),))
        for index, language in enumerate(facts.languages)
        if language in stray
    ]
    detail = (
        f"Estimated by script and common words: {mix}. {format_number(len(facts) - known)} rows say too little to tell."
        " What the model is asked in must be in the data; what it isn't, should not."
    )
    if items:
        return [
            Found(
                check="languages",
                code="stray_language",
                severity=ATTENTION,
                title=f"{rows_text(len(items))} in another language than {main}",
                detail=detail,
                items=items,
                actions=(DROP_ROWS, ACCEPT),
                evidence={"shares": shares},
            )
        ]
    return [
        Found(
            check="languages",
            code="language_mix",
            severity=INFO,
            title=f"{len(shares)} languages",
            detail=detail,
            items=[Item(item_key("language_mix", sorted(shares)))],
            evidence={"shares": shares},
        )
    ]
