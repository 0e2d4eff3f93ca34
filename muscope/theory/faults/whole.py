"""Faults of the whole model: attention, depth, and what the rule is applied to at all."""

import math
from dataclasses import replace

from muscope.theory.faults.changes import with_base, with_base_of_its_width, without_depth
from muscope.theory.faults.fault import Fault, Visibility, Weight
from muscope.theory.rule import WeightRule
from muscope.vocabulary import Role

_SEEN = (Visibility.WIDTH, Visibility.AUDIT)
_WIDTH = (Visibility.WIDTH,)
_DEPTH = (Visibility.DEPTH,)


def _everything_fixed(weight: Weight) -> WeightRule:
    """Every number as in the base model."""
    return weight.base


def _as_sp(weight: Weight) -> WeightRule:
    """The base model's numbers, but each matrix with the 1/√fan_in of its own width."""
    base, dims = weight.base, weight.dims
    std = base.init_std
    if dims.role in (Role.HIDDEN, Role.OUTPUT):
        std *= dims.m_in**-0.5
    return replace(base, init_std=std)


def _by_sqrt_d(scale: float, head_size: int, base_head_size: int) -> float:
    """q.k / sqrt(d), whatever the rule says."""
    return float(head_size**-0.5)


WHOLE = (
    Fault(
        name="never_scaled",
        title="nothing is scaled but first values by 1/√fan_in: SP",
        visible=_SEEN,
        fix="every row: the rule was never applied",
        change=_as_sp,
        attention=_by_sqrt_d,
    ),
    Fault(
        name="base_follows_width",
        title="the base model is as wide as the model, so that nothing is scaled",
        visible=_SEEN,
        fix="m of every row: the base width is one number for all widths",
        change=with_base_of_its_width,
        attention=_by_sqrt_d,
    ),
    Fault(
        name="everything_fixed",
        title="nothing is scaled and every weight has one std: GPT-2's recipe",
        visible=_SEEN,
        fix="every row: the rule was never applied, nor 1/√fan_in",
        change=_everything_fixed,
        attention=_by_sqrt_d,
    ),
    Fault(
        name="wrong_base",
        title="the base width is another one, at every width the same",
        visible=(Visibility.AUDIT, Visibility.TRANSFER),
        fix="m of every row: over the width at which the rates were tuned",
        change=with_base(4.0),
    ),
    Fault(
        name="attention_by_sqrt_d",
        title="attention logits are divided by √d while heads grow",
        visible=_WIDTH,
        fix="the scale of q·k: √d₀/d",
        attention=_by_sqrt_d,
    ),
    Fault(
        name="attention_twice",
        title="attention logits are divided by √d on top of d",
        visible=_WIDTH,
        fix="the scale of q·k: √d₀/d, once",
        attention=lambda scale, head_size, base: scale * math.sqrt(base / head_size),
    ),
    Fault(
        name="residual_multiplier_missing",
        title="branches are added without the multiplier of the depth",
        visible=_DEPTH,
        fix="the residual multiplier: 1/r (CompleteP) or 1/√r (Depth-µP)",
        residual=lambda multiplier, r: 1.0,
    ),
    Fault(
        name="residual_multiplier_twice",
        title="branches are multiplied by the factor of the depth twice",
        visible=_DEPTH,
        fix="the residual multiplier: 1/r (CompleteP) or 1/√r (Depth-µP), once",
        residual=lambda multiplier, r: multiplier**2,
    ),
    Fault(
        name="depth_rate_missing",
        title="learning rates have no factor of the depth",
        visible=(Visibility.DEPTH, Visibility.AUDIT),
        fix="C of what stands in a branch: with Depth-µP 1/√r, with CompleteP and SGD r",
        change=without_depth("learning_rate_factor"),
    ),
)
