"""What an audit says: one deviation from the rule, as a sentence and as numbers."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """A deviation decides the exit code; a warning is said, and often intended."""

    DEVIATION = "deviation"
    WARNING = "warning"


class Quantity(StrEnum):
    """What deviates."""

    OPTIMIZER = "optimizer"
    TIES = "tied weights"
    MULTIPLIER = "multiplier"
    STD = "initial std"
    MEAN = "initial mean"
    RATE = "learning rate"
    DECAY = "weight decay"
    EPSILON = "epsilon"
    BASE = "base width"


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation, of one or more parameters for the same reason.

    `where` names them as a person would, `parameters` one by one. `factor` is found over wanted at
    the audited width, None where it is no matter of size. `rule` is what the source says, `mistake`
    what probably happened, empty where that is not recognisable.
    """

    level: Level
    quantity: Quantity
    parameters: tuple[str, ...]
    where: str
    found: str
    rule: str = ""
    factor: float | None = None
    mistake: str = ""

    def sentence(self) -> str:
        """Everything, in one or more sentences."""
        parts = [f"{self.where}: {self.found}{self._off()}."]
        if self.rule:
            parts.append(f"The rule: {self.rule}.")
        if self.mistake:
            parts.append(f"Likely: {self.mistake}.")
        return " ".join(parts)

    def _off(self) -> str:
        if self.factor is None:
            return ""
        size = "large" if self.factor > 1 else "small"
        return f", {max(self.factor, 1 / self.factor):.3g} times too {size}"
