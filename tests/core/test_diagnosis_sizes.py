"""Sizes by arithmetic give the exponents that theory's tables and derivations print."""

from itertools import product

import numpy as np
import pytest

from muscope.catalogue import MODELS, OPTIMIZERS
from muscope.catalogue.expectations import Expectations
from muscope.catalogue.rules import Choice, complaint
from muscope.theory import expected
from muscope.verdicts.diagnosis.numbers import Question
from muscope.verdicts.diagnosis.signatures import Along, exponents
from muscope.verdicts.grid import Place
from muscope.vocabulary import Axis, Role, TensorKind

WIDE = tuple(2**power for power in (16, 18, 20))
"""Far above every constant (pixels, tokens), which the tables leave out."""

SMALL = 1e-12
"""A learning rate at which nothing saturates; the tables are of small ones."""

RULES = ("mup", "sp", "ntk", "mean_field", "nanotron", "spectral", "u_mup", "everett", "complete_p")


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        *product(("mlp",), ("adamw", "sgd", "muon", "lamb")),
        *product(("gpt",), ("adamw", "sgd")),
        ("llama", "muon"),
        ("resnet", "adamw"),
    ],
)
def test_wherever_theory_has_an_exponent_arithmetic_agrees(model: str, optimizer: str) -> None:
    entry = OPTIMIZERS[optimizer]
    options = {option.name: option.default for option in entry.options} | {"epsilon": 0.0}
    along, known, compared = Along(Axis.WIDTH, WIDE, 2, WIDE[0], 2), places(model), 0
    for rule, zero in [*((rule, False) for rule in RULES), ("mup", True)]:
        choice = Choice(rule, {"zero_readout": zero})
        if complaint(choice, optimizer, model, {}):
            continue
        question = Question(choice, optimizer, options, SMALL, model, {})
        theory = Expectations(choice, optimizer, options, model, {}, WIDE, 2)
        for key, (slope,) in exponents(question, (), along).items():
            kind, name, statistic, step = key
            role, slow = known[kind is TensorKind.ACTIVATION, name]
            at = theory.at(Place(2, kind, name, role, step, slow), statistic)
            exponent = expected.expectation(at).exponent
            if exponent is not None:
                compared += 1
                # theory leaves out constants beside n, the vocabulary's in a spectral norm at most
                assert slope == pytest.approx(exponent, abs=0.03), (rule, zero, key)
    assert compared > 100


def places(model: str) -> dict[tuple[bool, str], tuple[Role, bool]]:
    """Role and alignment of every activation, and of every weight."""
    activations = MODELS[model].activations(64, 2, {})
    weights = MODELS[model].weights(64, 2, {})
    found = {(True, entry.name): (entry.role, entry.aligns_slowly) for entry in activations}
    return found | {(False, entry.name): (entry.role, False) for entry in weights}


def test_what_is_exactly_zero_has_no_exponent() -> None:
    choice = Choice("mup", {"zero_readout": True})
    question = Question(choice, "adamw", {}, 1e-3, "mlp", {})
    found = exponents(question, (), Along(Axis.WIDTH, (64, 128), 2, 64, 2))
    zero = [key for key, slopes in found.items() if np.isnan(slopes[0])]
    assert {(kind, name, step) for kind, name, _, step in zero} >= {
        (TensorKind.ACTIVATION, "readout", 0),
        (TensorKind.GRADIENT, "hidden.0", 0),
        (TensorKind.UPDATE, "hidden.0", 1),
    }
    assert not any(step == 2 for *_, step in zero)
