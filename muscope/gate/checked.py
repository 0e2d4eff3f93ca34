"""What a check came to: all that the outputs for a build are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from muscope.gate.policy import Policy
from muscope.verdicts.baseline import Comparison
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict

PASSED, FAILED, USAGE, WORSE = 0, 1, 2, 3
"""Exit codes of `muscope check`; 130 is an interruption."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A size that could not be run, and why in a sentence."""

    place: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where the user's code stands, for annotations."""

    file: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdicts of a check with what makes it fail; `transfers` are those of learning rates.

    `joined` says of these whether a coordinate check agrees, and known reasons where it does not.
    `settings` is what was asked, `complaints` are what the demo should have shown and did not.
    `refused` says why nothing could be judged at all.
    """

    name: str
    verdicts: tuple[VariantVerdict, ...]
    policy: Policy
    settings: Mapping[str, JsonValue]
    seconds: float
    lost: tuple[Lost, ...] = ()
    comparison: Comparison | None = None
    source: Source | None = None
    complaints: tuple[str, ...] = ()
    refused: str = ""
    transfers: tuple[TransferJudgement, ...] = ()
    joined: tuple[Joined, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 passed, 1 a verdict failed or a size was lost, 2 refused, 3 only the baseline fails."""
        if self.refused:
            return USAGE
        # a check that passes because its large widths did not run would say nothing
        is_gate = bool(self.policy) or self.comparison is not None
        if any(map(self.policy.fails, self.verdicts)) or (is_gate and self.lost):
            return FAILED
        if any(map(self.policy.fails_rate, self.transfers)):
            return FAILED
        if self.complaints:
            return FAILED
        return WORSE if self.comparison and self.comparison.is_worse else PASSED

    @property
    def has_passed(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == PASSED
