"""Which models the unit-scaled operators cover, and what of them decides the operators' scales."""

from collections.abc import Callable, Mapping

from muscope.catalogue.models import MODELS
from muscope.catalogue.models.transformer import heads
from muscope.catalogue.options import Options, OptionValue
from muscope.theory.u_mup_scales import NONLINEARITIES, Forward
from muscope.vocabulary import Role

COVERED = ("gpt", "llama", "mlp")
"""The others have convolutions over images, for which unit-scaling has no operator."""

_REFUSED: Mapping[str, tuple[Callable[[OptionValue], bool], str]] = {
    "nonlinearity": (
        lambda value: value not in NONLINEARITIES,
        "no source gives it a scale; take gelu, relu, silu, or in a transformer swiglu",
    ),
    "norm_placement": (
        lambda value: value != "pre",
        "its residual scheme is derived for norms before each branch; allowed: pre",
    ),
    "residual_multiplier": (
        lambda value: value != 1.0,
        "it has a residual scheme of its own; leave this at 1 and set alpha_res of the "
        "parametrization",
    ),
}
"""Per option, what is refused and why."""


def complaint(parametrization: str, model: str, options: Options) -> str | None:
    """Why a parametrization of unit-scaled operators cannot have this model, or None."""
    if model not in COVERED:
        return (
            f"parametrization {parametrization!r} has no scales for the convolutions of model "
            f"{model!r}; allowed: {', '.join(COVERED)}"
        )
    for name, value in MODELS[model].complete(options).items():
        refuses, why = _REFUSED.get(name, (None, ""))
        if refuses and refuses(value):
            return f"parametrization {parametrization!r} with {name} {value!r}: {why}"
    return None


def forward(model: str, options: Options, width: int, depth: int, *, attention: float) -> Forward:
    """What theory asks of a model that has no complaint; `attention` multiplies q.k."""
    given = MODELS[model].complete(options)
    weights = MODELS[model].weights(width, depth, options)
    readout = next(entry for entry in weights if entry.role is Role.OUTPUT)
    is_transformer = "head_size" in given
    return Forward(
        nonlinearity=str(given["nonlinearity"]),
        branches=2 * depth if is_transformer else 0,
        readout_fan_in=readout.fan_in,
        readout_fan_out=readout.fan_out,
        head_size=heads(width, given).size if is_transformer else 0,
        sequence_length=int(given.get("sequence_length", 0)),
        attention=attention,
    )
