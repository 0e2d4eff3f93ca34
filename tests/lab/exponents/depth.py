"""Exponents of depth: how the stream and the gradients of a transformer grow with its blocks."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from muscope import catalogue, plan
from muscope.lab import engine
from muscope.records import Measurement, StepRecord, Values
from muscope.spec import RunSpec, Variant
from muscope.theory.expected import depth, depth_scheme
from muscope.verdicts.slopes import fit
from muscope.vocabulary import Role, Statistic, TensorKind
from tests.lab.exponents import rows
from tests.lab.exponents.measuring import SIZES, recording
from tests.lab.exponents.rows import Row

STEPS = 4


class InDepth(NamedTuple):
    """Of the stream after the last block, and of the gradients of hidden weights."""

    size: float  # at step 0
    first_change: float  # at step 1
    change: float  # at step 4
    gradient: float  # at step 0


def in_depth(variant: Variant, depths: Sequence[int], *, width: int, seeds: int) -> InDepth:
    """Slopes on depth; the base is the least depth, as in the script of facts 5.4."""
    columns = [
        [_of_depth(variant, depth, depths[0], width=width, seed=seed) for seed in range(seeds)]
        for depth in depths
    ]
    values = np.array(columns).transpose(2, 0, 1)  # (4, depths, seeds)
    slopes = fit(depths, values, np.ones_like(values, dtype=np.bool_)).slope
    return InDepth(*slopes.tolist())


def _of_depth(variant: Variant, depth: int, base_depth: int, *, width: int, seed: int) -> InDepth:
    run = RunSpec(
        variant=variant,
        width=width,
        base_width=width,
        depth=depth,
        base_depth=base_depth,
        seed=seed,
        steps=STEPS,
        record="full",
    )
    with recording(SIZES):
        first, second, *_, last = engine.train([run])
    hidden = {entry.name for entry in plan.weights(run) if entry.role is Role.HIDDEN}
    gradients = [m.values.l1 or 0.0 for m in _of(first, TensorKind.GRADIENT) if m.tensor in hidden]
    return InDepth(
        size=_stream(first, depth).l1 or 0.0,
        first_change=_stream(second, depth).change or 0.0,
        change=_stream(last, depth).change or 0.0,
        gradient=fmean(gradients),
    )


def _of(record: StepRecord, kind: TensorKind) -> list[Measurement]:
    return [measurement for measurement in record.measurements if measurement.kind is kind]


def _stream(record: StepRecord, depth: int) -> Values:
    """The residual stream after the last block."""
    last = f"blocks.{depth - 1}.residual"
    (found,) = (m.values for m in _of(record, TensorKind.ACTIVATION) if m.tensor == last)
    return found


class ExpectedInDepth(NamedTuple):
    """What theory expects, None where it is unknown; of the change, at step 4."""

    size: float | None
    change: float | None
    gradient: float | None


def expected_in_depth(row: Row) -> ExpectedInDepth:
    """The row's exponents in facts 5.4."""
    variant = rows.deep_transformer(row)
    scheme = depth_scheme(row.parametrization, variant.parametrization.complete)
    family = catalogue.OPTIMIZERS[row.optimizer].family
    stream, hidden = Role.RESIDUAL, Role.HIDDEN
    size, change, gradient = (
        depth(scheme, family, role=role, statistic=statistic, step=step, kind=kind).exponent
        for role, statistic, step, kind in (
            (stream, Statistic.L1, 0, TensorKind.ACTIVATION),
            (stream, Statistic.CHANGE, STEPS, TensorKind.ACTIVATION),
            (hidden, Statistic.L1, 0, TensorKind.GRADIENT),
        )
    )
    return ExpectedInDepth(size, change, gradient)
