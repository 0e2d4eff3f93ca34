"""Formats by their limits, fractions by their definitions, and runs in each precision."""

import math
from itertools import product
from statistics import fmean

import pytest
import torch
from torch import Tensor

from muscope import catalogue
from muscope.catalogue.models.entries import matrix, table
from muscope.lab import engine, precision
from muscope.lab.models import build
from muscope.lab.models import matrix as matrices
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Parameters
from muscope.lab.models.operators import product as product_of
from muscope.lab.models.unit_scaled import OPERATORS
from muscope.lab.precision import E4M3, E5M2, Format
from muscope.spec import RunSpec
from muscope.vocabulary import Role, TensorKind
from tests.lab import specs
from tests.lab.exponents.measuring import slope

INFINITY = float("inf")


@pytest.mark.parametrize("to", [E4M3, E5M2], ids=["e4m3", "e5m2"])
def test_a_format_is_what_torch_says_of_its_type(to: Format) -> None:
    found = torch.finfo(to.dtype)
    assert (to.largest, to.smallest_normal) == (found.max, found.smallest_normal)
    limits = torch.tensor([to.smallest / 2, to.smallest * 0.51, to.smallest])
    assert precision.rounded(limits, to).tolist() == [0.0, to.smallest, to.smallest]


@pytest.mark.parametrize("to", [E4M3, E5M2], ids=["e4m3", "e5m2"])
def test_what_is_too_large_becomes_the_largest_on_every_machine(to: Format) -> None:
    values = torch.tensor([to.largest * 1.01, -1e30, INFINITY, float("nan")])
    *saturated, missing = precision.rounded(values, to)
    assert [value.item() for value in saturated] == [to.largest, -to.largest, to.largest]
    assert missing.isnan()


@pytest.mark.parametrize(("to", "digits"), [(E4M3, 3), (E5M2, 2)], ids=["e4m3", "e5m2"])
def test_rounding_errs_by_half_of_the_last_digit_at_most(to: Format, digits: int) -> None:
    values = torch.logspace(-3, 2, 1000)
    values = values[values > to.smallest_normal]
    error = (precision.rounded(values, to) - values).abs() / values
    assert error.max() <= 2.0 ** -(digits + 1)
    assert precision.rounded(precision.rounded(values, to), to).equal(precision.rounded(values, to))


def test_fractions_count_what_is_not_exactly_zero() -> None:
    tiny, small, large = 2.0**-10, 2.0**-9, 449.0
    member = torch.tensor([[0.0, 0.0, tiny, -tiny / 8], [small, 1.0, large, -INFINITY]])
    values = torch.stack((member, torch.zeros(2, 4)))  # (members, rows, columns)
    # 6 of 8 are there; a tensor of zeros loses nothing
    assert precision.underflow(values, E4M3).tolist() == pytest.approx([2 / 6, 0])
    assert precision.subnormal(values, E4M3).tolist() == pytest.approx([1 / 6, 0])
    assert precision.overflow(values, E4M3).tolist() == pytest.approx([2 / 6, 0])


def test_a_unit_normal_loses_in_e4m3_what_its_density_says() -> None:
    values = torch.randn(1, 4_000_000, generator=torch.Generator().manual_seed(0))

    def below(size: float) -> float:
        return math.erf(size / math.sqrt(2))

    # 1.25 % and 0.078 % in facts 6; counts of thousands err by a few percent
    subnormal = below(2**-6) - below(2**-9)
    assert precision.subnormal(values, E4M3).item() == pytest.approx(subnormal, rel=0.05)
    assert precision.underflow(values, E4M3).item() == pytest.approx(below(2**-10), rel=0.1)
    assert precision.overflow(values, E4M3).item() == 0


def test_a_simulated_product_rounds_its_operands_and_the_gradient_that_meets_them() -> None:
    draw = torch.Generator().manual_seed(0)
    values, inputs, upstream = (
        torch.randn(shape, generator=draw, requires_grad=True) for shape in ((5, 3), (4, 3), (4, 5))
    )
    entry = matrix("hidden", Role.HIDDEN, 5, 3)
    outputs = precision.fp8_product(entry, values, inputs)
    weight, operand = precision.rounded(values, E4M3), precision.rounded(inputs, E4M3)
    torch.testing.assert_close(outputs, operand @ weight.T)
    of_weight, of_inputs = torch.autograd.grad(outputs, (values, inputs), upstream)
    arrived = precision.rounded(upstream, E5M2)
    torch.testing.assert_close(of_weight, arrived.T @ operand)
    torch.testing.assert_close(of_inputs, arrived @ weight)


def test_a_lookup_is_exact_and_growing_operands_have_the_wider_format() -> None:
    values = torch.tensor([[1000.0, 0.001]])
    rows = precision.fp8_product(table("tokens", 1, 2), values, torch.tensor([0]))
    assert rows.equal(values)
    readout = matrix("readout", Role.OUTPUT, 1, 2)
    ones = torch.ones(1, 2)
    assert precision.fp8_product(readout, values, ones).item() == pytest.approx(1024, rel=1e-5)
    hidden = matrix("hidden", Role.HIDDEN, 1, 2)
    assert precision.fp8_product(hidden, values, ones).item() == pytest.approx(448, rel=1e-5)


def run(model: str, parametrization: str, word: str) -> RunSpec:
    chosen: catalogue.Options = {} if word == "float32" else {"precision": word}
    rate = 0.1 if parametrization == "u_mup" else 3e-3
    return specs.run(
        model,
        parametrization=parametrization,
        zero_readout=False,
        learning_rate=rate,
        model_options=chosen,
        steps=2,
    )


def losses(members: list[RunSpec]) -> list[list[float]]:
    return [[of.train_loss for of in record.progress] for record in engine.train(members)]


@pytest.mark.parametrize(
    ("model", "parametrization"),
    [*product(("gpt", "llama", "mlp"), ("mup", "u_mup")), ("resnet", "mup")],
)
def test_every_model_trains_in_every_precision(model: str, parametrization: str) -> None:
    traces = {
        word: [loss for (loss,) in losses([run(model, parametrization, word)])]
        for word in precision.PRECISIONS
    }
    full = traces["float32"]
    assert full[-1] < full[0]
    for word in ("bfloat16", "fp8"):
        assert traces[word] != full
        # 3 or 8 significant bits in a tiny model: near, and not the same
        assert traces[word] == pytest.approx(full, rel=0.1)


@pytest.mark.parametrize("word", ["bfloat16", "fp8"])
def test_members_do_not_see_each_other_in_low_precision(word: str) -> None:
    members = [run("llama", "mup", word).model_copy(update={"seed": seed}) for seed in (0, 1)]
    together = losses(members)
    for number, member in enumerate(members):
        alone = [loss for (loss,) in losses([member])]
        # A sum in another order may round to the neighbour in the shorter format.
        assert [step[number] for step in together] == pytest.approx(alone, rel=1e-3)


def test_large_matrices_train_in_bfloat16_too() -> None:
    """Their product is a function of its own, whose backward runs outside of autocast."""
    size = matrices.LARGE // 128
    wide = {
        word: run("mlp", "mup", word).model_copy(update={"width": size})
        for word in ("float32", "bfloat16")
    }
    full, half = (losses([member])[-1] for member in wide.values())
    assert half != full
    # 8 significant bits: near, and not the same
    assert half == pytest.approx(full, rel=0.1)


def test_bfloat16_leaves_weights_gradients_and_loss_in_float32() -> None:
    chosen = precision.of(run("gpt", "mup", "bfloat16"))
    entries = {e.name: e for e in catalogue.MODELS["mlp"].weights(8, 1, {})}
    weights = {name: torch.ones(entry.shape) / 8 for name, entry in entries.items()}
    for weight in weights.values():
        weight.requires_grad_()
    operators = OPERATORS["plain"](entries, Parameters(weights, {}), product=half_seen)
    batch = Batch(torch.ones(2, 64), torch.arange(2))
    with chosen.computing():
        loss = build("mlp", 8, 1, {}).loss(operators, batch)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    assert {loss.dtype, *(gradient.dtype for gradient in gradients)} == {torch.float32}
    assert {value.dtype for value in operators.activations.values()} == {torch.float32}


def half_seen(entry: catalogue.WeightEntry, values: Tensor, inputs: Tensor) -> Tensor:
    outputs = product_of(entry, values, inputs)
    assert outputs.dtype is torch.bfloat16
    return outputs


def test_the_precision_of_a_model_is_silent_at_its_default() -> None:
    assert "precision" not in specs.run("gpt").variant.model.options
    with pytest.raises(ValueError, match="'precision' must be one of float32, bfloat16, fp8"):
        specs.run("gpt", model_options={"precision": "fp16"})


def lost_gradients(parametrization: str, width: int) -> float:
    """What E5M2 rounds to zero of the gradients of a tiny GPT's blocks, at the start."""
    made = run("gpt", parametrization, "float32").model_copy(
        update={"width": width, "record": "full", "steps": 1}
    )
    first, _ = engine.train([made])
    return fmean(
        measured.values.underflow or 0.0
        for measured in first.measurements
        if measured.kind is TensorKind.GRADIENT and measured.tensor.startswith("blocks")
    )


def test_gradients_of_mup_vanish_with_width_and_those_of_u_mup_do_not() -> None:
    """tests/lab/test_slow_precision.py has it of a larger model."""
    widths = (32, 64, 128)
    theirs = [lost_gradients("mup", width) for width in widths]
    # Gradients are 1/n (facts 1), and the fraction below a fixed size is as their density at zero.
    assert slope(widths, theirs) == pytest.approx(1, abs=0.2)  # 32 tokens, one seed
    assert lost_gradients("u_mup", 128) < theirs[0] / 5
