"""What a recipe says: plain values that travel as JSON."""

import math
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from muscope.catalogue import OptionValue, WeightKind
from muscope.vocabulary import Role


class NotARecipe(ValueError):
    """No recipe can be had of this study, size or format; the message says why and what to do."""


class NotJudged(NotARecipe):
    """There is no verdict yet: the same may be asked again later."""


class Frozen(BaseModel):
    """Frozen and closed: what was read back is what was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(StrEnum):
    """Where the base learning rate of a recipe comes from, from the surest to the least sure."""

    OPTIMUM = "optimum"
    SEARCHED = "searched"
    BEST_TRIED = "best_tried"
    GIVEN = "given"


class BaseRate(Frozen):
    """The base learning rate, and how well it is known.

    [`low`, `high`] is its Student-t interval in octaves from the rate, at that `confidence`: that
    of the optimum of the proxy model, which has `width` and `depth`, and was trained with that
    batch size, sequence length and number of steps where the study varies these. [`drift_low`,
    `drift_high`] is where, in octaves from the rate, the drift over widths and depths would put the
    optimum of the target, by its own interval. None where they cannot be told.
    """

    learning_rate: float
    origin: Rate
    width: int | None = None
    depth: int | None = None
    seeds: int = 0
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    drift_low: float | None = None
    drift_high: float | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    steps: int | None = None

    def at(self, octaves: float) -> float:
        """The learning rate so many octaves away."""
        return self.learning_rate * math.exp2(octaves)

    def sentence(self) -> str:
        """`the optimum of width 256, depth 2: 0.0031, 90 % interval 0.0027 to 0.0036 …`."""
        match self.origin:
            case Rate.GIVEN:
                return f"{self.learning_rate:.4g}, as the study had it: it was not tuned"
            case Rate.SEARCHED:
                where = f"width {self.width}, depth {self.depth} ({self.seeds} seeds)"
                return f"{self.learning_rate:.4g}, of the set that a search ranked first at {where}"
            case Rate.BEST_TRIED:
                where = f"at width {self.width}, depth {self.depth}"
                return f"{self.learning_rate:.4g}, the best of those tried {where}: no optimum"
            case Rate.OPTIMUM:
                return (
                    f"{self.learning_rate:.4g}, the optimum of width {self.width}, depth "
                    f"{self.depth}{self._interval()}"
                )

    def _interval(self) -> str:
        if self.low is None or self.high is None or self.confidence is None:
            return ", without an interval"
        low, high = (f"{self.at(octaves):.4g}" for octaves in (self.low, self.high))
        octaves = f"{self.low:+.2f} to {self.high:+.2f} octaves".replace("-", "−")
        sure = f"{100 * self.confidence:.0f} %"
        return f", {sure} interval {low} to {high} ({octaves}; {self.seeds} seeds)"


class TensorRecipe(Frozen):
    """One weight: y = multiplier * (W x), W_0 ~ start + N(0, init_std^2).

    `optimizer` is the one that steps it; `epsilon` is None where that has none. `rule` is the line
    of the rule table that these numbers come from, with its source.
    """

    name: str
    role: Role
    kind: WeightKind
    fan_in: int
    fan_out: int
    shape: tuple[int, int]
    start: float
    init_std: float
    multiplier: float
    learning_rate: float
    weight_decay: float
    epsilon: float | None
    optimizer: str
    rule: str


class Chosen(Frozen):
    """A parametrization, optimizer or model of the catalogue with every option."""

    name: str
    title: str
    options: dict[str, OptionValue]


class Recipe(Frozen):
    """Everything that a target model is trained with, and what is known of it.

    Beside the weights the forward has numbers of its own: `attention_scale` multiplies q.k,
    `residual_multiplier` every branch, `tied_multiplier` the logits that a tied embedding makes,
    `operator_scales` are those of unit-scaled operators by name; None or nothing where the model
    has no such place. `held` is what the study held while it tuned. `warnings` say why not to
    trust it: a recipe with warnings is not wrong, but it promises less than it seems to.
    """

    version: int = 1
    study: str
    study_digest: str
    variant: str
    label: str
    parametrization: Chosen
    optimizer: Chosen
    model: Chosen
    width: int
    depth: int
    base_width: int
    base_depth: int
    rate: BaseRate
    tensors: tuple[TensorRecipe, ...]
    attention_scale: float | None
    residual_multiplier: float | None
    tied_multiplier: float | None
    operator_scales: dict[str, float]
    held: dict[str, OptionValue]
    source: str
    warnings: tuple[str, ...]

    @property
    def title(self) -> str:
        """`µP · AdamW · width 1024, depth 2`."""
        what = f"{self.parametrization.title} · {self.optimizer.title}"
        return f"{what} · width {self.width}, depth {self.depth}"

    def tensor(self, name: str) -> TensorRecipe:
        """The weight of that name."""
        return next(tensor for tensor in self.tensors if tensor.name == name)
