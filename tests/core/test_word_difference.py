import random
import time

import pytest

from apps.core.word_difference import Segment, word_difference


def restored(segments: list[Segment]) -> tuple[str, str]:
    return (
        "".join(segment.text for segment in segments if segment.op != "insert"),
        "".join(segment.text for segment in segments if segment.op != "delete"),
    )


def test_one_word_changed():
    assert word_difference("the quick brown fox", "the quick red fox") == [
        Segment("equal", "the quick "),
        Segment("delete", "brown"),
        Segment("insert", "red"),
        Segment("equal", " fox"),
    ]


def test_labels_on_lines():
    assert word_difference("category: billing\npriority: P2", "category: bug\npriority: P2") == [
        Segment("equal", "category: "),
        Segment("delete", "billing"),
        Segment("insert", "bug"),
        Segment("equal", "\npriority: P2"),
    ]


def test_a_space_between_two_changed_words_is_part_of_the_change():
    assert word_difference("say old words now", "say new things now") == [
        Segment("equal", "say "),
        Segment("delete", "old words"),
        Segment("insert", "new things"),
        Segment("equal", " now"),
    ]


def test_added_punctuation_and_lines():
    assert word_difference("Yes", "Yes.\n") == [Segment("equal", "Yes"), Segment("insert", ".\n")]


@pytest.mark.parametrize("text", ["", "same words\n  here"])
def test_equal_texts(text):
    assert word_difference(text, text) == ([Segment("equal", text)] if text else [])


def test_empty_against_something():
    assert word_difference("", "a b") == [Segment("insert", "a b")]
    assert word_difference("a b", "") == [Segment("delete", "a b")]


def test_markup_is_left_alone():
    segments = word_difference("<b>x</b>", "<script>x</script>")
    assert restored(segments) == ("<b>x</b>", "<script>x</script>")


def test_both_texts_can_be_restored_from_the_segments():
    rng = random.Random(5)
    pieces = ["a", "bé", "don't", " ", "  ", "\n", "\t", ",", "…", "日本", "1.5", "\r\n", "\u2028"]
    for _ in range(400):
        before, after = ("".join(rng.choices(pieces, k=rng.randrange(12))) for _ in range(2))
        segments = word_difference(before, after)
        assert restored(segments) == (before, after)
        assert all(segment.text for segment in segments)
        assert all(one.op != two.op for one, two in zip(segments, segments[1:], strict=False))
        assert not any(
            one.op == "insert" and two.op == "delete"
            for one, two in zip(segments, segments[1:], strict=False)
        )


@pytest.mark.parametrize("words", [5_000, 60_000])
def test_long_answers_are_fast(words):
    rng = random.Random(1)
    before = [rng.choice(["alpha", "beta", "gamma", "delta", f"word{i}"]) for i in range(words)]
    after = [word if rng.random() < 0.9 else "changed" for word in before]
    lines = ["\n" if i % 12 == 11 else " " for i in range(words)]
    texts = tuple(
        "".join(word + end for word, end in zip(side, lines, strict=True)) for side in (before, after)
    )
    started = time.process_time()
    segments = word_difference(*texts)
    assert time.process_time() - started < 1.0
    assert restored(segments) == texts
