"""The laws of Sophia-G that other optimizers do not have."""

import pytest
import torch
from torch import Tensor

from muscope.lab import engine
from muscope.lab.optimizers.sophia import Sophia
from muscope.spec import ParametrizationSpec
from tests.lab.optimizers.stepping import Member, normal, options_of, rates_of
from tests.lab.specs import run

RATE = 1e-2
RATES = rates_of([Member(RATE, 1e-30, 0.0)])


def step(gradient: Tensor, curvature: Tensor, gamma: float = 1.0) -> Tensor:
    """The first update of a weight of zero, in units of the learning rate."""
    sophia = Sophia(options_of("sophia", {"gamma": gamma, "beta1": 0.0, "beta2": 0.0}))
    start = torch.zeros_like(gradient)
    state = sophia.with_curvature(sophia.start(start), curvature)
    return sophia.update(start, gradient, state=state, rates=RATES, step=1)[0] / -RATE


def test_no_entry_moves_further_than_the_learning_rate_and_small_ones_move_as_newton_would() -> (
    None
):
    gradient, curvature = normal(1, 20, 20), normal(1, 20, 20, seed=1).square()
    moved, newton = step(gradient, curvature), gradient / curvature
    inside = newton.abs() < 1
    assert 0.2 < inside.double().mean() < 0.8  # both happen
    torch.testing.assert_close(moved[inside], newton[inside])
    torch.testing.assert_close(moved[~inside], gradient[~inside].sign())


def test_without_curvature_it_is_the_sign_of_a_momentum() -> None:
    gradient = normal(1, 5, 7)
    assert torch.equal(step(gradient, torch.zeros_like(gradient)) * RATE, gradient.sign() * RATE)


def test_an_unclipped_step_follows_its_coordinates_as_newtons_does() -> None:
    """In w' = w / c the gradient is c g, the curvature c^2 h, and the step is that of w over c."""
    gradient, curvature, c = normal(1, 5, 7), 10 + normal(1, 5, 7, seed=1).square(), 3.0
    moved = step(gradient, curvature)
    torch.testing.assert_close(step(c * gradient, c**2 * curvature), moved / c)


@pytest.mark.parametrize(("every", "updates"), [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [1, 4, 7])])
def test_estimates_come_before_the_first_update_and_every_k_after_it(
    every: int, updates: list[int]
) -> None:
    sophia = Sophia(options_of("sophia", {"hessian_frequency": every}))
    assert [update for update in range(1, 8) if sophia.wants_curvature(update)] == updates


def test_the_curvature_is_a_mean_over_estimates_and_an_update_does_not_change_it() -> None:
    sophia = Sophia(options_of("sophia", {"beta2": 0.75}))
    one = torch.ones(1, 2, 3, dtype=torch.float64)
    state = sophia.start(one)
    for estimate in (4 * one, 8 * one):
        state = sophia.with_curvature(state, estimate)
        _, state = sophia.update(one, one, state=state, rates=RATES, step=1)
    torch.testing.assert_close(state[1], (0.75 * 0.25 * 4 + 0.25 * 8) * one)


def trained(form: str, gamma: float) -> list[float]:
    """The losses of an MLP under that table of µP."""
    member = run(optimizer="sophia", learning_rate=1e-2, options={"gamma": gamma}, steps=4)
    table = ParametrizationSpec(name="mup", options={"zero_readout": False, "form": form})
    variant = member.variant.model_copy(update={"parametrization": table})
    records = engine.train([member.model_copy(update={"variant": variant})])
    return [record.progress[0].train_loss for record in records]


def test_mups_tables_are_one_where_everything_is_clipped_and_not_where_gamma_acts() -> None:
    """A multiplier moves gradient and curvature by different powers; no table moves gamma."""
    # float32: only the order of a multiplication differs
    assert trained("table3", 1e-6) == pytest.approx(trained("table8", 1e-6), rel=1e-4)
    assert trained("table3", 1e3) != pytest.approx(trained("table8", 1e3), rel=1e-2)
