"""Counts before the start, against hand computations and the trainer's own rules."""

import pytest

from apps.jobs.hyperparameters import recommend, resolve
from apps.jobs.planning import RowCounts, make_plan


def settings(**given):
    recommended = recommend(method="lora", parameters=1_000_000, context_length=64, rows=1000)
    return resolve({"batch_size": 16, "epochs": 3.0, **given}, method="lora", recommended=recommended)


COUNTS = RowCounts(rows=1000, over_length=10, tokens=40_000, tokens_truncated=40_640, longest=90)


def test_rows_that_are_too_long_are_left_out():
    plan = make_plan(COUNTS, settings(), validation_rows=100, rate=None)
    # 990 rows in batches of 16: 61.9, so 62 steps an epoch, 186 in three.
    assert (plan.examples, plan.dropped_rows, plan.steps_per_epoch, plan.steps) == (990, 10, 62, 186)
    assert plan.tokens == 120_000
    assert plan.seconds is None


def test_rows_that_are_cut_stay():
    plan = make_plan(COUNTS, settings(too_long="truncate"), validation_rows=100, rate=1000.0)
    assert (plan.examples, plan.truncated_rows, plan.dropped_rows) == (1000, 10, 0)
    assert plan.tokens == 3 * 40_640
    assert plan.seconds == pytest.approx(121.92)


def test_general_rows_and_accumulation_count_in_the_steps():
    plan = make_plan(COUNTS, settings(replay_rows=600, gradient_accumulation=2), validation_rows=1, rate=None)
    # 1590 rows: 100 batches, 50 steps an epoch.
    assert (plan.steps_per_epoch, plan.steps) == (50, 150)


def test_maximum_steps_replace_the_epochs():
    assert make_plan(COUNTS, settings(max_steps=5), validation_rows=1, rate=None).steps == 5


def test_uncounted_tokens_are_unknown():
    plan = make_plan(RowCounts(rows=1000), settings(), validation_rows=1, rate=1000.0)
    assert plan.tokens is None
    assert plan.seconds is None
    assert plan.dropped_rows is None


@pytest.mark.parametrize(
    ("rows", "words", "tone", "must_confirm"),
    [
        (49, "too few", "failed", True),
        (50, "change little", "attention", False),
        (99, "change little", "attention", False),
        (100, "modest", "attention", False),
        (500, "noticeable", "info", False),
        (1000, "strong", "info", False),
        (10_000, "strong", "info", False),
        (10_001, "diminish", "info", False),
    ],
)
def test_the_size_of_the_data_is_judged(rows, words, tone, must_confirm):
    plan = make_plan(RowCounts(rows=rows), settings(), validation_rows=9, rate=None)
    assert words in plan.advice[0].text
    assert plan.advice[0].tone == tone
    assert plan.must_confirm is must_confirm


def test_missing_validation_is_said():
    plan = make_plan(RowCounts(rows=1000), settings(), validation_rows=0, rate=None)
    assert any("no validation rows" in advice.text for advice in plan.advice)
