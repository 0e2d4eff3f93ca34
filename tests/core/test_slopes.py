"""Slopes and their intervals keep their promises."""

import numpy as np
import pytest

from muscope.verdicts.slopes import Floats, fit

WIDTHS = (64, 128, 256, 512)


def power_law(exponent: float, cells: int = 1, seeds: int = 5) -> Floats:
    curve = np.array(WIDTHS, dtype=np.float64) ** exponent
    return np.broadcast_to(curve[None, :, None], (cells, len(WIDTHS), seeds)).copy()


@pytest.mark.parametrize("exponent", [-1.5, -0.5, 0.0, 0.25, 1.0, 3.0])
def test_an_exact_power_law_has_its_exponent_as_slope_and_no_uncertainty(exponent: float) -> None:
    values = 3.7 * power_law(exponent)
    found = fit(WIDTHS, values, values > 0)
    assert found.slope[0] == pytest.approx(exponent, abs=1e-12)
    assert found.half_width[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_covers_the_true_slope_in_nine_of_ten_studies(seeds: int) -> None:
    generator = np.random.default_rng(0)
    studies = 20_000
    values = power_law(0.5, cells=studies, seeds=seeds)
    values *= np.exp(0.05 * generator.standard_normal(values.shape))
    found = fit(WIDTHS, values, values > 0)
    covered = np.abs(found.slope - 0.5) <= found.half_width
    # 20 000 studies: the standard error of the coverage is 0.002
    assert covered.mean() == pytest.approx(0.90, abs=0.01)


def test_seeds_are_averaged_before_the_logarithm() -> None:
    values = np.array([[[1.0, 3.0], [8.0, 8.0]]])
    found = fit((1, 2), values, values > 0)
    assert found.slope[0] == pytest.approx(2.0)  # log2(8) - log2(mean(1, 3))


def test_one_seed_has_a_slope_but_no_interval() -> None:
    values = power_law(1.0, seeds=1)
    found = fit(WIDTHS, values, values > 0)
    assert found.slope_of(0) == pytest.approx(1.0)
    assert found.half_width_of(0) is None


def test_one_width_has_no_slope() -> None:
    values = power_law(1.0)
    present = np.zeros(values.shape, dtype=np.bool_)
    present[:, 0] = True
    found = fit(WIDTHS, values, present)
    assert found.slope_of(0) is None
    assert found.half_width_of(0) is None
    assert found.widths[0].tolist() == [True, False, False, False]


def test_a_missing_width_leaves_the_slope_of_the_others() -> None:
    values = power_law(1.0)
    present = np.ones(values.shape, dtype=np.bool_)
    present[:, 2] = False
    values[:, 2] = 1e9
    assert fit(WIDTHS, values, present).slope_of(0) == pytest.approx(1.0)


def test_a_seed_missing_at_one_width_is_left_out_everywhere() -> None:
    values = power_law(1.0)
    values[:, :, 4] *= np.array([1.0, 5.0, 0.2, 9.0])
    present = np.ones(values.shape, dtype=np.bool_)
    present[:, 1, 4] = False
    found = fit(WIDTHS, values, present)
    assert found.slope_of(0) == pytest.approx(1.0)
    assert found.seeds[0] == 4


def test_cells_do_not_touch_each_other() -> None:
    values = np.concatenate([power_law(1.0), np.full((1, 4, 5), np.nan), np.zeros((1, 4, 5))])
    found = fit(WIDTHS, values, np.ones(values.shape, dtype=np.bool_))
    assert found.slope_of(0) == pytest.approx(1.0)
    assert found.diverged.tolist() == [False, True, False]
    assert found.zero.tolist() == [False, False, True]
    assert found.slope_of(1) is None
    assert found.slope_of(2) is None


def test_a_zero_among_others_is_neither_hidden_nor_called_zero() -> None:
    values = power_law(0.0)
    values[0, 3, 2] = 0.0
    found = fit(WIDTHS, values, np.ones(values.shape, dtype=np.bool_))
    assert found.mixed[0]
    assert not found.zero[0]
    assert found.seeds[0] == 4


def parabola(curvature: float, *, seeds: int = 4, noise: float = 0.0) -> Floats:
    """One cell: log2 of it is a parabola in log2 of the width; seeds differ by a factor."""
    logs = np.log2(np.array(WIDTHS, dtype=np.float64))
    line = 0.3 * logs + curvature * logs**2
    scatter = noise * np.random.default_rng(5).normal(size=(len(WIDTHS), seeds))
    found: Floats = 2.0 ** (line[:, None] + scatter + np.arange(seeds) / 4)
    return found[None]


def test_the_quadratic_term_of_a_parabola_is_found_and_a_line_has_none() -> None:
    for curvature in (0.0, 0.07, -0.2):
        values = parabola(curvature)
        fits = fit(WIDTHS, values, np.ones_like(values, dtype=np.bool_))
        value, interval = fits.curvature_of(0)
        assert value == pytest.approx(curvature, abs=1e-9)
        assert interval == pytest.approx((curvature, curvature), abs=1e-9)


def test_the_interval_of_a_curvature_is_that_of_the_single_seeds() -> None:
    values = parabola(0.1, noise=0.05)
    fits = fit(WIDTHS, values, np.ones_like(values, dtype=np.bool_))
    logs = np.log2(np.array(WIDTHS, dtype=np.float64))
    single = [np.polyfit(logs, np.log2(values[0, :, seed]), 2)[0] for seed in range(4)]
    of_mean = np.polyfit(logs, np.log2(values[0].mean(axis=1)), 2)[0]
    half_width = 2.353 * np.std(single, ddof=1) / 2  # Student's t of 3 degrees of freedom, 90 %
    value, interval = fits.curvature_of(0)
    assert value == pytest.approx(of_mean)
    assert interval == pytest.approx((of_mean - half_width, of_mean + half_width), rel=1e-3)


def test_two_widths_have_no_curvature_and_a_missing_width_is_left_out() -> None:
    values = parabola(0.1)
    two = fit(WIDTHS[:2], values[:, :2], np.ones((1, 2, 4), dtype=np.bool_))
    assert two.curvature_of(0) == (None, None)
    present = np.ones_like(values, dtype=np.bool_)
    present[:, 1] = False
    value, _ = fit(WIDTHS, values, present).curvature_of(0)
    assert value == pytest.approx(0.1, abs=1e-9)


def test_the_mean_of_values_near_the_largest_float_is_finite() -> None:
    values = np.full((1, 2, 3), 1.5e308)
    found = fit((64, 128), values, np.ones_like(values, dtype=np.bool_))
    assert found.slope_of(0) == pytest.approx(0.0, abs=1e-12)  # rounding of one sum
