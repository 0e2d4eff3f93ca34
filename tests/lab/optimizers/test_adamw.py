"""The fused update of large weights is the one that is written out."""

import pytest
import torch
from torch import Tensor

from muscope.lab.optimizers import adamw
from muscope.lab.optimizers.adam import Adam
from muscope.lab.optimizers.adamw import AdamW
from muscope.lab.optimizers.optimizer import Rates

MEMBERS, ROWS, COLUMNS = 3, 256, 128
OPTIONS = {"beta1": 0.9, "beta2": 0.95}


def rates() -> Rates:
    def column(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None, None]

    return Rates(column(1e-3, 1e-1, 0.0), column(1e-8, 1e-3, 1e-16), column(0.0, 0.1, 0.3))


def trained(optimizer: AdamW, layout: str) -> tuple[Tensor, ...]:
    """The weight and its moments after five updates, from gradients in that order of memory."""
    numbers = torch.Generator().manual_seed(0)
    weight = torch.randn(MEMBERS, ROWS, COLUMNS, generator=numbers, dtype=torch.float64)
    state = optimizer.start(weight)
    for step in range(1, 6):
        gradient = torch.randn(MEMBERS, ROWS, COLUMNS, generator=numbers, dtype=torch.float64)
        if layout == "transposed":
            gradient = gradient.mT.contiguous().mT
        weight, state = optimizer.update(weight, gradient, state=state, rates=rates(), step=step)
    return weight, *state


@pytest.mark.parametrize("layout", ["in order", "transposed"])
@pytest.mark.parametrize("kind", [AdamW, Adam])
def test_a_large_weight_gets_the_same_update(
    kind: type[AdamW], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ROWS * COLUMNS >= adamw.FUSED_FROM
    fused = trained(kind(OPTIONS), layout)
    monkeypatch.setattr(adamw, "FUSED_FROM", ROWS * COLUMNS + 1)
    written_out = trained(kind(OPTIONS), layout)
    for one, other in zip(fused, written_out, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)  # float64, another order


def test_the_weight_before_a_fused_update_is_kept() -> None:
    """Who observes updates still holds it."""
    before = torch.ones(MEMBERS, ROWS, COLUMNS)
    AdamW(OPTIONS).update(
        before,
        torch.ones_like(before),
        state=AdamW(OPTIONS).start(before),
        rates=Rates(*(of.float() for of in rates())),
        step=1,
    )
    assert (before == 1).all()
