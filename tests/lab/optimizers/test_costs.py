"""The cost that a plan counts for an update is what the lab's optimizers take."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from muscope import catalogue
from muscope.catalogue.optimizer_costs import curvature_estimates, update_cost
from muscope.lab import optimizers
from muscope.lab.optimizers.optimizer import CurvatureOptimizer, Rates
from muscope.lab.optimizers.sophia import Sophia
from muscope.vocabulary import Role

SHAPES = [(12, 20), (20, 12)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("role", [Role.HIDDEN, Role.EMBEDDING])
@pytest.mark.parametrize("name", catalogue.OPTIMIZERS)
def test_state_and_products_are_those_of_a_real_update(
    name: str, role: Role, shape: tuple[int, int]
) -> None:
    options = catalogue.with_defaults({}, catalogue.OPTIMIZERS[name].options)
    optimizer = optimizers.build(name, options, role)
    weight, gradient = torch.randn(2, 1, *shape)
    rates = Rates(*torch.full((3, 1, 1, 1), 1e-3))
    state = optimizer.start(weight)
    for step in (1, 2):  # SOAP's first update only starts its bases
        with FlopCounterMode(display=False) as counter:
            weight, state = optimizer.update(weight, gradient, state=state, rates=rates, step=step)
    said = update_cost(name, role, shape, options)
    assert said.state == sum({part.data_ptr(): part.numel() for part in state}.values())
    decompositions = {"shampoo": 9.0, "soap": (2 + 8 / 3) / 10}.get(name, 0.0)
    counted = counter.get_total_flops() + decompositions * sum(size**3 for size in shape)
    assert said.flops == (pytest.approx(counted) if role is Role.HIDDEN else 0)


@pytest.mark.parametrize("frequency", [1, 3, 10])
def test_gradients_for_curvature_are_those_that_the_optimizer_wants(frequency: int) -> None:
    options = catalogue.complete_options(
        {"hessian_frequency": frequency}, catalogue.OPTIMIZERS["sophia"].options
    )
    wants = Sophia(options).wants_curvature
    for updates in range(1, 25):
        wanted = sum(wants(update) for update in range(1, updates + 1))
        assert curvature_estimates("sophia", updates, options) == wanted
    assert curvature_estimates("adamw", 24, {}) == 0


def test_optimizers_of_curvature_are_those_that_draw_labels() -> None:
    """What a spec is refused for, and a plan counts, is what the lab does."""
    for name, entry in catalogue.OPTIMIZERS.items():
        options = catalogue.with_defaults({}, entry.options)
        made = optimizers.OPTIMIZERS[name](options)
        assert isinstance(made, CurvatureOptimizer) == entry.draws_labels
