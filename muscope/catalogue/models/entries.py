"""What the catalogue says of a model: its weights and activations by arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from muscope.catalogue.options import Option, Options, with_defaults
from muscope.vocabulary import Role

PRECISION = Option(
    "precision",
    "float32",
    "What products with weights are computed in: bfloat16 by autocast, FP8 simulated.",
    allowed=("float32", "bfloat16", "fp8"),
    silent=True,
)
"""The one option that every model has."""


class WeightKind(StrEnum):
    """How a weight is applied to its input, and so how its tensor is laid out.

    A matrix is (fan_out, fan_in), a table (rows, fan_out), a convolution (fan_out, channels k k);
    a bias and a gain are columns (n, 1), so that every optimizer sees rows and columns.
    """

    MATRIX = "matrix"
    TABLE = "table"
    CONVOLUTION = "convolution"
    BIAS = "bias"
    GAIN = "gain"


@dataclass(frozen=True, slots=True)
class WeightEntry:
    """One weight of a model: its name, role and dimensions.

    `fan_in` is 1 for a lookup table, whose input is one-hot, and for biases and gains.
    `flops_per_example` counts the multiply-adds of one forward on one example, twice. A weight in
    a branch adds to the residual stream; one that `writes_stream` is the last of its branch. `part`
    is "attention.q", "mlp.up" and the like, or nothing. `fused_fan_out` counts the rows of the
    matrix that it is a part of (0: it is its own). A gain starts at 1; `starts_at_zero` is for a
    weight that the rule would start at random.
    """

    name: str
    role: Role
    fan_in: int
    fan_out: int
    parameters: int
    flops_per_example: int = 0
    kind: WeightKind = WeightKind.MATRIX
    in_branch: bool = False
    writes_stream: bool = False
    part: str = ""
    fused_fan_out: int = 0
    starts_at_zero: bool = False
    kernel: int = 1
    stride: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """The tensor's rows and columns."""
        columns = self.fan_out if self.kind is WeightKind.TABLE else self.fan_in
        return self.parameters // columns, columns

    @property
    def start(self) -> float:
        """What its effective value starts from: 1 for a gain."""
        return 1.0 if self.kind is WeightKind.GAIN else 0.0


@dataclass(frozen=True, slots=True)
class ActivationEntry:
    """One activation that is recorded: its name, role, and elements per example.

    `flops_per_example` is what products of activations cost in one forward; `unrecorded_elements`
    are kept for the backward beside it, from the activation before it on. `aligns_slowly` marks
    what a weight makes directly of nearly orthogonal token vectors (docs/decisions/0016).
    """

    name: str
    role: Role
    elements_per_example: int
    flops_per_example: int = 0
    unrecorded_elements: int = 0
    aligns_slowly: bool = False


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that the lab can build, with its tensors by arithmetic.

    The functions take every option; the methods complete those that are silent.
    """

    name: str
    title: str
    help: str
    dataset: str
    batch_size: int
    options: tuple[Option, ...]
    complaint_of: Callable[[int, Options], str | None]
    weights_of: Callable[[int, int, Options], tuple[WeightEntry, ...]]
    activations_of: Callable[[int, int, Options], tuple[ActivationEntry, ...]]

    def check(self, width: int, options: Options) -> str | None:
        """The sentence why this width cannot be built, or None."""
        return self.complaint_of(width, self.complete(options))

    def weights(self, width: int, depth: int, options: Options) -> tuple[WeightEntry, ...]:
        """Every weight, in the order of the forward."""
        return self.weights_of(width, depth, self.complete(options))

    def activations(self, width: int, depth: int, options: Options) -> tuple[ActivationEntry, ...]:
        """Every activation that is recorded, in the order of the forward."""
        return self.activations_of(width, depth, self.complete(options))

    def complete(self, options: Options) -> Options:
        """The options with the silent ones."""
        return with_defaults(options, self.options)


def table(name: str, rows: int, fan_out: int) -> WeightEntry:
    """A lookup table."""
    return WeightEntry(name, Role.EMBEDDING, 1, fan_out, rows * fan_out, kind=WeightKind.TABLE)


def matrix(name: str, role: Role, fan_out: int, fan_in: int, *, uses: int = 1) -> WeightEntry:
    """A matrix that is applied `uses` times per example."""
    size = fan_out * fan_in
    return WeightEntry(name, role, fan_in, fan_out, size, 2 * size * uses)


def convolution(
    name: str, role: Role, fan_out: int, channels: int, *, kernel: int, pixels: int, stride: int = 1
) -> WeightEntry:
    """A convolution with a square kernel that makes that many pixels of an example."""
    fan_in = channels * kernel**2
    entry = matrix(name, role, fan_out, fan_in, uses=pixels)
    return replace(entry, kind=WeightKind.CONVOLUTION, kernel=kernel, stride=stride)


def bias(of: WeightEntry) -> WeightEntry:
    """The bias of a weight; that of the readout does not grow with width."""
    role = Role.SCALAR if of.role is Role.OUTPUT else Role.VECTOR
    return WeightEntry(
        f"{of.name}.bias",
        role,
        1,
        of.fan_out,
        of.fan_out,
        kind=WeightKind.BIAS,
        in_branch=of.in_branch,
        part=of.part,
    )


def gain(name: str, size: int, *, in_branch: bool) -> WeightEntry:
    """The gain of a norm: one number per channel, or one for all of them."""
    role = Role.SCALAR if size == 1 else Role.VECTOR
    return WeightEntry(name, role, 1, size, size, kind=WeightKind.GAIN, in_branch=in_branch)


def any_width(width: int, options: Options) -> str | None:
    """No complaint: the model can be built at every width."""
    return None
