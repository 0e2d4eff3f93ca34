"""What the lab measures has the exponents that theory expects: a handful, in seconds."""

import math
from collections.abc import Sequence
from statistics import fmean

import pytest

from muscope import catalogue
from muscope.catalogue import Options
from muscope.lab import engine
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant
from muscope.theory import expected
from muscope.theory.expected import Coordinates, expectation
from muscope.vocabulary import Role, Statistic

WIDTHS = (256, 512, 1024)
TINY_GPT: Options = {"head_size": 16, "sequence_length": 16, "mlp_ratio": 2}


def variant(
    model: str, parametrization: str, optimizer: str, learning_rate: float, options: Options
) -> Variant:
    entry = ParametrizationSpec(name=parametrization, options={"zero_readout": False, **options})
    small, batch_size = (dict(TINY_GPT), 16) if model == "gpt" else ({}, 64)
    return Variant(
        model=ModelSpec(name=model, batch_size=batch_size, options=small),
        parametrization=entry,
        optimizer=OptimizerSpec(name=optimizer, learning_rate=learning_rate),
    )


def changes(
    variant: Variant, *, width: int = 64, depth: int = 1, seeds: int = 6, steps: int = 1
) -> dict[str, float]:
    """Mean |x_t - x_0| of every activation after the last step, over seeds."""
    size = {"width": width, "depth": depth, "base_width": 64, "base_depth": 1, "steps": steps}
    members = [RunSpec(variant=variant, seed=seed, **size) for seed in range(seeds)]
    *_, last = engine.train(members)
    found: dict[str, list[float]] = {}
    for measurement in last.measurements:
        found.setdefault(measurement.tensor, []).append(measurement.change or 0.0)
    return {tensor: fmean(values) for tensor, values in found.items()}


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    x, y = [math.log2(size) for size in sizes], [math.log2(value) for value in values]
    centred = [size - fmean(x) for size in x]
    return sum(a * b for a, b in zip(centred, y, strict=True)) / sum(a * a for a in centred)


@pytest.mark.parametrize(
    ("parametrization", "options", "optimizer", "learning_rate"),
    [
        ("sp", {}, "adamw", 1e-5),
        ("ntk", {}, "sgd", 0.1),
        ("ntk", {"rates": "fixed"}, "adamw", 1e-5),
        ("mean_field", {}, "adamw", 1e-3),
        ("mean_field", {}, "sgd", 0.1),
        ("everett", {}, "adamw", 1e-3),
        ("nanotron", {}, "adamw", 1e-5),
        ("lingle", {}, "adamw", 1e-3),
        ("spectral", {}, "adamw", 1e-3),
    ],
)
def test_a_hidden_layer_of_the_mlp_changes_as_theory_expects(
    parametrization: str, options: Options, optimizer: str, learning_rate: float
) -> None:
    chosen = variant("mlp", parametrization, optimizer, learning_rate, options)
    values = [changes(chosen, width=width)["hidden.0"] for width in WIDTHS]
    row = expected.row(parametrization, chosen.parametrization.complete)
    family = catalogue.OPTIMIZERS[optimizer].family
    at = Coordinates(row, False, family, Role.HIDDEN, Statistic.CHANGE, 1)
    exponent = expectation(at).exponent or 0.0  # spectral µP: flat by its condition
    # Facts, section 10: 0.1. What the layer below adds is flat and bends the lines that grow.
    assert slope(WIDTHS, values) == pytest.approx(exponent, abs=0.12 if exponent > 0 else 0.1)


@pytest.mark.parametrize(
    ("parametrization", "options"),
    [("depth_mup", {}), ("complete_p", {}), ("complete_p", {"alpha": 0.5})],
)
def test_the_stream_of_a_gpt_changes_equally_at_every_depth(
    parametrization: str, options: Options
) -> None:
    depths = (4, 8, 16)
    chosen = variant("gpt", parametrization, "adamw", 1e-3, options)
    values = [
        changes(chosen, depth=depth, seeds=2, steps=4)[f"blocks.{depth - 1}.residual"]
        for depth in depths
    ]
    assert slope(depths, values) == pytest.approx(0, abs=0.15)  # facts 5.4 and section 10


def test_without_a_depth_rule_the_stream_of_a_gpt_changes_more_when_deeper() -> None:
    depths = (4, 8, 16)
    chosen = variant("gpt", "mup", "adamw", 1e-4, {})
    values = [
        changes(chosen, depth=depth, seeds=2, steps=1)[f"blocks.{depth - 1}.residual"]
        for depth in depths
    ]
    assert slope(depths, values) > 0.75  # +1 in facts 5.4; at small depths it measures more
