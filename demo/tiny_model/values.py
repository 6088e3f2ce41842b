"""Lists of plain values: names, cities, things, and the parts that made-up labels are built from."""

from pathlib import Path

FILE = Path(__file__).parent / "wordings" / "names.txt"


def read(path: Path) -> dict[str, list[str]]:
    """Lists by the name in their `# name` line; `(none)` is the empty value."""
    lists: dict[str, list[str]] = {}
    for block in path.read_text(encoding="utf-8").split("# ")[1:]:
        name, _, body = block.partition("\n")
        values = [value.strip() for value in " ".join(body.split("\n")).split("|")]
        lists[name] = ["" if value == "(none)" else value for value in values if value]
    return lists


LISTS = read(FILE)
PEOPLE, SURNAMES, CITIES = LISTS["people"], LISTS["surnames"], LISTS["cities"]
THINGS, APPS = LISTS["things"], LISTS["apps"]
MONTHS, WEEKDAYS = LISTS["months"], LISTS["weekdays"]
WORDS = LISTS["words"]
TOPIC_KEYS, LEVEL_KEYS = LISTS["topic_keys"], LISTS["level_keys"]
MOOD_KEYS, OTHER_KEYS = LISTS["mood_keys"], LISTS["other_keys"]
ONSETS, VOWELS = LISTS["onsets"], LISTS["vowels"]
CODAS, ENDINGS = LISTS["codas"], LISTS["endings"]
