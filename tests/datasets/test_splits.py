"""The rule of the split, from outside: shares, strata, groups, and the same result everywhere."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from apps.datasets.split_rows import SplitRow
from apps.datasets.splits import assign_splits


def content(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()


def rows_of(count: int, answers: int = 1, group_size: int = 0) -> list[SplitRow]:
    return [
        SplitRow(content(i), f"answer {i % answers}", f"group {i // group_size}" if group_size else "")
        for i in range(count)
    ]


def split(rows, seed=42, validation=0.1, test=0.1):
    return assign_splits(rows, seed=seed, validation_share=validation, test_share=test).splits


@pytest.mark.parametrize("count", [10, 50, 100, 1000, 997])
def test_shares_are_kept_to_the_row(count):
    sizes = Counter(split(rows_of(count)))
    assert abs(sizes["validation"] - count / 10) < 1
    assert abs(sizes["test"] - count / 10) < 1
    assert sum(sizes.values()) == count


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.0, 0.2), (0.25, 0.0), (0.3, 0.3)])
def test_a_split_without_a_share_gets_nothing(shares):
    sizes = Counter(split(rows_of(200, answers=7), validation=shares[0], test=shares[1]))
    assert sizes["validation"] == pytest.approx(200 * shares[0], abs=2)
    assert sizes["test"] == pytest.approx(200 * shares[1], abs=2)
    assert (sizes["validation"] == 0) == (shares[0] == 0)


def test_every_answer_is_divided_alike():
    rows = rows_of(1000, answers=10)
    by_answer: dict[str, Counter[str]] = defaultdict(Counter)
    for row, name in zip(rows, split(rows), strict=True):
        by_answer[row.answer][name] += 1
    assert all(counts == {"train": 80, "validation": 10, "test": 10} for counts in by_answer.values())


def test_many_small_strata_keep_the_shares_of_the_whole():
    sizes = Counter(split(rows_of(12 * 40, answers=40)))
    assert abs(sizes["validation"] - 48) <= 1
    assert abs(sizes["test"] - 48) <= 1


def test_rare_answers_share_a_stratum_and_many_answers_are_not_stratified():
    def strata(rows):
        return assign_splits(rows, seed=1, validation_share=0.1, test_share=0.1).strata

    assert strata(rows_of(100, answers=10)) == 10
    assert strata(rows_of(100, answers=20)) == 1  # five rows each: all rare, one stratum together
    assert strata([*rows_of(100, answers=4), SplitRow(content("x"), "rare")]) == 5
    assert strata(rows_of(2000, answers=151)) == 151
    assert strata(rows_of(4000, answers=201)) == 1
    assert strata(rows_of(100, answers=1)) == 1


def test_groups_and_duplicates_never_cross():
    rows = [
        SplitRow(content(i % 700), f"answer {i % 5}", f"group {i % 90}" if i % 2 else "") for i in range(1000)
    ]
    names = split(rows)
    for key in (lambda row: row.content_hash, lambda row: row.group):
        seen: dict[str, set[str]] = defaultdict(set)
        for row, name in zip(rows, names, strict=True):
            if key(row):
                seen[key(row)].add(name)
        assert all(len(found) == 1 for found in seen.values())


def test_a_chain_of_group_and_duplicate_stays_together():
    rows = [
        SplitRow("a", "x", "1"),
        SplitRow("b", "x", "1"),
        SplitRow("b", "x", "2"),
        SplitRow("c", "x", "2"),
    ]
    for seed in range(20):
        assert len(set(split(rows, seed=seed, validation=0.3, test=0.3))) == 1


def test_the_result_depends_on_the_seed_and_on_nothing_else():
    rows = rows_of(300, answers=3)
    assert split(rows, seed=7) == split(rows, seed=7)
    assert split(rows, seed=7) != split(rows, seed=8)


def test_a_row_keeps_its_split_when_the_order_of_the_file_changes():
    rows = rows_of(300, answers=3, group_size=4)
    forwards = dict(zip((row.content_hash for row in rows), split(rows), strict=True))
    backwards = dict(zip((row.content_hash for row in rows[::-1]), split(rows[::-1]), strict=True))
    assert forwards == backwards


def test_ten_rows_by_hand():
    """One stratum, shares 80/10/10. After n rows train should have 0.8 n, the others 0.1 n each.

    Behind are, row by row (train, validation, test): 1: .8 .1 .1; 2: .6 .2 .2; 3: .4 .3 .3, all train. 4: .2 .4 .4, a
    tie, so validation. 5: 1 -.5 .5 and 6: .8 -.4 .6, train. 7: .6 -.3 .7, so test. Then 1.4, 1.2 and 1 for train.
    """
    in_line = sorted(range(10), key=lambda digit: hashlib.sha256(f"42:{content(digit)}".encode()).digest())
    by_digit = split([SplitRow(content(digit), "x") for digit in range(10)])
    assert [by_digit[digit] for digit in in_line] == [
        "train", "train", "train", "validation", "train", "train", "test", "train", "train", "train"
    ]  # fmt: skip


def test_shares_beyond_the_whole_are_refused():
    with pytest.raises(ValueError, match="exceed"):
        split(rows_of(10), validation=0.6, test=0.6)


def test_rows_that_were_tested_on_stay_in_test_with_what_belongs_to_them():
    rows = rows_of(1000, answers=10, group_size=5)
    tested = {17, 333, 720}
    marked = [replace(row, tested=index in tested) for index, row in enumerate(rows)]
    result = assign_splits(marked, seed=7, validation_share=0.1, test_share=0.1)
    held = {index for index in range(1000) if index // 5 in {t // 5 for t in tested}}
    assert {result.splits[index] for index in held} == {"test"}
    assert result.held == 15
    sizes = Counter(result.splits)
    assert sizes["test"] == pytest.approx(100, abs=6)
    assert sizes["validation"] == pytest.approx(100, abs=6)


def test_without_a_test_share_only_what_was_tested_on_is_in_test():
    marked = [replace(row, tested=index < 30) for index, row in enumerate(rows_of(300, answers=3))]
    result = assign_splits(marked, seed=7, validation_share=0.1, test_share=0.0)
    assert [index for index, name in enumerate(result.splits) if name == "test"] == list(range(30))


def test_given_splits_stay_and_carry_over_to_the_same_content_and_group():
    rows = [
        SplitRow("a", "x"),
        SplitRow("b", "x", "g"),
        SplitRow("a", "x"),
        SplitRow("c", "y", "g"),
        *(SplitRow(f"n{number}", "y") for number in range(10)),
    ]
    given = ["test", "validation", "", ""] + [""] * 10
    result = assign_splits(rows, seed=1, validation_share=0.1, test_share=0.1, given=given)
    assert result.splits[:4] == ["test", "validation", "test", "validation"]
    rest = assign_splits(rows[4:], seed=1, validation_share=0.1, test_share=0.1)
    assert result.splits[4:] == rest.splits
    everything = assign_splits(rows[:2], seed=1, validation_share=0.5, test_share=0.4, given=["test", "test"])
    assert everything.splits == ["test", "test"]


def test_the_same_rows_and_seed_give_the_same_splits_again():
    rows = rows_of(500, answers=7, group_size=3)
    first = split(rows)
    again = [replace(row, tested=name == "test") for row, name in zip(rows, first, strict=True)]
    assert split(again) == first
    other = split(again, seed=7)
    assert other != first
    assert all(name == "test" for name, row in zip(other, again, strict=True) if row.tested)


def test_given_splits_give_way_where_an_earlier_version_tested():
    rows = [
        SplitRow("a", "x", tested=True),
        SplitRow("b", "x", "g"),
        SplitRow("c", "x", "g", tested=True),
        SplitRow("d", "y", cluster="near-1"),
        SplitRow("e", "y", cluster="near-1"),
    ]
    given = ["train", "train", "", "validation", ""]
    result = assign_splits(rows, seed=1, validation_share=0.1, test_share=0.1, given=given)
    assert result.splits == ["test", "test", "test", "validation", "validation"]
    assert result.held == 3


def test_the_same_given_splits_give_the_same_splits_again():
    rows = rows_of(500, answers=7, group_size=3)
    given = ["test" if index < 60 else "" for index in range(500)]
    first = assign_splits(rows, seed=42, validation_share=0.1, test_share=0.1, given=given).splits
    again = [replace(row, tested=name == "test") for row, name in zip(rows, first, strict=True)]
    assert assign_splits(again, seed=42, validation_share=0.1, test_share=0.1, given=given).splits == first
