import math
import time

import numpy as np
import pytest

from apps.jobs.downsampling import Method, downsample, smooth

METHODS: tuple[Method, ...] = ("minmax", "lttb")


def noisy(points: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(points)
    return x, np.exp(-x / points * 3) + np.random.default_rng(0).normal(0, 0.1, points)


@pytest.mark.parametrize("method", METHODS)
def test_a_short_curve_is_left_alone(method):
    series = downsample([0, 1, 2, 3], [1.0, None, math.inf, 2.0], 100, method)
    assert series.x == [0, 1, 2, 3]
    assert series.y == [1.0, None, None, 2.0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("points", [8, 200, 2000])
def test_chosen_points_are_points_of_the_curve_and_include_ends_and_extremes(method, points):
    x, y = noisy(30_000)
    series = downsample(x, y, points, method)
    assert len(series) <= points
    assert len(series) > points / 2
    original = dict(zip(x.tolist(), y.tolist(), strict=True))
    assert all(original[int(at)] == value for at, value in zip(series.x, series.y, strict=True))
    assert series.x == sorted(set(series.x))
    assert (series.x[0], series.x[-1]) == (0, 29_999)
    assert min(series.y) == y.min()  # type: ignore[type-var]
    assert max(series.y) == y.max()  # type: ignore[type-var]


def test_minmax_keeps_the_extremes_of_every_stretch():
    # The promise of M4: with 4 points a pixel column the lowest and highest of each column survive.
    x, y = noisy(10_000)
    series = downsample(x, y, 400, "minmax")
    kept = np.array(series.y, dtype=float)
    column = np.minimum((np.array(series.x) / 9999 * 100).astype(int), 99)
    everything = np.minimum((x / 9999 * 100).astype(int), 99)
    for number in range(100):
        assert kept[column == number].min() == y[everything == number].min()
        assert kept[column == number].max() == y[everything == number].max()


def test_lttb_takes_the_largest_triangle():
    # One point of each bucket (1-3 and 4-6); by hand the spikes span the largest triangles with their neighbours.
    series = downsample(range(8 + 1), [0, 0, 9, 0, 0, -9, 0, 0, 0], 8, "lttb")
    assert 2 in series.x
    assert 5 in series.x


@pytest.mark.parametrize("method", METHODS)
def test_gaps_survive(method):
    x, y = noisy(20_000)
    y[5000:5400] = np.nan
    y[12_000] = np.nan
    series = downsample(x, y, 500, method)
    gaps = [at for at, value in zip(series.x, series.y, strict=True) if value is None]
    assert any(5000 <= at < 5400 for at in gaps)
    assert 12_000 in gaps
    assert all(5000 <= at < 5400 or at == 12_000 for at in gaps)
    assert len(series) <= 500


@pytest.mark.parametrize("method", METHODS)
def test_a_curve_full_of_gaps_still_fits(method):
    x, y = noisy(20_000)
    y[::2] = np.nan
    series = downsample(x, y, 400, method)
    assert len(series) <= 400
    assert None in series.y
    assert max(value for value in series.y if value is not None) == np.nanmax(y)
    nothing = downsample(x, [None] * 20_000, 100, method)
    assert set(nothing.y) == {None}
    assert (nothing.x[0], nothing.x[-1]) == (0, 19_999)


@pytest.mark.parametrize("method", METHODS)
def test_uneven_spacing_and_a_constant_axis(method):
    x = np.sort(np.random.default_rng(2).exponential(size=5000).cumsum())
    y = np.sin(x / 100)
    series = downsample(x, y, 300, method)
    assert (series.x[0], series.x[-1]) == (x[0], x[-1])
    assert len(downsample([1.0] * 500, y[:500], 100, method)) <= 100


@pytest.mark.parametrize("method", METHODS)
def test_a_hundred_thousand_points_in_fifty_milliseconds(method):
    x, y = noisy(100_000)
    y[500:600] = np.nan
    downsample(x, y, 2000, method)
    best = math.inf
    for _ in range(3):
        started = time.process_time()
        downsample(x, y, 2000, method)
        best = min(best, time.process_time() - started)
    assert best < 0.05


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="as many"):
        downsample([1, 2], [1.0])
    with pytest.raises(ValueError, match="8 points"):
        downsample([1, 2], [1.0, 2.0], 4)


def test_smoothing_by_hand():
    # weight 0.5: averages 1, 2.5, 2.25 over 1 - 0.5, 1 - 0.25, 1 - 0.125.
    assert smooth([2.0, 4.0, 2.0], 0.5) == pytest.approx([2.0, 2.5 / 0.75, 2.25 / 0.875])


def test_smoothing_is_not_drawn_towards_zero_and_passes_gaps():
    assert smooth([3.0, 3.0, None, 3.0], 0.99) == [
        pytest.approx(3.0),
        pytest.approx(3.0),
        None,
        pytest.approx(3.0),
    ]
    assert smooth([1.0, math.nan, 5.0], 0.0) == [1.0, None, 5.0]
    assert smooth([]) == []
    with pytest.raises(ValueError, match="weight"):
        smooth([1.0], 1.0)
