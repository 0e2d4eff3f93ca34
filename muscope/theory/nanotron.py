"""nanotron's spectral µP as it is in its code, with its fault (huggingface/nanotron 2411b02)."""

from muscope.theory import spectral
from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """scaling/parametrization.py and helpers.py: absolute rules, no base (docs/facts.md 2.5).

    The known fault: fan_out / fan_in is the rule of SGD, used here for every optimizer. With AdamW
    it is 1 for a square matrix, whose output then moves in proportion to the width, as under SP.
    Projections that are stored as one matrix get the fan_out of that matrix, as its code does it.
    """
    lookup_or_gain = dims.fan_in == 1
    fan_out = dims.fused_fan_out or dims.fan_out
    return WeightRule(
        multiplier=1.0,
        init_std=1.0 if lookup_or_gain else spectral.init_std(dims.fan_in, fan_out),
        learning_rate_factor=1.0 if lookup_or_gain else fan_out / dims.fan_in,
        weight_decay_factor=1.0,
        epsilon_factor=1.0,
    )


def formulas(options: Switches) -> dict[Role, str]:
    """One row for linear layers, one for lookup tables."""
    line = "A = 1, B = min(1, √(fan_out/fan_in))/√fan_in, C = fan_out/fan_in (every optimizer!)"
    return {
        Role.EMBEDDING: "lookup: A = 1, B = 1, C = 1; a dense input layer as hidden",
        Role.HIDDEN: line,
        Role.OUTPUT: line,
        Role.VECTOR: "gains: A = 1, B = 0, C = 1; biases: none, its code stops at them",
    }


def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """q.k / head size, as in its Llama model."""
    return 1 / head_size


NANOTRON = Parametrization(
    name="nanotron",
    title="nanotron's rule",
    source="huggingface/nanotron 2411b02, scaling/parametrization.py, with its known fault",
    families=tuple(UpdateFamily),
    table=table,
    formulas=formulas,
    attention_scale=attention_scale,
    why_no_biases="parametrization 'nanotron' has no rule for biases: its code takes fan_in and "
    "fan_out of every parameter of a linear layer and stops at one with a single dimension; take "
    "a model without biases, or another parametrization",
)
