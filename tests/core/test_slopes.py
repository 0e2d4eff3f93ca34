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
