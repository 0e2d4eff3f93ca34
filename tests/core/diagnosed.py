"""Cells as a study would measure them, were sizes what the arithmetic says, and noise."""

from collections.abc import Mapping, Sequence

import numpy as np

from muscope.catalogue import MODELS, OPTIMIZERS
from muscope.catalogue.optimizers import OptimizerEntry
from muscope.catalogue.options import Options, OptionValue
from muscope.catalogue.rules import Choice
from muscope.theory.faults import FAULTS, Fault
from muscope.verdicts.diagnosis.numbers import Question
from muscope.verdicts.diagnosis.signatures import Along, exponents
from muscope.verdicts.diagnosis.sizes import Key
from muscope.verdicts.diagnosis.suspects import Trained, diagnose
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.types import Cell
from muscope.vocabulary import Axis, CellVerdict, Role, TensorKind

WIDTHS, DEPTHS = (64, 128, 256, 512), (4, 8, 16)
RATES = {"adamw": 1e-3, "sgd": 0.1, "muon": 0.01}
RANDOM: Mapping[str, OptionValue] = {"zero_readout": False}


def trained(
    model: str,
    optimizer: str,
    parametrization: str = "mup",
    switches: Mapping[str, OptionValue] = RANDOM,
    *,
    depths: Sequence[int] = (2,),
    options: Options | None = None,
) -> Trained:
    """A grid of widths, with one depth or several."""
    entry: OptimizerEntry = OPTIMIZERS[optimizer]
    question = Question(
        parametrization=Choice(parametrization, switches),
        optimizer=optimizer,
        optimizer_options={option.name: option.default for option in entry.options},
        learning_rate=RATES[optimizer],
        model=model,
        options=options or {},
    )
    return Trained(question, WIDTHS, depths, WIDTHS[0], depths[0])


def cells(
    of: Trained,
    fault: Fault | None = None,
    *,
    noise: float = 0.03,
    seed: int = 0,
    kinds: Sequence[TensorKind] = tuple(TensorKind),
) -> list[Cell]:
    """Slopes on width, and on depth where there are several, under a fault or none."""
    random = np.random.default_rng(seed)
    axes = [Along(Axis.WIDTH, WIDTHS, of.depths[0], of.base_width, of.base_depth)]
    if len(of.depths) > 1:
        axes.append(Along(Axis.DEPTH, tuple(of.depths), of.widths[0], of.base_width, of.base_depth))
    faults = () if fault is None else (fault,)
    return [
        cell(of, along, key, float(slopes[-1] + noise * random.standard_normal()))
        for along in axes
        for key, slopes in exponents(of.question, faults, along).items()
        if key[0] in kinds and np.isfinite(slopes[-1])
    ]


def cell(of: Trained, along: Along, key: Key, slope: float | None, error: float = 0.05) -> Cell:
    """One slope of five seeds; without a slope, as of a value that is not finite."""
    kind, tensor, statistic, step = key
    is_width = along.axis is Axis.WIDTH
    return Cell(
        axis=along.axis,
        width=None if is_width else along.held,
        tensor=tensor,
        kind=kind,
        role=_roles(of)[kind, tensor.replace("last", "0")],
        depth=along.held if is_width else max(along.places),
        step=step,
        statistic=statistic,
        verdict=CellVerdict.DIVERGED if slope is None else CellVerdict.INCONCLUSIVE,
        slope=slope,
        low=None if slope is None else slope - error,
        high=None if slope is None else slope + error,
        seeds=5,
        widths=along.places,
        tolerance=0.1,
        smallest_detectable=None,
        exception=None,
        expected=None,
        as_expected=None,
        source="",
    )


def _roles(of: Trained) -> dict[tuple[TensorKind, str], Role]:
    question, size = of.question, (64, max(of.depths), of.question.options)
    activations = MODELS[question.model].activations(*size)
    weights = MODELS[question.model].weights(*size)
    found = {(TensorKind.ACTIVATION, entry.name): entry.role for entry in activations}
    kinds = (TensorKind.WEIGHT, TensorKind.GRADIENT, TensorKind.UPDATE)
    return found | {(kind, entry.name): entry.role for kind in kinds for entry in weights}


def diagnosis(of: Trained, read: Sequence[Cell], *, keeps_sizes: bool | None = False) -> Diagnosis:
    """What is said of these cells."""
    found = diagnose(of, read, confidence=CONFIDENCE, keeps_sizes=keeps_sizes)
    assert found is not None
    return found


def first(found: Diagnosis) -> set[str]:
    """The faults that are named first, together."""
    return {found.suspects[0].fault, *found.suspects[0].alike} if found.suspects else set()


def after_a_fault(of: Trained, name: str, **how: object) -> Diagnosis:
    """What is said of a model with this fault."""
    return diagnosis(of, cells(of, FAULTS[name], **how))  # type: ignore[arg-type]


ACTIVATIONS = (TensorKind.ACTIVATION,)
