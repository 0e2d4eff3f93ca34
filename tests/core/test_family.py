"""What is said of one slope of many must hold among all of them."""

import math
import random

import pytest

from muscope.catalogue import ActivationEntry
from muscope.spec import RunSpec
from muscope.verdicts.family import Family
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict
from tests.core.grids import Law, judged, samples, study
from tests.core.verdicts import cell

FAILING = (CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED)
STUDIES = 60


def noisy(generator: random.Random, noise: float, only: str = "", exponent: float = 0.0) -> Law:
    """Flat, or one tensor that is not, with noise of every value of its own."""

    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        power = exponent if activation.name == only else 0.0
        return float(run.width**power * math.exp(noise * generator.gauss(0, 1)))

    return law


def test_healthy_studies_with_noise_seldom_fail() -> None:
    """Of 60 one may (0.98 is asked), though here every step is noise of its own.

    By the interval of every single cell 13 of them fail.
    """
    generator = random.Random(5)
    spec = study(parametrization="sp", seeds=5)
    words = [judged(spec, samples(spec, noisy(generator, 0.5))).verdict for _ in range(STUDIES)]
    assert sum(word in FAILING for word in words) <= 1


@pytest.mark.parametrize(("exponent", "word"), [(0.7, "grows"), (-0.7, "shrinks")])
def test_one_tensor_that_departs_is_found_under_noise(exponent: float, word: str) -> None:
    generator = random.Random(6)
    spec = study(parametrization="sp", seeds=5)
    law = noisy(generator, 0.25, "hidden.0", exponent)
    words = [judged(spec, samples(spec, law)).verdict for _ in range(20)]
    assert sum(found == word for found in words) >= 19  # sensitivity 0.95


def test_a_departure_that_holds_alone_is_open_among_many() -> None:
    alone = cell("t", 0.15, 0.04)
    many = [alone, *(cell(f"t{number}", 0.0, 0.04) for number in range(40))]
    assert Family([alone], 0.9).told(alone).verdict is CellVerdict.GROWS
    assert Family(many, 0.9).told(alone).verdict is CellVerdict.INCONCLUSIVE
    assert Family(many, 0.9).told(many[1]) == many[1]


def test_seeds_that_happen_to_agree_are_not_sure() -> None:
    """An interval of a hundredth beside others of four: the cell's own variance is luck."""
    lucky = cell("t", 0.13, 0.01).model_copy(update={"seeds": 3})
    others = [cell(f"t{n}", 0.0, 0.4).model_copy(update={"seeds": 3}) for n in range(9)]
    assert Family([lucky, *others], 0.9).told(lucky).verdict is CellVerdict.INCONCLUSIVE


def test_two_seeds_decide_what_is_far_from_flat_among_many() -> None:
    """Of their own error two seeds know little; that of forty tensors like it is known."""
    two = [
        one.model_copy(update={"seeds": 2}) for one in (cell("t", 0.5, 0.3), cell("u", 0.2, 0.19))
    ]
    others = [cell(f"t{n}", 0.0, 0.3).model_copy(update={"seeds": 2}) for n in range(40)]
    family = Family([*two, *others], 0.9)
    assert family.told(two[0]).verdict is CellVerdict.GROWS
    assert family.told(two[1]).verdict is CellVerdict.INCONCLUSIVE


def test_the_steps_of_a_line_count_once() -> None:
    steps = [cell("t", 0.5, 0.05, step=step) for step in range(1, 9)]
    assert Family(steps, 0.9).lines == 1


def test_what_is_open_among_many_is_neither_with_theory_nor_against_it() -> None:
    many = [cell("t", 0.15, 0.04), *(cell(f"t{number}", 0.0, 0.04) for number in range(40))]
    against: Cell = many[0].model_copy(update={"as_expected": False})
    assert Family(many, 0.9).told(against).as_expected is None
