import pytest

from apps.evaluations.figures import (
    Estimate,
    flip_bar,
    forest_plot,
    matrix_figure,
    nice_axis,
)
from apps.evaluations.statistics import PairedCounts


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.78, 0.94], [0.75, 0.8, 0.85, 0.9, 0.95]),
        ([-0.031, 0.102], [-0.05, 0.0, 0.05, 0.1, 0.15]),
        ([0.0, 10.0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        ([-0.4, 0.2], [-0.4, -0.2, 0.0, 0.2]),
    ],
)
def test_ticks_are_round_numbers_that_cover_the_values(values, ticks):
    axis = nice_axis(values, width=100)
    assert [tick.value for tick in axis.ticks] == pytest.approx(ticks)
    assert (axis.ticks[0].position, axis.ticks[-1].position) == (0, 100)
    assert axis.position(values[0]) >= 0
    assert axis.position(values[1]) <= 100


def test_an_axis_for_one_value_or_none_has_some_length():
    for values in ([0.5], [], [float("nan")]):
        axis = nice_axis(values, width=100)
        assert axis.low < axis.high
        assert len(axis.ticks) >= 2


def test_a_value_and_its_interval_are_placed_in_their_row():
    plot = forest_plot(
        [
            Estimate(label="base", value=-0.05, low=-0.1, high=0.0),
            Estimate(label="not measured", value=None),
        ],
        width=200,
        row_height=20,
    )
    assert (plot.axis.low, plot.axis.high) == (-0.1, 0.0)
    assert plot.height == 40
    base, missing = plot.rows
    assert (base.left, base.x, base.right, base.y) == (0, 100, 200, 10)
    assert (missing.x, missing.left, missing.y) == (None, None, 30)


def test_forest_plot_has_zero_and_the_margin_on_its_axis():
    plot = forest_plot([Estimate(label="prompt", value=0.07, low=0.04, high=0.1)], margin=0.03, width=140)
    assert [tick.value for tick in plot.axis.ticks] == pytest.approx([-0.05, 0, 0.05, 0.1])
    assert plot.zero == pytest.approx(140 / 3, abs=0.01)
    assert plot.band_right == plot.zero
    assert plot.band_left == pytest.approx(140 * 0.02 / 0.15, abs=0.01)
    assert forest_plot([Estimate(label="prompt", value=0.07)]).band_left is None


def test_matrix_is_shaded_by_the_share_of_its_row():
    figure = matrix_figure(["a", "b"], ["a", "b", "(invalid)"], [[90, 9, 1], [0, 3, 0]], cell=10)
    assert [[cell.shade for cell in row] for row in figure.cells] == [[6, 1, 1], [0, 6, 0]]
    assert [[cell.hit for cell in row] for row in figure.cells] == [
        [True, False, False],
        [False, True, False],
    ]
    assert figure.cells[0][1].share == pytest.approx(0.09)
    assert (figure.cells[1][2].x, figure.cells[1][2].y) == (20, 10)
    assert (figure.width, figure.height) == (30, 20)


def test_an_empty_row_of_a_matrix_is_blank():
    assert [cell.shade for cell in matrix_figure(["a"], ["a", "b"], [[0, 0]]).cells[0]] == [0, 0]


def test_flip_bar_in_proportion():
    bar = flip_bar(PairedCounts(fixed=100, broken=50, same_right=300, same_wrong=50), width=500)
    assert [(part.key, part.x, part.width) for part in bar] == [
        ("fixed", 0, 100),
        ("same_right", 100, 300),
        ("same_wrong", 400, 50),
        ("broken", 450, 50),
    ]
    assert bar[0].share == 0.2


def test_a_single_broken_item_stays_visible():
    bar = flip_bar(PairedCounts(fixed=0, broken=1, same_right=9999, same_wrong=0), width=500, least=5)
    assert [(part.key, part.width) for part in bar] == [("same_right", 495), ("broken", 5)]
    assert flip_bar(PairedCounts(0, 0, 0, 0)) == ()
    tiny = flip_bar(PairedCounts(1, 1, 1, 997), width=12, least=5)
    assert sum(part.width for part in tiny) == pytest.approx(12)
