"""Every optimizer of the lab agrees with torch.optim over several steps."""

import pytest
import torch
from torch import Tensor

from muscope import catalogue
from muscope.lab.optimizers import OPTIMIZERS
from muscope.lab.optimizers.optimizer import Rates

LEARNING_RATES = (1e-3, 3e-2)
EPSILONS = (1e-16, 1e-3)
DECAYS = (0.0, 0.3)


def ours(name: str, options: catalogue.Options, start: Tensor, gradients: list[Tensor]) -> Tensor:
    """Both members stepped as one stack."""
    optimizer = OPTIMIZERS[name](options)
    weight, state = start, optimizer.start(start)
    columns = [torch.tensor(pair)[:, None, None] for pair in (LEARNING_RATES, EPSILONS, DECAYS)]
    for step, gradient in enumerate(gradients, start=1):
        weight, state = optimizer.update(
            weight, gradient, state=state, rates=Rates(*columns), step=step
        )
    return weight


def reference(
    name: str, options: catalogue.Options, start: Tensor, gradients: list[Tensor], member: int
) -> Tensor:
    """One member stepped by torch.optim."""
    weight = torch.nn.Parameter(start[member].clone())
    if name == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            [weight],
            lr=LEARNING_RATES[member],
            betas=(float(options["beta1"]), float(options["beta2"])),
            eps=EPSILONS[member],
            weight_decay=DECAYS[member],
        )
    else:
        optimizer = torch.optim.SGD(
            [weight], lr=LEARNING_RATES[member], momentum=float(options["momentum"])
        )
    for gradient in gradients:
        weight.grad = gradient[member].clone()
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("member", [0, 1])
@pytest.mark.parametrize(
    ("name", "given"),
    [("adamw", {}), ("adamw", {"beta1": 0.5}), ("sgd", {}), ("sgd", {"momentum": 0.9})],
)
def test_five_steps_equal_those_of_torch(
    name: str, given: dict[str, catalogue.OptionValue], member: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    options = catalogue.complete_options(given, catalogue.OPTIMIZERS[name].options)
    start = torch.randn(2, 5, 7, generator=generator)
    gradients = [torch.randn(2, 5, 7, generator=generator) * 1e-3 for _ in range(5)]
    expected = reference(name, options, start, gradients, member)
    mine = ours(name, options, start, gradients)[member]
    torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)  # float32, 5 steps


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_update_leaves_its_arguments_alone(name: str) -> None:
    options = catalogue.complete_options({}, catalogue.OPTIMIZERS[name].options)
    start, gradient = torch.ones(2, 3, 3), torch.full((2, 3, 3), 0.5)
    ours(name, options, start, [gradient, gradient])
    assert torch.equal(start, torch.ones(2, 3, 3))
    assert torch.equal(gradient, torch.full((2, 3, 3), 0.5))


def test_every_optimizer_of_the_catalogue_can_be_stepped() -> None:
    assert set(OPTIMIZERS) == set(catalogue.OPTIMIZERS)
