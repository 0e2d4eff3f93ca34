"""Contributions and alignments against their definitions in float64, of matrices large enough that
a processor may multiply them in bfloat16."""

import math

import pytest
import torch
from torch import Tensor

from muscope.catalogue import WeightEntry, WeightKind
from muscope.lab import probes
from muscope.lab.effects import Effects, Moved
from muscope.vocabulary import Role, Statistic

BFLOAT16 = 2 * 2**-8 / math.log(128)
"""Two factors rounded to 8 bits, all alike at worst, as a logarithm to the base fan_in >= 128."""
ALIGNMENTS = (Statistic.ALIGN_W, Statistic.ALIGN_X, Statistic.ALIGN_WX)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rms(values: Tensor) -> Tensor:
    return values.square().mean((1, 2)).sqrt()


def matrix(rows: int, columns: int) -> WeightEntry:
    return WeightEntry("w", Role.HIDDEN, columns, rows, rows * columns)


def moved(start: Tensor, by: Tensor) -> Moved:
    return Moved(start, by, probes.sizes_of(by))


def defined(weight: Moved, x_0: Tensor, x_t: Tensor) -> dict[Statistic, Tensor]:
    start, by, first = weight.start.double(), weight.values.double(), x_0.double()
    drift = x_t.double() - first
    found = {Statistic.CONTRIBUTION: (first @ by.mT).abs().mean((1, 2))}
    pairs = ((by, first), (start, drift), (by, drift))
    for name, (factor, inputs) in zip(ALIGNMENTS, pairs, strict=True):
        ratio = rms(inputs @ factor.mT) / (rms(factor) * rms(inputs))
        found[name] = ratio.log() / math.log(factor.shape[2])
    return found


@pytest.mark.parametrize(("rows", "columns", "examples"), [(256, 128, 512), (128, 256, 64)])
def test_effects_are_what_they_are_defined_as(rows: int, columns: int, examples: int) -> None:
    """Of a sign-like update, whose entries round alike, by squares of inputs and without."""
    start, steps = drawn(2, rows, columns, seed=1), drawn(2, rows, examples, seed=2)
    x_0 = drawn(2, examples, columns, seed=3)
    x_t = x_0 + 0.1 * x_0[:, :1] + 0.01 * drawn(2, examples, columns, seed=4)
    weight = moved(start, 3e-3 * (steps @ x_0).sign())
    found = Effects({"w": matrix(rows, columns)}).of("w", weight, (x_0, x_t), alignments=True)
    for name, expected in defined(weight, x_0, x_t).items():
        # float32 sums of a hundred terms, or what bfloat16 leaves of a ratio
        rtol, atol = (0.0, BFLOAT16) if name in ALIGNMENTS else (1e-5, 0.0)
        torch.testing.assert_close(found[name].double(), expected, rtol=rtol, atol=atol, msg=name)


def test_inputs_that_never_change_have_nothing_to_align() -> None:
    x_0 = drawn(2, 16, 128, seed=5)
    weight = moved(drawn(2, 128, 128, seed=6), drawn(2, 128, 128, seed=7))
    found = Effects({"w": matrix(128, 128)}).of("w", weight, (x_0, x_0), alignments=True)
    assert found[Statistic.ALIGN_W].isfinite().all()
    assert not any(found[name].isfinite().any() for name in ALIGNMENTS[1:])


def test_a_table_contributes_the_rows_that_are_looked_up() -> None:
    entry = WeightEntry("w", Role.EMBEDDING, 1, 4, 20, kind=WeightKind.TABLE)
    by = drawn(2, 5, 4, seed=8)
    indices = torch.tensor([[0, 3, 3], [4, 1, 0]])
    found = Effects({"w": entry}).of("w", moved(by, by), (indices, indices), alignments=True)
    expected = torch.stack([of[rows].abs().mean() for of, rows in zip(by, indices, strict=True)])
    assert found.keys() == {Statistic.CONTRIBUTION}
    torch.testing.assert_close(found[Statistic.CONTRIBUTION].float(), expected)
