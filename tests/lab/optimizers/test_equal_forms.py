"""Forms of µP are one function whatever the optimizer: decay, epsilon and zeros included.

Facts 1 and 2.3: mean field has theta = 1/sqrt(m) on hidden weights, Tables 3 and 9 have others on
embedding and readout.
"""

import math

import pytest

from muscope.catalogue import Options
from muscope.lab import engine
from muscope.records import StepRecord
from muscope.spec import ParametrizationSpec
from tests.lab.specs import run

FORMS: tuple[tuple[str, Options], ...] = (
    ("mup", {"form": "table8"}),
    ("mup", {"form": "table3"}),
    ("mup", {"form": "table9"}),
    ("mean_field", {}),
)


def trained(
    name: str, switches: Options, optimizer: str, rate: float, given: Options, *, width: int = 64
) -> list[StepRecord]:
    """An MLP, 4 times as wide as its base unless told."""
    member = run(optimizer=optimizer, learning_rate=rate, options=given, width=width, steps=4)
    table = ParametrizationSpec(name=name, options=dict(switches))
    variant = member.variant.model_copy(update={"parametrization": table})
    return list(engine.train([member.model_copy(update={"variant": variant})]))


# Each with decay or epsilon as large as what it is added to, so that a wrong power is seen.
@pytest.mark.parametrize(
    ("optimizer", "rate", "given"),
    [
        ("lamb", 3e-2, {"weight_decay": 1.0}),
        ("adafactor", 3e-2, {"weight_decay": 1.0}),
        ("soap", 1e-2, {"epsilon": 1e-2}),
        ("shampoo", 2e-2, {"epsilon": 1e-2}),
    ],
)
def test_every_form_trains_the_same_function(optimizer: str, rate: float, given: Options) -> None:
    reference, *others = (
        [
            record.progress[0].train_loss
            for record in trained(name, {"zero_readout": False, **form}, optimizer, rate, given)
        ]
        for name, form in FORMS
    )
    assert reference[0] - reference[-1] > 0.1  # something was learned
    for other in others:
        # float32; wrong powers of decay and epsilon were measured at 1e-3 and above
        assert other == pytest.approx(reference, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["lamb", "adafactor"])
def test_over_a_zero_readout_of_table_8_the_logits_move_as_much_at_every_width(
    optimizer: str,
) -> None:
    """An amount first and shares of it then: with one rate for both, +0.5 or +1 (facts 2.12)."""
    narrow, wide = (
        [
            measurement.values.change
            for record in trained("mup", {"zero_readout": True}, optimizer, 1e-2, {}, width=width)
            for measurement in record.measurements
            if measurement.tensor == "readout" and record.step in (1, 4)
        ]
        for width in (64, 512)
    )
    for one, other in zip(narrow, wide, strict=True):
        assert one
        assert other
        assert abs(math.log(other / one, 8)) < 0.15  # one seed, four examples
