"""Every optimizer of the catalogue trains an MLP from end to end."""

import math

import pytest

from muscope import catalogue
from muscope.lab import engine
from muscope.records import StepRecord
from tests.lab.specs import run

STEPS = 3  # ADOPT and SOAP only look at the first gradient


def trained(optimizer: str, parametrization: str, width: int) -> list[StepRecord]:
    learning_rate = catalogue.OPTIMIZERS[optimizer].learning_rate
    member = run(
        optimizer=optimizer,
        parametrization=parametrization,
        learning_rate=learning_rate,
        width=width,
        steps=STEPS,
    )
    return list(engine.train([member]))


@pytest.mark.parametrize("parametrization", ["sp", "mup"])
@pytest.mark.parametrize("optimizer", catalogue.OPTIMIZERS)
def test_an_mlp_is_trained_at_two_widths(optimizer: str, parametrization: str) -> None:
    for width in (16, 32):
        records = trained(optimizer, parametrization, width)
        assert [record.step for record in records] == list(range(STEPS + 1))
        sizes = [m.values.l1 for record in records for m in record.measurements]
        assert all(size is not None and math.isfinite(size) for size in sizes)
        assert all(m.values.change for m in records[-1].measurements if m.tensor == "readout")
