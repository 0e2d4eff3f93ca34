"""A model as plain numbers: what every parameter is, starts from, and is stepped with."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Layout(StrEnum):
    """What the dimensions of a parameter are, known from the class of its module."""

    MATRIX = "matrix"  # (fan_out, fan_in)
    TRANSPOSED = "transposed"  # (fan_in, fan_out), as Conv1D of Hugging Face's GPT-2
    CONVOLUTION = "convolution"  # (fan_out, fan_in, kernel…)
    TRANSPOSED_CONVOLUTION = "transposed_convolution"  # (fan_in, fan_out, kernel…)
    TABLE = "table"  # (rows, fan_out), looked up: its input is one-hot
    VECTOR = "vector"  # a bias or a gain, whatever its shape
    UNKNOWN = "unknown"  # a parameter that a module of the user's holds itself


@dataclass(frozen=True, slots=True)
class Values:
    """The first values of a parameter: how many, their mean, std and kurtosis (3 if normal)."""

    count: int
    mean: float
    std: float
    kurtosis: float = 3.0

    @property
    def is_constant(self) -> bool:
        """Whether all of them are the same number, up to rounding in float32."""
        return self.std <= 1e-6 * abs(self.mean)

    @property
    def is_zero(self) -> bool:
        """Whether all of them are zero."""
        return self.mean == 0 and self.std == 0

    @property
    def log_error(self) -> float:
        """Standard error of ln(std): 1/sqrt(2 count) for normal values."""
        return math.sqrt(max(self.kurtosis - 1, 0.0) / (4 * self.count))


def pooled(parts: Sequence[Values]) -> Values:
    """The values of several builds as one sample; kurtosis is that of the parts, averaged."""
    count = sum(part.count for part in parts)
    mean = sum(part.count * part.mean for part in parts) / count
    variance = sum(part.count * (part.std**2 + (part.mean - mean) ** 2) for part in parts) / count
    kurtosis = sum(part.count * part.kurtosis for part in parts) / count
    return Values(count, mean, math.sqrt(variance), kurtosis)


@dataclass(frozen=True, slots=True)
class Stepping:
    """How an optimizer steps a parameter: its class, our name for it, and its numbers.

    `optimizer` is a name of the catalogue, None where the class is not known; weight decay and
    epsilon are None where it has none.
    """

    optimizer: str | None
    class_name: str
    learning_rate: float
    weight_decay: float | None = None
    epsilon: float | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a built model.

    `aliases` are the names of the same tensor elsewhere (tied weights), `alias_layouts` what it is
    there. `steppings` has one entry for every time that an optimizer holds it. `multiplier` is
    what its module multiplies the product with, None where the class does not say;
    `owner_fan_in` is that of the weight which a bias belongs to; `origin` the Python module that
    defines the class of its module.
    """

    name: str
    module: str
    layout: Layout
    shape: tuple[int, ...]
    values: Values
    aliases: tuple[str, ...] = ()
    alias_layouts: tuple[Layout, ...] = ()
    is_trainable: bool = True
    steppings: tuple[Stepping, ...] = ()
    multiplier: float | None = None
    owner_fan_in: int | None = None
    complaint: str | None = None
    origin: str = ""

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def pattern(self) -> str:
        """The name with * for the number of a block: `blocks.*.attn.q.weight`."""
        return pattern(self.name)


def pattern(name: str) -> str:
    """A parameter's name with * for every number."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)", "*", name)


@dataclass(frozen=True, slots=True)
class Built:
    """The model at one size. `strangers` are tensors of its optimizers that it does not have."""

    width: int
    depth: int | None
    parameters: tuple[Parameter, ...]
    has_optimizer: bool = False
    strangers: int = 0

    def by_name(self) -> dict[str, Parameter]:
        """The parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}
