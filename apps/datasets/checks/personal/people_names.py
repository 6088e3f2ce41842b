"""Names of people, by lists of first and last names and by the words around them. No Django, no model.

The lists are those of the package Faker (extra `ftportal[names]`), which has them for some 80 languages and regions.
They are looked up only where capital letters mark a name, so names in small letters, single first names, and names in
scripts without capitals are not found.

Why so: docs/adr/0013-names-by-lists.md.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from apps.datasets.checks.personal.hits import NAME, Hit

PACKAGE = "faker.providers.person"
_WORD = r"[^\W\d_]+(?:['’\-][^\W\d_]+)*"
_IS_WORD = re.compile(_WORD)
_RUN = re.compile(rf"(?<![\w@./\-]){_WORD}(?:[ \t](?:[^\W\d_]\.|{_WORD}))+(?![\w@])")
_TITLES = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herr|Frau|Monsieur|Madame|Mme|Señor|Señora|Sr|Sra|Signor|Signora)\b\.?[ \t]"
    rf"(?P<name>{_WORD}(?:[ \t]{_WORD}){{0,2}})"
)
_INTRODUCED = re.compile(
    r"(?i:\b(?:my name is|my name's|mein name ist|ich heiße|je m'appelle|me llamo|mi nombre es|mi chiamo|mijn naam is))"
    rf"[ \t](?P<name>{_WORD}(?:[ \t]{_WORD}){{0,2}})"
)
_BETWEEN = "al bin da de del den der di dos du el la le van von zu"
_PARTICLES = frozenset(_BETWEEN.split())
# First or last names that are ordinary words as well: two of them in a row are no name by themselves.
_WORDS = """
Al An Angel April Art August Autumn Baker Bank Banks Bay Bell Best Bill Black Blue Book Booth Branch Brook
Brown Bush Can Carpenter Case Cash Chance Charity Chase Christian City Clay Cook Cross Dale Dawn Day Dean
Dollar Do Early Earth East Faith Farmer Field Fields Fish Forest Fox Frank French Gay Glass Glen Gold Good
Grace Grant Gray Green Guy Hall Harmony Heaven Hill Holiday Holland Hope House Hunter Ice Im Island Ivory Ivy
Jade Jack Joy Judge June Junior Justice Key King Knight Lake Lane Law Liberty Lily Little Long Love Major Man
Mark Marks Marsh Mason May Mercedes Mercy Miles Mill Miller Mills Moon Moss My North Oak Olive Page Paris Park
Parks Parsons Pearl Penny Pike Pole Pool Pope Power Price Prince Queen Ray Reed Rich River Rivers Rock Rod
Rose Rusty Sage Sale Sales Sandy Savage Season Short Sky Small Smart Snow So South Spring Star Steel Sterling
Stone Street Strong Summer Sun Sunny Swift Taylor Temple Terry Trinity Turner Valley Van Violet Wall Ward
Waters Way Wells West White Will Wills Win Winter Winters Wise Wolf Wood Woods Worth Young London Berlin
Madrid Florence Vienna Sydney Austin Dallas Houston Chester Lincoln Washington Jordan Georgia Virginia
Carolina Israel India China Chad Kenya America Asia
"""
_WORDS_TOO = frozenset(_WORDS.split())


@dataclass(frozen=True)
class NameLists:
    first: frozenset[str]
    last: frozenset[str]


def lists_of(first: Iterable[str], last: Iterable[str]) -> NameLists:
    """Only what is written with a capital and has more than two letters."""

    def usable(names: Iterable[str]) -> frozenset[str]:
        return frozenset(
            name for name in names if len(name) > 2 and name[0].isupper() and _IS_WORD.fullmatch(name)
        )

    return NameLists(usable(first), usable(last))


@lru_cache(maxsize=1)
def packaged_lists() -> NameLists:
    """The lists of all languages in the package; about a second, once in a process."""
    first: set[str] = set()
    last: set[str] = set()
    for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__):
        provider = importlib.import_module(f"{PACKAGE}.{module.name}").Provider
        for name in dir(provider):
            if name.startswith("first_name"):
                first.update(_texts(getattr(provider, name)))
            elif name.startswith("last_name"):
                last.update(_texts(getattr(provider, name)))
    return lists_of(first, last)


def _texts(value: object) -> list[str]:
    """Lists come as tuples, or as dictionaries with frequencies; anything else is a method."""
    return [str(one) for one in value] if isinstance(value, dict | tuple | list | set) else []


def names(text: str, lists: NameLists) -> Iterator[Hit]:
    """Full names, and names after a title or an introduction; hits may overlap."""
    for pattern, rule in ((_TITLES, "title"), (_INTRODUCED, "introduction")):
        for found in pattern.finditer(text):
            length = _capitalised(found["name"])
            if length:
                yield Hit(NAME, found.start("name"), found.start("name") + length, rule)
    for run in _RUN.finditer(text):
        yield from _full_names(run, lists)


def _capitalised(text: str) -> int:
    """How many characters the words with a capital take up, from the beginning."""
    end = 0
    for word in _IS_WORD.finditer(text):
        if not word[0][0].isupper():
            break
        end = word.end()
    return end


def _full_names(run: re.Match[str], lists: NameLists) -> Iterator[Hit]:
    """A first name, perhaps a second one, an initial or a particle, and a last name."""
    words = list(re.finditer(r"\S+", run[0]))
    index = 0
    while index < len(words) - 1:
        last = _last_name_behind(words, index, lists)
        if last is None:
            index += 1
            continue
        yield Hit(NAME, run.start() + words[index].start(), run.start() + words[last].end(), "lists")
        index = last + 1


def _last_name_behind(words: list[re.Match[str]], index: int, lists: NameLists) -> int | None:
    first = words[index][0]
    if first not in lists.first:
        return None
    for place in range(index + 1, min(index + 4, len(words))):
        word = words[place][0]
        if word in lists.last and not (first in _WORDS_TOO and word in _WORDS_TOO):
            return place
        between = word in lists.first or word in _PARTICLES or (len(word) == 2 and word.endswith("."))
        if not between:
            return None
    return None
