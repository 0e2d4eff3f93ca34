"""The abc-symmetry, trained: Tables 3, 8, 9 and the unit-variance form are one function.

Float64, so that equal means equal to 1e-12; every rule comes from muscope.theory.
"""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from muscope import catalogue
from muscope.theory.rule import WeightDims, WeightRule
from muscope.theory.symmetry import transform
from muscope.vocabulary import DecayForm, Role, UpdateFamily

ADAM, SGD = UpdateFamily.SIGN_LIKE, UpdateFamily.SGD_LIKE
PIXELS, BASE, WIDTH, CLASSES = 8, 8, 64, 5
DIMS = (
    WeightDims(Role.EMBEDDING, PIXELS, WIDTH, PIXELS, BASE),
    WeightDims(Role.HIDDEN, WIDTH, WIDTH, BASE, BASE),
    WeightDims(Role.OUTPUT, WIDTH, CLASSES, BASE, CLASSES),
)
VECTORS = tuple(
    WeightDims(Role.VECTOR, 1, WIDTH, 1, BASE, is_bias=is_bias) for is_bias in (False, True)
)
"""The gain and the bias of the input layer."""
LEARNING_RATE, DECAY, EPSILON, STEPS = 0.02, 0.3, 1e-3, 6


def rules(form: str, family: UpdateFamily, decay: DecayForm) -> list[WeightRule]:
    """The rules of one form; the unit-variance form moves every init std to 1."""
    entry = catalogue.PARAMETRIZATION_ENTRIES["mup"]
    given = {"zero_readout": False, "form": "table3" if form == "unit" else form}
    options = catalogue.with_defaults(given, entry.options)
    found = [entry.theory.weight_rule(dims, family, options) for dims in (*DIMS, *VECTORS)]
    if form == "unit":  # a vector has no std: any theta will do
        return [transform(rule, rule.init_std or 3.0, family, decay) for rule in found]
    return found


def losses(
    rules: Sequence[WeightRule], make: type[torch.optim.Optimizer], **common: float
) -> Tensor:
    """The loss before each of six updates of a tanh MLP."""
    draw = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    inputs, targets = normal(16, PIXELS), torch.arange(16) % CLASSES
    *of_matrices, of_gain, of_bias = rules
    matrices = [
        normal(dims.fan_out, dims.fan_in) * rule.init_std
        for dims, rule in zip(DIMS, of_matrices, strict=True)
    ]
    gain = torch.ones(WIDTH, dtype=torch.float64) / of_gain.multiplier
    bias = torch.zeros(WIDTH, dtype=torch.float64)
    weights = [weight.requires_grad_() for weight in (*matrices, gain, bias)]
    groups = [group(weight, rule, common) for weight, rule in zip(weights, rules, strict=True)]
    optimizer = make(groups)
    trace = []
    for _ in range(STEPS):
        stream = inputs
        for weight, rule in zip(matrices, of_matrices, strict=True):
            before = rule.multiplier * stream @ weight.T
            if weight is matrices[0]:
                before = before * of_gain.multiplier * gain + of_bias.multiplier * bias
            stream = torch.tanh(before)
        loss = functional.cross_entropy(before, targets)
        trace.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.stack(trace)


def group(weight: Tensor, rule: WeightRule, common: dict[str, float]) -> dict[str, object]:
    """What torch's optimizers take for one weight."""
    scaled = {"eps": EPSILON * rule.epsilon_factor} if "momentum" not in common else {}
    return {
        "params": [weight],
        "lr": LEARNING_RATE * rule.learning_rate_factor,
        "weight_decay": DECAY * rule.weight_decay_factor,
        **scaled,
        **common,
    }


@pytest.mark.parametrize("form", ["table8", "table9", "unit"])
def test_adamw_trains_the_same_function_in_every_form(form: str) -> None:
    reference = losses(rules("table3", ADAM, DecayForm.COUPLED), torch.optim.AdamW)
    trace = losses(rules(form, ADAM, DecayForm.COUPLED), torch.optim.AdamW)
    assert reference[0] - reference[-1] > 0.1  # something was learned
    assert (trace - reference).abs().max() < 1e-12


@pytest.mark.parametrize("form", ["table8", "table9", "unit"])
def test_sgd_with_momentum_and_l2_trains_the_same_function_in_every_form(form: str) -> None:
    reference = losses(rules("table3", SGD, DecayForm.L2), torch.optim.SGD, momentum=0.9)
    trace = losses(rules(form, SGD, DecayForm.L2), torch.optim.SGD, momentum=0.9)
    assert reference[0] - reference[-1] > 0.01
    assert (trace - reference).abs().max() < 1e-12


def test_adam_with_l2_has_no_symmetry() -> None:
    """The same factors that serve AdamW: decay in the gradient does not scale with it."""
    reference = losses(rules("table3", ADAM, DecayForm.COUPLED), torch.optim.Adam)
    trace = losses(rules("table8", ADAM, DecayForm.COUPLED), torch.optim.Adam)
    assert (trace - reference).abs().max() > 1e-3


def test_an_epsilon_that_stays_where_it_is_breaks_the_symmetry() -> None:
    reference = losses(rules("table3", ADAM, DecayForm.COUPLED), torch.optim.AdamW)
    fixed = losses(rules("table9", ADAM, DecayForm.COUPLED), torch.optim.AdamW, eps=EPSILON)
    assert (fixed - reference).abs().max() > 1e-4
