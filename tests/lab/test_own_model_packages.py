"""Models of the packages `mup` and `unit_scaling`, audited as their users write them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from muscope.catalogue.rules import Choice
from muscope.lab import own_model
from muscope.own_model import infer
from muscope.verdicts import audit as auditor
from muscope.verdicts.audit import Audit, Quantity
from tests import needs

mup: Any = needs.package("mup", "pip install --no-deps mup==1.0.0")
unit_scaling: Any = needs.package("unit_scaling", "pip install unit-scaling")

BASE, DELTA, WIDE = 32, 64, 128
WITH_OPTIMIZER = tuple[nn.Module, torch.optim.Optimizer]


class Network(nn.Module):
    """Embedding, one hidden layer in two matrices, and mup's readout."""

    def __init__(self, n: int, *, is_tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, n)
        self.up = nn.Linear(n, 4 * n)
        self.down = nn.Linear(4 * n, n)
        self.norm = nn.LayerNorm(n)
        self.readout = (
            mup.MuSharedReadout(self.embedding.weight, bias=False)
            if is_tied
            else mup.MuReadout(n, 50)
        )


def with_base_shapes(n: int, *, is_tied: bool = False) -> nn.Module:
    base, delta = (Network(size, is_tied=is_tied) for size in (BASE, DELTA))
    model: nn.Module = mup.set_base_shapes(Network(n, is_tied=is_tied), base, delta=delta)
    return model


def with_mu_adamw(n: int) -> WITH_OPTIMIZER:
    model = with_base_shapes(n)
    return model, mup.MuAdamW(model.parameters(), lr=1e-3, weight_decay=0.1)


def with_mu_sgd(n: int) -> WITH_OPTIMIZER:
    model = with_base_shapes(n)
    return model, mup.MuSGD(model.parameters(), lr=1e-3)


def with_torch_s_adamw(n: int) -> WITH_OPTIMIZER:
    """`mup.AdamW` is torch's class, re-exported: facts 9.2."""
    model = with_base_shapes(n)
    return model, mup.AdamW(model.parameters(), lr=1e-3)


def tied(n: int) -> WITH_OPTIMIZER:
    model = with_base_shapes(n, is_tied=True)
    return model, mup.MuAdamW(model.parameters(), lr=1e-3)


def rescaled_twice(n: int) -> WITH_OPTIMIZER:
    model: Any = with_base_shapes(n)
    model.readout._has_rescaled_params = False
    model.readout._rescale_parameters()
    return model, mup.MuAdamW(model.parameters(), lr=1e-3)


def audited(build: Callable[[int], object], parametrization: str = "mup") -> Audit:
    models = own_model.build_all(build, (BASE, DELTA, WIDE), None, lambda line: None)
    return auditor.audit(models, infer(models), Choice(parametrization, {}))


@pytest.mark.parametrize("build", [with_mu_adamw, with_mu_sgd])
def test_a_model_of_mup_is_table_8_with_the_multiplier_in_sight(
    build: Callable[[int], object],
) -> None:
    found = audited(build)
    assert [finding.sentence() for finding in found.deviations] == []
    assert any(
        "(Table 8), multiplies by m^-1, as it should: readout.weight" in note
        for note in found.notes
    )


@pytest.mark.parametrize(
    ("build", "quantity", "parameter", "words"),
    [
        (with_torch_s_adamw, Quantity.RATE, "up.weight", "MuAdam"),
        (tied, Quantity.STD, "embedding.weight", "mup#55"),
        (rescaled_twice, Quantity.STD, "readout.weight", "√m too much"),
    ],
)
def test_faults_that_mup_s_users_have_reported_are_named(
    build: Callable[[int], object], quantity: Quantity, parameter: str, words: str
) -> None:
    findings = {
        finding.quantity: finding
        for finding in audited(build).deviations
        if parameter in finding.parameters
    }
    assert words in findings[quantity].mistake


def test_a_readout_without_base_shapes_is_named() -> None:
    sentences = [finding.sentence() for finding in audited(Network).deviations]
    assert any("set_base_shapes of mup was never called" in sentence for sentence in sentences)


class UnitScaled(nn.Module):
    """The same with unit-scaled layers."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.embedding = unit_scaling.Embedding(50, n)
        self.up = unit_scaling.Linear(n, 4 * n, bias=False)
        self.down = unit_scaling.Linear(4 * n, n, bias=False)
        self.readout = unit_scaling.LinearReadout(n, 50, bias=False)


def with_unit_scaled_adamw(n: int) -> WITH_OPTIMIZER:
    model = UnitScaled(n)
    return model, unit_scaling.optim.AdamW(model.parameters(), lr=1.0)


def test_a_model_of_unit_scaling_follows_u_mup() -> None:
    found = audited(with_unit_scaled_adamw, "u_mup")
    assert [finding.sentence() for finding in found.deviations] == []


def test_a_model_of_unit_scaling_is_not_table_8_without_its_multipliers() -> None:
    found = audited(with_unit_scaled_adamw)
    assert {finding.quantity for finding in found.deviations} == {Quantity.STD, Quantity.RATE}
