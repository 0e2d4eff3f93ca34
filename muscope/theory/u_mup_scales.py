"""The scales of a forward under u-µP beside its weights': what the five multipliers decide.

They differ between members that are trained together, so they are numbers with names and not
switches of the operators (Blake et al. 2024, Table 2 and App. G; docs/facts.md 2.9).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from muscope.theory import u_mup_operators as operators
from muscope.theory.rule import Switches
from muscope.theory.u_mup import residual_factors, residual_taus

NONLINEARITY = "nonlinearity"
"""alpha_ffn_act: what the input of the nonlinearity is multiplied by."""

NONLINEARITY_OUTPUT = "nonlinearity.output"
ATTENTION_OUTPUT = "attention.output"

READOUT_BACKWARD = "readout.backward"
"""What the gradient with respect to the readout's input is multiplied by."""

LOGITS = "logits"
"""alpha_loss_softmax: what the logits are multiplied by in the loss."""

NONLINEARITIES: Mapping[str, Callable[[float], tuple[float, float]]] = {
    "gelu": operators.gelu,
    "relu": lambda mult: operators.relu(),
    "silu": operators.silu,
    "swiglu": operators.silu_glu,
}
"""Those with a scale; relu is homogeneous, so a multiplier does not change its shape."""


@dataclass(frozen=True, slots=True)
class Forward:
    """What of a model decides these scales.

    `head_size`, `sequence_length` and `attention`, what q.k is multiplied by, are 0 without
    attention.
    """

    nonlinearity: str
    branches: int
    readout_fan_in: int
    readout_fan_out: int
    head_size: int = 0
    sequence_length: int = 0
    attention: float = 0.0


def inside(branch: int) -> str:
    """The name of a, by which a branch's output is multiplied."""
    return f"branches.{branch}.inside"


def skip(branch: int) -> str:
    """The name of b, by which the stream beside a branch is multiplied."""
    return f"branches.{branch}.skip"


def scales(forward: Forward, options: Switches) -> dict[str, float]:
    """Every scale by its name."""
    mult = float(options["alpha_ffn_act"])
    return {
        NONLINEARITY: mult,
        NONLINEARITY_OUTPUT: NONLINEARITIES[forward.nonlinearity](mult)[0],
        LOGITS: float(options["alpha_loss_softmax"]),
        READOUT_BACKWARD: _readout_backward(forward, options),
        **_of_attention(forward),
        **_of_branches(forward.branches, options),
    }


def _readout_backward(forward: Forward, options: Switches) -> float:
    factors = operators.linear_readout(forward.readout_fan_in, forward.readout_fan_out)
    return factors[0 if options["readout_constraint"] == "to_output_scale" else 1]


def _of_attention(forward: Forward) -> dict[str, float]:
    if not forward.head_size:
        return {}
    mult = forward.attention * forward.head_size
    factor, _ = operators.attention(forward.head_size, forward.sequence_length, mult=mult)
    return {ATTENTION_OUTPUT: factor}


def _of_branches(branches: int, options: Switches) -> dict[str, float]:
    taus = residual_taus(
        branches,
        alpha_res=float(options["alpha_res"]),
        alpha_ratio=float(options["alpha_res_attn_ratio"]),
    )
    factors = [residual_factors(tau) for tau in taus]
    return {
        name: factor
        for branch, pair in enumerate(factors)
        for name, factor in zip((inside(branch), skip(branch)), pair, strict=True)
    }
