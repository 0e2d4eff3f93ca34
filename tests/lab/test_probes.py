"""The statistics against their definitions in float64."""

import pytest
import torch

from muscope.lab import probes


def test_statistics_are_right_to_a_millionth_on_a_million_elements() -> None:
    generator = torch.Generator().manual_seed(0)
    now, first = (3 * torch.randn(2, 512, 1024, generator=generator) + 1 for _ in range(2))
    measured = probes.statistics({"a": now}, {"a": first})[:, 0]
    exact, start = now.double().flatten(1), first.double().flatten(1)
    expected = torch.stack(
        (
            exact.abs().mean(1),
            exact.square().mean(1).sqrt(),
            (exact - start).abs().mean(1),
        ),
        dim=1,
    )
    torch.testing.assert_close(measured, expected, rtol=1e-6, atol=0)


def test_nan_and_infinity_stay_with_their_member() -> None:
    now = torch.ones(3, 4, 5)
    now[0, 0, 0], now[1, 0, 0] = torch.nan, torch.inf
    measured = probes.statistics({"a": now}, {"a": torch.ones(3, 4, 5)})[:, 0]
    assert measured[0].isnan().all()
    assert measured[1].isinf().all()
    assert measured[2].tolist() == pytest.approx([1, 1, 0], rel=1e-6)


def test_activations_keep_their_order() -> None:
    taps = {name: torch.full((1, 2, 2), float(value)) for value, name in enumerate("ba")}
    assert probes.statistics(taps, taps)[0, :, 0].tolist() == [0, 1]
