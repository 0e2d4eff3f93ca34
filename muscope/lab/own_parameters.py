"""What a user's module holds: layout, first values, ties and multipliers of every parameter."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from muscope.own_model.facts import Layout, Parameter, Stepping, Values

MOST_VALUES = 4_000_000
"""Of a larger tensor so many values are drawn: its std is then known to 0.04 %."""

# First by class, so that subclasses count; then, for a `weight` in two dimensions, by the class's
# name: tensor-parallel layers and Hugging Face's Conv1D have none of these as a base.
_BY_CLASS: tuple[tuple[tuple[type[nn.Module], ...], Layout], ...] = (
    ((nn.Linear, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase), Layout.MATRIX),
    ((nn.Embedding, nn.EmbeddingBag), Layout.TABLE),
    ((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), Layout.TRANSPOSED_CONVOLUTION),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), Layout.CONVOLUTION),
    ((nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._BatchNorm), Layout.VECTOR),
)
_BY_NAME = (
    ("Conv1D", Layout.TRANSPOSED),
    ("Embedding", Layout.TABLE),
    ("Linear", Layout.MATRIX),
)
_READOUTS = ("MuReadout", "MuSharedReadout")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a parameter hangs."""

    name: str
    owner: nn.Module
    leaf: str


def read(module: nn.Module, steppings: Mapping[int, tuple[Stepping, ...]]) -> tuple[Parameter, ...]:
    """The parameters in the module's order; tied ones once, `steppings` by the tensor's id."""
    places: dict[int, list[_Place]] = {}
    tensors: dict[int, nn.Parameter] = {}
    for prefix, owner in module.named_modules():
        for leaf, parameter in owner.named_parameters(prefix="", recurse=False):
            name = f"{prefix}.{leaf}" if prefix else leaf
            places.setdefault(id(parameter), []).append(_Place(name, owner, leaf))
            tensors[id(parameter)] = parameter
    return tuple(
        _parameter(tensor, places[key], steppings.get(key, ())) for key, tensor in tensors.items()
    )


def _parameter(
    tensor: nn.Parameter, places: list[_Place], steppings: tuple[Stepping, ...]
) -> Parameter:
    first, *others = places
    multiplier, complaint = _multiplier(places)
    return Parameter(
        name=first.name,
        module=type(first.owner).__name__,
        layout=_layout(first, tensor),
        shape=_shape(first.name, tensor),
        values=_values(first.name, tensor.detach()),
        aliases=tuple(place.name for place in others),
        alias_layouts=tuple(_layout(place, tensor) for place in others),
        is_trainable=tensor.requires_grad,
        steppings=steppings,
        multiplier=multiplier,
        owner_fan_in=_owner_fan_in(first),
        complaint=complaint,
        origin=type(first.owner).__module__,
    )


def _shape(name: str, tensor: Tensor) -> tuple[int, ...]:
    if nn.parameter.is_lazy(tensor):
        raise ValueError(f"{name} has no shape yet: run one forward in build")
    return tuple(tensor.shape)


def _layout(place: _Place, tensor: Tensor) -> Layout:
    if tensor.ndim < 2 or "bias" in place.leaf:
        return Layout.VECTOR
    for classes, layout in _BY_CLASS:
        if isinstance(place.owner, classes):
            return layout
    names = _BY_NAME if place.leaf == "weight" and tensor.ndim == 2 else ()
    words = (layout for word, layout in names if word in type(place.owner).__name__)
    return next(words, Layout.UNKNOWN)


def _owner_fan_in(place: _Place) -> int | None:
    """Of a bias: fan_in of the weight beside it, which PyTorch's default scales it by."""
    weight = getattr(place.owner, "weight", None)
    if "bias" not in place.leaf:
        return None
    if isinstance(place.owner, nn.RNNBase | nn.RNNCellBase):
        return int(place.owner.hidden_size)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        return None
    if isinstance(place.owner, nn.Bilinear):
        return weight.shape[1]
    layout = _layout(_Place(place.name, place.owner, "weight"), weight)
    return weight.shape[0] if layout is Layout.TRANSPOSED else weight[0].numel()


def _multiplier(places: list[_Place]) -> tuple[float | None, str | None]:
    """(what the module multiplies with, complaint): known for the readouts of the package mup."""
    for place in places:
        classes = {cls.__name__ for cls in type(place.owner).__mro__}
        if place.leaf != "weight" or classes.isdisjoint(_READOUTS):
            continue
        if not hasattr(place.owner.weight, "infshape"):
            return None, "set_base_shapes of mup was never called: its MuReadout cannot run"
        return float(place.owner.output_mult) / float(place.owner.width_mult()), None  # type: ignore[arg-type, operator]
    return None, None


def _values(name: str, tensor: Tensor) -> Values:
    if tensor.is_meta:
        raise ValueError(f"{name} has no values (device meta): build must initialize the model")
    if not tensor.numel():
        raise ValueError(f"{name} is empty")
    flat = tensor.flatten()
    if flat.numel() > MOST_VALUES:
        generator = torch.Generator(flat.device).manual_seed(0)
        drawn = torch.randint(flat.numel(), (MOST_VALUES,), generator=generator, device=flat.device)
        flat = flat[drawn]
    values = flat.to(torch.float64)
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} starts with values that are not finite")
    centred = values - values.mean()
    variance = centred.square().mean()
    kurtosis = centred.pow(4).mean() / variance.square() if variance > 0 else torch.tensor(3.0)
    return Values(
        count=flat.numel(),
        mean=float(values.mean()),
        std=float(variance.sqrt()),
        kurtosis=float(kurtosis),
    )
