"""What is said of a variant that was checked and swept: plain values that travel as JSON."""

from enum import StrEnum

from muscope.verdicts.types import Judged
from muscope.vocabulary import CellVerdict, TransferVerdict


class Outcome(StrEnum):
    """How a coordinate check and a sweep of one variant stand to each other."""

    BOTH_HOLD = "both_hold"
    ONLY_CHECK = "only_check"
    ONLY_TRANSFER = "only_transfer"
    NEITHER = "neither"
    UNDECIDED = "undecided"
    TRANSFERS = "transfers"
    DRIFTS = "drifts"


ALONE = (Outcome.TRANSFERS, Outcome.DRIFTS)
"""Of a sweep without a coordinate check, or of one over something else than width or depth."""


class Reason(Judged):
    """One known reason that applies here: what it is, by which numbers, who says so, what to do."""

    key: str
    title: str
    evidence: str
    source: str
    advice: str


class Joined(Judged):
    """Of one variant: the outcome in a word and a sentence, with the reasons that may explain it.

    `check` and `transfer` are the two verdicts in a word; `is_harmless` says of a best rate that
    moves that no rule keeps it over what was asked. The reasons are those of a known list whose
    conditions this study meets; that one is given does not prove it, and where none is given none
    of the known ones applies.
    """

    variant: str
    label: str
    outcome: Outcome
    sentence: str
    final: bool
    transfer: TransferVerdict
    is_harmless: bool = False
    check: CellVerdict | None = None
    reasons: tuple[Reason, ...] = ()
    advice: str = ""
