"""A member of an ensemble gives the numbers that it gives alone: every model with every optimizer.

Members differ in all that members may: seed, learning rate, base, parametrization.
"""

import math
from collections.abc import Sequence

import pytest

from muscope import catalogue
from muscope.catalogue import Options, rules
from muscope.catalogue.rules import Choice
from muscope.lab import engine
from muscope.records import StepRecord
from muscope.spec import Batches, RunSpec
from tests.lab import specs

STEPS = 3  # ADOPT and SOAP only look at the first gradient
WIDTHS = {"mlp": 16, "gpt": 16, "llama": 32, "resnet": 4}
BATCH_SIZES = {"mlp": 64}
OPTIONS: dict[str, Options] = {"resnet": {"dataset": "digits"}}
DEPTHS = {"resnet": 1}

# What is zero in exact arithmetic, Shampoo takes roots of, and SOAP divides by its size: their own
# epsilon makes whole steps of rounding. At these steps are smaller, so rates are larger.
ABOVE_ROUNDING: dict[str, Options] = {"shampoo": {"epsilon": 1e-6}, "soap": {"epsilon": 1.0}}
RATES = {name: entry.learning_rate for name, entry in catalogue.OPTIMIZERS.items()} | {"soap": 0.1}

# A rounding of every first weight moves what is compared by up to 1e-5, as measured; a member that
# saw another one's rate, seed or batch would be off by a tenth.
RELATIVE, ABSOLUTE = 1e-4, 1e-6
# A first gradient of low rank leaves SOAP free to choose its basis; Adam depends on it.
RELATIVE_OF_FREE_BASES = {"soap": 1e-2}

PLAIN = [(model, optimizer) for model in WIDTHS for optimizer in catalogue.OPTIMIZERS]
UNIT_SCALED = [
    (model, optimizer)
    for model, optimizer in PLAIN
    if not rules.complaint(Choice("u_mup", {}), optimizer, model, {})
]


def member(
    model: str,
    optimizer: str,
    parametrization: str,
    *,
    factor: float = 1.0,
    seed: int = 0,
    base: int = 2,
    batches: Batches = "fixed",
) -> RunSpec:
    """A tiny run at that factor of the catalogue's learning rate."""
    width = WIDTHS[model]
    return specs.run(
        model,
        parametrization=parametrization,
        optimizer=optimizer,
        learning_rate=factor * RATES[optimizer],
        width=width,
        base_width=width // base,
        depth=DEPTHS.get(model, 2),
        seed=seed,
        steps=STEPS,
        options=ABOVE_ROUNDING.get(optimizer),
        model_options=OPTIONS.get(model),
        batch_size=BATCH_SIZES.get(model, 8),
        batches=batches,
    )


def plain(model: str, optimizer: str, batches: Batches = "fixed") -> list[RunSpec]:
    """Members that differ in everything but shape and operators."""
    return [
        member(model, optimizer, "sp", batches=batches),
        member(model, optimizer, "mup", factor=0.25, batches=batches),
        member(model, optimizer, "spectral", seed=1, base=1, batches=batches),
    ]


def unit_scaled(model: str, optimizer: str) -> list[RunSpec]:
    """The same of u-µP's operators."""
    return [
        member(model, optimizer, "u_mup"),
        member(model, optimizer, "u_mup", factor=0.25, seed=1),
    ]


def at_rate(learning_rate: float, run: RunSpec) -> RunSpec:
    """The run at a learning rate that no spec would accept."""
    variant = run.variant
    optimizer = variant.optimizer.model_copy(update={"learning_rate": learning_rate})
    return run.model_copy(update={"variant": variant.model_copy(update={"optimizer": optimizer})})


def numbers(records: Sequence[StepRecord], place: int) -> list[float]:
    """Every loss and statistic of one member; what was not taken is nan."""
    return [
        math.nan if value is None else value
        for record in records
        for values in (
            [row.train_loss for row in record.progress if row.member == place],
            *(row.values for row in record.measurements if row.member == place),
        )
        for value in values
    ]


def assert_alone(records: Sequence[StepRecord], place: int, run: RunSpec) -> None:
    """The member at that place gave the numbers of the run alone."""
    assert_equal(numbers(records, place), numbers(list(engine.train([run])), 0), run)


def assert_equal(one: list[float], other: list[float], run: RunSpec) -> None:
    """Numbers of one run, rounded at other places."""
    relative = RELATIVE_OF_FREE_BASES.get(run.variant.optimizer.name, RELATIVE)
    assert one == pytest.approx(other, rel=relative, abs=ABSOLUTE, nan_ok=True)


@pytest.mark.parametrize("batches", ["fixed", "fresh"])
@pytest.mark.parametrize(("model", "optimizer"), PLAIN)
def test_a_member_gives_what_it_gives_alone(model: str, optimizer: str, batches: Batches) -> None:
    members = plain(model, optimizer, batches)
    together = list(engine.train(members))
    for place, run in enumerate(members):
        assert_alone(together, place, run)


@pytest.mark.parametrize(("model", "optimizer"), UNIT_SCALED)
def test_a_member_of_unit_scaled_operators_gives_what_it_gives_alone(
    model: str, optimizer: str
) -> None:
    members = unit_scaled(model, optimizer)
    together = list(engine.train(members))
    for place, run in enumerate(members):
        assert_alone(together, place, run)


@pytest.mark.parametrize("model", WIDTHS)
def test_the_order_of_members_does_not_matter(model: str) -> None:
    members = plain(model, "adamw", "fresh")
    forwards, backwards = list(engine.train(members)), list(engine.train(members[::-1]))
    for place, run in enumerate(members):
        mirrored = len(members) - 1 - place
        assert_equal(numbers(backwards, mirrored), numbers(forwards, place), run)


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [("mlp", optimizer) for optimizer in catalogue.OPTIMIZERS]
    + [(model, "adamw") for model in WIDTHS if model != "mlp"],
)
def test_a_diverging_member_changes_no_other(model: str, optimizer: str) -> None:
    calm, other, _ = plain(model, optimizer)
    wild = at_rate(1e30, member(model, optimizer, "sp", seed=2))
    together = list(engine.train([calm, wild, other]))
    assert_alone(together, 0, calm)
    assert_alone(together, 2, other)
