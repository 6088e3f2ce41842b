"""Loss curves of known shape: the generating function says where the truth lies."""

import math

import numpy as np
import pytest

from apps.jobs.overfitting import FitStatus, RatioBand, diagnose_fit, ratio_band

Curve = list[tuple[int, float]]


def training(steps: int = 1000, floor: float = 0.2) -> Curve:
    return [(step, floor + 2 * math.exp(-step / 250)) for step in range(1, steps + 1, 5)]


def u_shape(noise: float = 0.0, seed: int = 0, turn: int = 400) -> Curve:
    """A parabola with its lowest point, 0.8, at `turn`; 0.0000015 per squared step."""
    rng = np.random.default_rng(seed)
    return [(s, 0.8 + 1.5e-6 * (s - turn) ** 2 + noise * rng.normal()) for s in range(50, 1001, 50)]


def test_a_clear_turn():
    diagnosis = diagnose_fit(training(), u_shape())
    assert diagnosis.status is FitStatus.OVERFITTING
    assert diagnosis.best_step == 400
    assert diagnosis.best_loss == pytest.approx(0.8)
    # The floor is the median of the three lowest, 0.80375; the parabola is 1 % above it sqrt(0.0118 / 1.5e-6) = 89
    # steps behind the turn: first seen at step 500.
    assert (diagnosis.overfitting_from, diagnosis.overfitting_to) == (500, 1000)
    assert diagnosis.advice == "Overfitting from step 500: stop, and use the checkpoint of step 400."


def test_the_turn_is_found_in_noise():
    for seed in range(20):
        diagnosis = diagnose_fit(training(), u_shape(noise=0.02, seed=seed))
        assert diagnosis.status is FitStatus.OVERFITTING
        assert diagnosis.best_step is not None
        assert diagnosis.overfitting_from is not None
        assert 250 <= diagnosis.best_step <= 550
        assert diagnosis.best_step < diagnosis.overfitting_from <= 800


def test_noise_alone_is_not_overfitting():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        level = [(s, 1.0 + 0.03 * rng.normal()) for s in range(50, 1001, 50)]
        found += diagnose_fit(training(), level).status is FitStatus.OVERFITTING
    assert found <= 10


def test_one_bad_evaluation_at_the_end_is_not_overfitting():
    falling = [(s, 0.5 + math.exp(-s / 400)) for s in range(50, 1001, 50)]
    diagnosis = diagnose_fit(training(), [*falling, (1050, 0.9)])
    assert diagnosis.status is not FitStatus.OVERFITTING
    assert diagnosis.best_step == 1000


def test_a_curve_that_still_falls():
    falling = [(s, 0.5 + math.exp(-s / 400)) for s in range(50, 1001, 50)]
    diagnosis = diagnose_fit(training(), falling)
    assert diagnosis.status is FitStatus.IMPROVING
    assert diagnosis.overfitting_from is None
    assert "let it run" in diagnosis.advice
    assert "more epochs may help" in diagnose_fit(training(), falling, finished=True).advice


def test_a_curve_that_levels_off():
    level = [(s, 0.5 + math.exp(-s / 60)) for s in range(50, 1001, 50)]
    diagnosis = diagnose_fit(training(), level, finished=True)
    assert diagnosis.status is FitStatus.FLAT
    assert "levelled off" in diagnosis.advice


def test_both_losses_rising_is_divergence():
    rising = [(step, 1.0 + step / 500) for step in range(1, 1001, 5)]
    diagnosis = diagnose_fit(rising, u_shape(turn=100))
    assert diagnosis.status is FitStatus.DIVERGING
    assert diagnosis.overfitting_from is None
    assert "learning rate" in diagnosis.advice


def test_a_loss_that_is_not_a_number():
    diagnosis = diagnose_fit(training(), [(50, 1.0), (100, 0.9), (150, math.nan)])
    assert diagnosis.status is FitStatus.DIVERGING
    assert diagnosis.best_step == 100
    assert "from step 150" in diagnosis.advice
    hopeless = diagnose_fit([], [(50, math.inf)])
    assert hopeless.best_step is None


def test_three_epochs_with_three_evaluations():
    # The smallest usual case: best in the first of three, two rising after it.
    diagnosis = diagnose_fit(training(300), [(100, 0.9), (200, 1.0), (300, 1.15)], finished=True)
    assert diagnosis.status is FitStatus.OVERFITTING
    assert (diagnosis.best_step, diagnosis.overfitting_from) == (100, 200)
    assert diagnose_fit(training(200), [(100, 0.9), (200, 1.0)]).status is FitStatus.TOO_EARLY


def test_without_validation():
    diagnosis = diagnose_fit(training(), [])
    assert diagnosis.status is FitStatus.NO_VALIDATION
    assert (diagnosis.best_step, diagnosis.ratio, diagnosis.band) == (None, None, None)


def test_without_training_losses_a_rise_is_taken_for_overfitting():
    diagnosis = diagnose_fit([], u_shape())
    assert diagnosis.status is FitStatus.OVERFITTING
    assert diagnosis.ratio is None


def test_the_ratio_of_validation_to_training_loss():
    # At step 150 the training loss lies half way between 1.0 and 0.5.
    diagnosis = diagnose_fit([(100, 1.0), (200, 0.5)], [(50, 1.2), (100, 1.1), (150, 1.0)])
    assert diagnosis.ratio == pytest.approx(1.0 / 0.75)
    assert diagnosis.band is RatioBand.MILD


@pytest.mark.parametrize(
    ("ratio", "band"),
    [
        (0.9, RatioBand.HEALTHY),
        (1.19, RatioBand.HEALTHY),
        (1.2, RatioBand.MILD),
        (1.5, RatioBand.MODERATE),
        (2.0, RatioBand.MODERATE),
        (2.01, RatioBand.SEVERE),
    ],
)
def test_bands(ratio, band):
    # The bands of Azure's fine-tuning guide: below 1.2, 1.2-1.5, 1.5-2.0, above 2.0.
    assert ratio_band(ratio) is band


def test_order_and_repeated_steps_do_not_matter():
    # A resumed run repeats steps: the later value counts.
    points = u_shape()
    assert diagnose_fit(training(), [(400, 5.0), *reversed(points)]) == diagnose_fit(training(), points)
