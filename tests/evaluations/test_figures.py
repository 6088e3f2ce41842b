import pytest

from apps.evaluations.figures import (
    Estimate,
    flip_bar,
    forest_plot,
    matrix_difference_figure,
    matrix_figure,
    nice_axis,
    whisker_plot,
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


def test_an_axis_of_shares_ends_at_zero_and_one():
    axis = nice_axis([0.02, 1.0], width=100, lowest=0.0, highest=1.0)
    assert (axis.low, axis.high) == (0.0, 1.0)
    assert axis.position(0.25) == 25


def test_an_axis_for_one_value_or_none_has_some_length():
    for values in ([0.5], [], [float("nan")]):
        axis = nice_axis(values, width=100)
        assert axis.low < axis.high
        assert len(axis.ticks) >= 2


def test_whisker_plot():
    plot = whisker_plot(
        [
            Estimate(label="base", value=0.6, low=0.5, high=0.7),
            Estimate(label="tuned", value=0.9, low=0.85, high=0.95, emphasis=True),
            Estimate(label="not measured", value=None),
        ],
        width=200,
        row_height=20,
    )
    assert (plot.axis.low, plot.axis.high) == (0.5, 1.0)
    assert plot.height == 60
    base, tuned, missing = plot.rows
    # 0.6 lies a fifth of the way from 0.5 to 1.0.
    assert (base.left, base.x, base.right, base.y) == (0, 40, 80, 10)
    assert (tuned.left, tuned.x, tuned.right) == (140, 160, 180)
    assert (missing.x, missing.left, missing.y) == (None, None, 50)
    assert plot.best == 1
    assert whisker_plot([Estimate(label="x", value=None)]).best is None


def test_the_first_of_equal_values_is_the_best():
    assert whisker_plot([Estimate(label="a", value=0.5), Estimate(label="b", value=0.5)]).best == 0


def test_forest_plot_has_zero_and_the_margin_on_its_axis():
    plot = forest_plot([Estimate(label="prompt", value=0.07, low=0.04, high=0.1)], margin=0.03, width=140)
    assert [tick.value for tick in plot.axis.ticks] == pytest.approx([-0.05, 0, 0.05, 0.1])
    assert plot.zero == pytest.approx(140 / 3, abs=0.01)
    assert plot.band_right == plot.zero
    assert plot.band_left == pytest.approx(140 * 0.02 / 0.15, abs=0.01)
    assert forest_plot([Estimate(label="prompt", value=0.07)]).band_left is None


def test_an_interval_beyond_the_axis_is_cut_and_marked():
    plot = whisker_plot([Estimate(label="a", value=0.98, low=0.93, high=1.2)])
    assert plot.axis.high == 1.0
    assert plot.rows[0].cut_right
    assert not plot.rows[0].cut_left
    assert plot.rows[0].right == plot.width


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


def test_matrix_of_differences_is_signed():
    figure = matrix_difference_figure(["a"], ["a", "b"], [[9, 1]], [[5, 5]])
    assert [(cell.count, cell.shade) for cell in figure.cells[0]] == [(4, 3), (-4, -3)]
    assert figure.cells[0][1].share == pytest.approx(-0.4)


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
