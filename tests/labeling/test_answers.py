"""Each kind of answer: what is kept, and what is refused."""

import pytest

from apps.labeling.answers import AnswerError, ItemTexts, checked_value

ITEM = ItemTexts(question="My phone 📱 broke", answer="Sorry.", candidates=3)
LABELS = {"labels": [{"value": "a"}, {"value": "b"}, {"value": "c"}]}


@pytest.mark.parametrize(
    ("kind", "options", "given", "kept"),
    [
        ("choose_one", LABELS, "b", "b"),
        ("choose_one", LABELS, None, None),
        ("choose_several", LABELS, ["c", "a"], ["a", "c"]),
        ("choose_several", LABELS, [], None),
        ("rate", {"low": 1, "high": 5}, "4", 4),
        ("rate", {"low": -2, "high": 2}, -2, -2),
        ("text", {}, "Hm, perhaps", "Hm, perhaps"),
        ("text", {}, "   ", None),
        ("edit", {}, "Very sorry.", "Very sorry."),
        ("prefer", {}, "2", "2"),
        ("prefer", {"ties": True}, "tie", "tie"),
        ("prefer", {}, "3", "3"),
        ("rank", {}, [["3"], ["1"], ["2"]], [["3"], ["1"], ["2"]]),
        ("rank", {"ties": True}, [["3", "1"], ["2"]], [["1", "3"], ["2"]]),
        ("verdict", {}, "reject", "reject"),
        ("spans", LABELS, [], []),
        # Code points: the picture of a phone is one, whatever UTF-16 says.
        (
            "spans",
            LABELS,
            [{"start": 9, "end": 10, "label": "b"}, {"start": 3, "end": 8, "label": "a"}],
            [{"start": 3, "end": 8, "label": "a"}, {"start": 9, "end": 10, "label": "b"}],
        ),
    ],
)
def test_an_answer_is_kept_in_one_form(kind, options, given, kept):
    assert checked_value(kind, options, given, ITEM) == kept


@pytest.mark.parametrize(
    ("kind", "options", "given"),
    [
        ("choose_one", LABELS, "d"),
        ("choose_one", LABELS, ["a"]),
        ("choose_one", LABELS, {"a": 1}),
        ("choose_several", LABELS, "a"),
        ("choose_several", LABELS, ["a", "d"]),
        ("choose_several", LABELS | {"least": 2}, ["a"]),
        ("choose_several", LABELS | {"most": 1}, ["a", "b"]),
        ("rate", {"low": 1, "high": 5}, 6),
        ("rate", {"low": 1, "high": 5}, True),
        ("rate", {"low": 1, "high": 5}, "four"),
        ("rate", {"low": 1, "high": 5}, 2.5),
        ("text", {"most_characters": 3}, "four"),
        ("text", {}, "a\x00b"),
        ("text", {}, "a\ud800b"),
        ("text", {}, 5),
        ("prefer", {}, "tie"),
        ("prefer", {}, "4"),
        ("rank", {}, [["1", "2"], ["3"]]),
        ("rank", {}, [["1"], ["2"]]),
        ("rank", {}, [["1"], ["1"], ["2"]]),
        ("rank", {}, "1"),
        ("verdict", {}, "maybe"),
        ("spans", LABELS, [{"start": 0, "end": 99, "label": "a"}]),
        ("spans", LABELS, [{"start": 3, "end": 3, "label": "a"}]),
        ("spans", LABELS, [{"start": 0, "end": 2, "label": "z"}]),
        ("spans", LABELS, ["a"]),
    ],
)
def test_what_does_not_answer_the_question_is_refused(kind, options, given):
    with pytest.raises(AnswerError):
        checked_value(kind, options, given, ITEM)
