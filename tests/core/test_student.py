"""Student's t by arithmetic, against the numeric library."""

import pytest
from scipy.special import stdtr, stdtrit

from muscope.verdicts import student


@pytest.mark.parametrize("freedom", [1, 1.3, 2, 4.7, 9, 200, 5000])
def test_quantile_and_tail_are_those_of_scipy(freedom: float) -> None:
    for confidence in (0.5, 0.9, 0.99, 0.999_99):
        known = float(stdtrit(freedom, (1 + confidence) / 2))
        # the same function in double precision; scipy itself is good to about 1e-10 far out
        assert student.quantile(freedom, confidence) == pytest.approx(known, rel=1e-8)
        assert student.tail(freedom, known) == pytest.approx(
            float(stdtr(freedom, -known)), rel=1e-8
        )


def test_the_tail_is_symmetric() -> None:
    assert student.tail(3, 0.0) == pytest.approx(0.5)
    assert student.tail(3, -1.5) == pytest.approx(1 - student.tail(3, 1.5))
