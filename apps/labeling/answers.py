"""What may stand in an answer: the options of each kind of question, and the check of a value. No Django.

| Kind | Options | Value |
| --- | --- | --- |
| choose_one | `labels`, `ordered` (ordinal agreement) | `"refund"` |
| choose_several | `labels`, `least`, `most` | `["late", "rude"]`, in the order of the options |
| rate | `low`, `high` (whole numbers), `low_text`, `high_text`, `step_texts` | `4` |
| text | `most_characters` | `"any text"` |
| edit | (starts from the assistant's last answer) | `"the edited answer"` |
| write | | `"the answer"` |
| prefer | `ties` | `"1"`, `"2"`, …, or `"tie"`: the number of the candidate answer in the item |
| rank | `ties` | `[["2"], ["1", "3"]]`: best first, equals together |
| spans | `labels`, `about`: `"answer"` or `"question"` | `[{"start": 0, "end": 4, "label": "name"}]`, sorted |
| verdict | | `"accept"` or `"reject"` |

`labels` is a list of `{"value": …, "help": …}`; starts and ends of spans count code points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_CHARACTERS = 100_000
MOST_SPANS = 1000
TIE = "tie"
VERDICTS = ("accept", "reject")

CATEGORICAL = frozenset({"choose_one", "prefer", "verdict"})
TEXTUAL = frozenset({"text", "edit", "write"})


class AnswerError(ValueError):
    """The value does not answer the question; the message says why, for the person."""


@dataclass(frozen=True)
class ItemTexts:
    """What of an item a check needs: the texts that spans stand in, and how many candidate answers there are."""

    question: str
    answer: str
    candidates: int


def label_values(options: Mapping[str, Any]) -> list[str]:
    return [str(label["value"]) for label in options.get("labels", ())]


def checked_value(kind: str, options: Mapping[str, Any], value: Any, item: ItemTexts) -> Any:
    """The value in its one stored form; None if nothing was answered. Raises `AnswerError`."""
    if value is None or value in ("", []):
        # An empty list of spans says that there are none: that is an answer.
        return [] if kind == "spans" and value == [] else None
    return _CHECKS[kind](options, value, item)


def _choose_one(options: Mapping[str, Any], value: Any, item: ItemTexts) -> str:
    if value not in label_values(options):
        raise AnswerError(f"{value!r} is not one of the labels.")
    return str(value)


def _choose_several(options: Mapping[str, Any], value: Any, item: ItemTexts) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise AnswerError("Choose labels from the list.")
    known = label_values(options)
    unknown = [one for one in value if one not in known]
    if unknown:
        raise AnswerError(f"{unknown[0]!r} is not one of the labels.")
    chosen = [label for label in known if label in value]
    least, most = options.get("least") or 0, options.get("most")
    if len(chosen) < least:
        raise AnswerError(f"Choose at least {least}.")
    if most and len(chosen) > most:
        raise AnswerError(f"Choose at most {most}.")
    return chosen


def _rate(options: Mapping[str, Any], value: Any, item: ItemTexts) -> int:
    low, high = int(options.get("low", 1)), int(options.get("high", 5))
    number = _whole(value)
    if number is None or not low <= number <= high:
        raise AnswerError(f"The rating is a whole number from {low} to {high}.")
    return number


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _text(options: Mapping[str, Any], value: Any, item: ItemTexts) -> str | None:
    if not isinstance(value, str):
        raise AnswerError("The answer is a text.")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise AnswerError("The text holds a character that cannot be stored. Remove it and submit again.")
    most = min(int(options.get("most_characters") or MOST_CHARACTERS), MOST_CHARACTERS)
    if len(value) > most:
        raise AnswerError(f"The text has {len(value)} characters; at most {most} are kept.")
    return value if value.strip() else None


def _prefer(options: Mapping[str, Any], value: Any, item: ItemTexts) -> str:
    allowed = [str(number) for number in range(1, max(2, item.candidates) + 1)]
    if value not in allowed + ([TIE] if options.get("ties") else []):
        raise AnswerError("Choose one of the answers" + (", or a tie." if options.get("ties") else "."))
    return str(value)


def _rank(options: Mapping[str, Any], value: Any, item: ItemTexts) -> list[list[str]]:
    wanted = {str(number) for number in range(1, item.candidates + 1)}
    if not isinstance(value, list) or not all(isinstance(group, list) and group for group in value):
        raise AnswerError("Put the answers into an order.")
    flat = [str(one) for group in value for one in group]
    if len(flat) != len(set(flat)) or set(flat) != wanted:
        raise AnswerError("Each answer stands in the order exactly once.")
    if not options.get("ties") and len(value) != len(flat):
        raise AnswerError("Two answers cannot share a place here.")
    return [sorted((str(one) for one in group), key=int) for group in value]


def _spans(options: Mapping[str, Any], value: Any, item: ItemTexts) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MOST_SPANS:
        raise AnswerError(f"At most {MOST_SPANS} spans can be marked.")
    length = len(item.answer if options.get("about") == "answer" else item.question)
    known = label_values(options)
    spans = []
    for span in value:
        if not isinstance(span, Mapping):
            raise AnswerError("A span has a start, an end and a label.")
        start, end, label = _whole(span.get("start")), _whole(span.get("end")), span.get("label")
        if start is None or end is None or not 0 <= start < end <= length:
            raise AnswerError("A span lies outside the text. Reload the page and mark it again.")
        if label not in known:
            raise AnswerError(f"{label!r} is not one of the labels.")
        spans.append((start, end, str(label)))
    return [{"start": start, "end": end, "label": label} for start, end, label in sorted(set(spans))]


def _verdict(options: Mapping[str, Any], value: Any, item: ItemTexts) -> str:
    if value not in VERDICTS:
        raise AnswerError("Accept or reject the answer.")
    return str(value)


_CHECKS = {
    "choose_one": _choose_one,
    "choose_several": _choose_several,
    "rate": _rate,
    "text": _text,
    "edit": _text,
    "write": _text,
    "prefer": _prefer,
    "rank": _rank,
    "spans": _spans,
    "verdict": _verdict,
}
