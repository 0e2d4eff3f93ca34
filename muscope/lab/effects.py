"""What a change of a weight does: contributions to frozen inputs, and how well factors align.

A contribution is the mean of |A (W_t - W_0) x_0|, an alignment the size of a product beside those
of its factors (facts 4, 6). Contributions decide verdicts and are computed in float32. Alignments
ask for the RMS of a product only, and are logarithms: large ones are multiplied in bfloat16 where
the processor can, which changes them by a thousandth (decision 45).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from muscope.catalogue import WeightEntry, WeightKind
from muscope.lab import probes
from muscope.lab.models.operators import product
from muscope.vocabulary import Role, Statistic

POSITIONS = "embedding.position"
"""The table of a transformer that learns its positions."""
_ALIGNMENTS = (Statistic.ALIGN_W, Statistic.ALIGN_X, Statistic.ALIGN_WX)
LARGE = 2**14
"""Numbers of a matrix from which casting it to bfloat16 pays."""


@dataclass(frozen=True, slots=True)
class Moved:
    """W_0, and W_t - W_0 with its l1 and RMS."""

    start: Tensor
    values: Tensor
    sizes: Mapping[Statistic, Tensor]


@dataclass(slots=True)
class _Drift:
    """x_t - x_0 of an input that lies at an address, as it is multiplied, and its RMS.

    One that `is_still` is data that never change: all of it is zero.
    """

    at: tuple[object, ...]
    values: Tensor
    size: Tensor
    is_still: bool
    squares: Tensor | None = None


class _Start(NamedTuple):
    """W_0 as it is multiplied by a drift, its RMS, and that of x_0."""

    weight: Tensor
    weight_size: Tensor
    input_size: Tensor


@dataclass(slots=True)
class Effects:
    """Contributions and alignments of one step after the other; it keeps what stays as it was."""

    entries: Mapping[str, WeightEntry]
    _drifted: _Drift | None = None
    _of_start: dict[str, "_Start"] = field(default_factory=dict)

    def of(
        self, name: str, moved: Moved, inputs: tuple[Tensor, Tensor] | None, *, alignments: bool
    ) -> dict[Statistic, Tensor]:
        """Of one weight and what it met at step 0 and meets now; without a multiplier."""
        entry = self.entries[name]
        if _contributes_itself(entry, self.entries):
            return {Statistic.CONTRIBUTION: moved.sizes[Statistic.L1]}
        if inputs is None:
            return {}
        start, now = (_wide(of) for of in inputs)
        frozen = _product(entry, moved.values, start)
        sizes = probes.sizes_of(frozen)
        found = {Statistic.CONTRIBUTION: sizes[Statistic.L1]}
        # One-hot inputs have nothing to align with.
        if not alignments or entry.kind is WeightKind.TABLE or entry.fan_in == 1:
            return found
        drift = self._drift(entry, start, now)
        known, of_moved = self._start(name, moved, start, drift), moved.sizes[Statistic.RMS]
        products = _rms(entry, known.weight, drift), _rms(entry, moved.values, drift)
        outputs = torch.stack((sizes[Statistic.RMS], *products))
        weights = torch.stack((of_moved, known.weight_size, of_moved))
        factors = torch.stack((known.input_size, drift.size, drift.size))
        # 1/2 independent, 1 aligned (facts 6); not finite where a factor is exactly zero
        aligned = (outputs / (weights * factors)).log() / math.log(entry.fan_in)
        return found | dict(zip(_ALIGNMENTS, aligned, strict=True))

    def forget_inputs(self) -> None:
        """The inputs of this step: others may come to lie where they were."""
        self._drifted = None

    def _drift(self, entry: WeightEntry, start: Tensor, now: Tensor) -> _Drift:
        """What became of an input; queries, keys and values ask one after the other for theirs."""
        at = (now.data_ptr(), now.shape, now.stride())
        if self._drifted is None or self._drifted.at != at:
            is_still = at == (start.data_ptr(), start.shape, start.stride())
            values = now - start
            size = probes.rms(values)
            values = values.to(_precision(entry, values.device.type))
            self._drifted = _Drift(at, values, size, is_still)
        return self._drifted

    def _start(self, name: str, moved: Moved, start: Tensor, drift: _Drift) -> _Start:
        if name not in self._of_start:
            sizes = probes.rms(moved.start), probes.rms(start)
            self._of_start[name] = _Start(moved.start.to(drift.values.dtype), *sizes)
        return self._of_start[name]


def _contributes_itself(entry: WeightEntry, entries: Mapping[str, WeightEntry]) -> bool:
    """Biases and gains, but not a bias that all keys share: softmax does not see it.

    Its gradient is rounding, of which Adam makes whole steps. Rotations tell keys apart; where
    positions are learned nothing does.
    """
    is_bias_of_keys = entry.kind is WeightKind.BIAS and entry.part == "attention.k"
    return entry.role is Role.VECTOR and not (is_bias_of_keys and POSITIONS in entries)


def _product(entry: WeightEntry, values: Tensor, inputs: Tensor) -> Tensor:
    """W x of every member, in any order."""
    match entry.kind:
        case WeightKind.TABLE:
            members = torch.arange(len(values), device=values.device)
            return values[members[:, None], inputs.flatten(1)]
        case WeightKind.CONVOLUTION:
            found: Tensor = vmap(partial(product, entry))(values, inputs)
            return found
        case _:
            return values @ inputs.flatten(1, -2).mT  # on a CPU no slower than the other way round


def _rms(entry: WeightEntry, weight: Tensor, drift: _Drift) -> Tensor:
    """RMS(W x), in the precision that x is in."""
    if drift.is_still:
        return drift.size
    weight = weight.to(drift.values.dtype)
    if not _is_cheaper_by_squares(entry, drift.values):
        return probes.rms(_product(entry, weight, drift.values))
    # without W x: its squares add up to the trace of W (x^T x) W^T
    rows = drift.values
    if drift.squares is None:
        drift.squares = rows.mT @ rows  # (members, fan_in, fan_in)
    products = weight @ drift.squares
    # The sum of both factors' products: each is of the size of the result, so float32 is enough.
    sums: Tensor = torch.linalg.vecdot(products.float().flatten(1), weight.float().flatten(1))
    return (sums.double() / (rows.shape[1] * weight.shape[1])).clamp(min=0.0).sqrt()


def _is_cheaper_by_squares(entry: WeightEntry, inputs: Tensor) -> bool:
    """Whether x^T x and W (x^T x) of two W take fewer operations than W x of both."""
    if entry.kind is WeightKind.CONVOLUTION:
        return False
    rows, fan_in, fan_out = inputs.shape[1], entry.fan_in, entry.fan_out
    return fan_in * (rows + 2 * fan_out) < 2 * rows * fan_out


def _precision(entry: WeightEntry, device: str) -> torch.dtype:
    """What large matrices are multiplied in where an RMS is all that is asked."""
    is_large = entry.kind is not WeightKind.CONVOLUTION and entry.parameters >= LARGE
    return torch.bfloat16 if is_large and _multiplies_bfloat16(device) else torch.float32


@lru_cache
def _multiplies_bfloat16(device: str) -> bool:
    """Whether it has instructions for it: what has none takes longer than in float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    has_instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return has_instructions and bool(torch._C._has_mkldnn)


def _wide(inputs: Tensor) -> Tensor:
    """Inputs of lower precision as float32, which weights are; indices as they are."""
    return inputs.float() if inputs.is_floating_point() else inputs
