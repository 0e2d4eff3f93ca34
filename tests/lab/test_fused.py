"""What is read at once, against PyTorch's reading of the same tensors."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from muscope.lab import fused, probes
from muscope.vocabulary import Statistic

SIZES = (Statistic.L1, Statistic.RMS, Statistic.CHANGE, Statistic.MEAN, Statistic.MAX_ABS)
RTOL = 1e-6
"""What lab/probes.py promises of float32 sums; those read at once are of float64."""

Three = tuple[Tensor, Tensor, Tensor]


def three(*shape: int, dtype: torch.dtype = torch.float32) -> Three:
    """Tensors now, first and before, of sums that do not cancel."""
    generator = torch.Generator().manual_seed(0)
    now, first, before = (torch.rand(3, *shape, generator=generator) + 0.5).to(dtype)
    return now, first, before


def assert_alike(tensors: Three) -> None:
    """Both ways of reading find the same of a tensor, its change and its update."""
    now, first, before = tensors
    with probes.at_once():
        alone = probes.sized(now, first, SIZES)
        both = probes.sized_with_update(now, (first, before), (SIZES, SIZES))
    expected = probes.sized(now, first, SIZES)
    of_update = probes.sized_with_update(now, (first, before), (SIZES, SIZES))[1]
    for found, known in ((alone, expected), (both[0], expected), (both[1], of_update)):
        assert found.statistics == known.statistics
        # of an update's mean, whose signs differ, what rounding leaves of numbers of size 1
        torch.testing.assert_close(found.values, known.values, rtol=RTOL, atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 7), (5, 1023), (3, 33, 65), (2, 3, 1025)])
def test_both_readings_are_alike(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    assert_alike(three(*shape, dtype=dtype))


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "in columns": lambda tensor: tensor.mT,
    "interleaved members": lambda tensor: tensor.transpose(0, 1),
    "every second row": lambda tensor: tensor[:, ::2],
    "every second member": lambda tensor: tensor[::2],
    "a part of the rows": lambda tensor: tensor[:, 3:40],
    "a part of each row": lambda tensor: tensor[..., 3:40],
    "one member for all": lambda tensor: tensor[:1].expand(4, -1, -1),
    "channels last": lambda tensor: tensor[..., None].movedim(1, -1),
}
OTHER_LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "one row for all": lambda tensor: tensor[:, :1].expand(-1, 9, -1),
    "every second number": lambda tensor: tensor[..., ::2],
    "two strides": lambda tensor: tensor.view(6, 8, 8, 48)[:, :, :5, :40],
    "numbers": lambda tensor: tensor[:, 0, :1].expand(-1, 5),
}


@pytest.mark.parametrize("arrange", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_changes_nothing(arrange: Callable[[Tensor], Tensor]) -> None:
    now, first, before = (arrange(tensor) for tensor in three(6, 64, 48))
    assert fused.sums(now, first, before) is not None
    assert_alike((now, first, before))
    assert_alike((now, first.contiguous(), before))


@pytest.mark.parametrize("arrange", OTHER_LAYOUTS.values(), ids=OTHER_LAYOUTS)
def test_what_lies_in_no_rows_is_left_to_pytorch(arrange: Callable[[Tensor], Tensor]) -> None:
    now, first, before = (arrange(tensor) for tensor in three(6, 64, 48))
    assert fused.sums(now, first, before) is None
    assert_alike((now, first, before))


@pytest.mark.parametrize("arrange", [*LAYOUTS.values(), *OTHER_LAYOUTS.values()])
def test_moves_are_what_is_left_of_subtracting(arrange: Callable[[Tensor], Tensor]) -> None:
    """Whole and measured, in every layout, whoever reads."""
    now, first, before = (arrange(tensor) for tensor in three(6, 64, 48))
    with probes.at_once():
        found = probes.sized_with_moves(now, (first, before), (SIZES, SIZES))
        alone = probes.sizes_of(now - first)
    assert torch.equal(found.moved, now - first)
    assert torch.equal(found.update, now - before)
    expected = probes.sized_with_update(now, (first, before), (SIZES, SIZES))
    for one, other in zip((found.sizes, found.update_sizes), expected, strict=True):
        # of a mean, whose signs differ, what rounding leaves of numbers of size 1
        torch.testing.assert_close(one.values, other.values, rtol=RTOL, atol=1e-7)
    for name, values in alone.items():
        torch.testing.assert_close(found.moved_sizes[name], values, rtol=RTOL, atol=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_at_most_so_large_is_counted(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    monkeypatch.setattr(fused, "THREAD", 2**10)
    values = three(3, 40, 129)[0] - 1.0
    values[0, 0, :4] = torch.tensor([0.0, -0.0, torch.nan, torch.inf])
    borders = [(torch.le, 0.25), (torch.le, 0.0), (torch.le, torch.inf)]
    with probes.at_once():
        found = probes.counts(values, borders)
    for count, other in zip(found, probes.counts(values, borders), strict=True):
        assert count.tolist() == other.tolist()


def test_a_layout_that_only_some_threads_can_read_is_left_to_pytorch() -> None:
    """The last of two parts is one slice long, which has rows; the first has not."""
    view = torch.ones(1, 3, 1100, 800)[:, :, :1000, :700]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert fused.sums(view, view) is None
    finally:
        torch.set_num_threads(threads)


def test_tensors_without_numbers_are_left_to_pytorch() -> None:
    assert fused.sums(torch.ones(2, 0), torch.ones(2, 0)) is None


@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1024, 2999])
def test_nan_and_infinity_are_found_and_stay_with_their_member(value: float, place: int) -> None:
    now, first, before = three(3, 3000)
    now[1, place] = value
    assert_alike((now, first, before))


def test_infinities_that_cancel_are_no_number() -> None:
    now, first, before = three(2, 2000)
    now[0, 0], now[0, 1500], first[0, 0], before[0, 0] = math.inf, -math.inf, math.inf, math.inf
    assert_alike((now, first, before))
    with probes.at_once():
        found = probes.sizes(now, first, SIZES)
    assert [float(found[name][0]) for name in (Statistic.L1, Statistic.MAX_ABS)] == [math.inf] * 2
    assert found[Statistic.MEAN].isnan().tolist() == [True, False]
    assert found[Statistic.CHANGE].isnan().tolist() == [True, False]


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-25, 1e25, 3e38])
def test_the_smallest_and_the_largest_numbers_have_sizes(size: float) -> None:
    """Where float32 has no squares, PyTorch's reading has none."""
    now = torch.full((2, 3, 700), size)
    with probes.at_once():
        found = probes.sizes(now, torch.zeros_like(now), SIZES)
    for name in SIZES:
        assert found[name].tolist() == pytest.approx([float(now[0, 0, 0])] * 2, rel=1e-12)


def test_threads_find_what_one_finds() -> None:
    """In parts of each member that differ in length, and in members that are interleaved."""
    threads = torch.get_num_threads()
    for tensors in (three(2, 1025, 1025), tuple(of.transpose(0, 1) for of in three(1025, 2, 1025))):
        tensors[0][1, -1, -1] = math.nan
        torch.set_num_threads(1)
        try:
            alone = fused.sums(*tensors)
            torch.set_num_threads(3)
            together = fused.sums(*tensors)
        finally:
            torch.set_num_threads(threads)
        assert alone is not None
        assert together is not None
        # float64 sums in another order
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-9, equal_nan=True)
