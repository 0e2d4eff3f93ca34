"""The sizes of tensors against their definitions in float64."""

import pytest
import torch
from torch import Tensor

from muscope.lab import probes
from muscope.vocabulary import Statistic

SIZES = (Statistic.L1, Statistic.RMS, Statistic.CHANGE, Statistic.MEAN, Statistic.MAX_ABS)


def sizes(now: Tensor, first: Tensor) -> Tensor:
    found = probes.sizes(now, first, SIZES)
    return torch.stack([found[statistic] for statistic in SIZES], dim=1)


def exact(now: Tensor, first: Tensor) -> Tensor:
    now, first = now.double().flatten(1), first.double().flatten(1)
    rms = now.square().mean(1).sqrt()
    change = (now - first).abs().mean(1)
    return torch.stack((now.abs().mean(1), rms, change, now.mean(1), now.abs().amax(1)), dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sizes_are_right_to_a_millionth_on_a_million_elements(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    now, first = (
        (3 * torch.randn(2, 512, 1024, generator=generator) + 1).to(dtype) for _ in range(2)
    )
    torch.testing.assert_close(sizes(now, first), exact(now, first), rtol=1e-6, atol=0)


def test_nan_and_infinity_stay_with_their_member() -> None:
    now = torch.ones(3, 4, 5)
    now[0, 0, 0], now[1, 0, 0] = torch.nan, torch.inf
    measured = sizes(now, torch.ones(3, 4, 5))
    assert measured[0].isnan().all()
    assert measured[1].isinf().all()
    assert measured[2].tolist() == pytest.approx([1, 1, 0, 1, 1], rel=1e-6)


def test_nothing_is_computed_that_was_not_asked() -> None:
    assert set(probes.sizes(torch.ones(1, 2, 2), torch.ones(1, 2, 2), (Statistic.RMS,))) == {"rms"}


def test_sizes_and_those_of_an_update_are_those_of_the_tensor_and_the_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    now, first, before = (torch.randn(3, 512, 1024, generator=generator) for _ in range(3))
    own, of_update = probes.sized_with_update(now, (first, before), (SIZES, SIZES))
    both = (
        (own, probes.sized(now, first, SIZES)),
        (of_update, probes.sized(now - before, now, SIZES)),
    )
    for found, alone in both:
        for name, values in zip(found.statistics, found.values, strict=True):
            place = alone.statistics.index(name)
            # pieces and the order in which they are added up are the same
            torch.testing.assert_close(values, alone.values[place], rtol=0, atol=0)
    assert set(own.statistics) - set(of_update.statistics) == {Statistic.CHANGE}
