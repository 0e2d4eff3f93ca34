"""What a diagnosis says: plain values that travel as JSON inside a verdict."""

from pydantic import BaseModel, ConfigDict


class _Said(BaseModel):
    """Frozen and closed, like the verdict that it belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Suspect(_Said):
    """A single fault that would explain what was measured.

    `score` is its share of plausibility among all that are listed; `evidence` says in words with
    numbers what speaks for it; `fix` is the line of the rule's table to look at; `visible_in` says
    which checks show such a fault. Faults that are `alike` give the same exponents wherever slopes
    were read here, so they are named together.
    """

    fault: str
    alike: tuple[str, ...] = ()
    title: str
    score: float
    evidence: tuple[str, ...]
    fix: str
    visible_in: str


class Diagnosis(_Said):
    """What may be wrong, the likeliest first; without suspects nothing looks wrong.

    `separates` says what would tell the first two apart; `note` what a reader must know to
    read the suspects.
    """

    suspects: tuple[Suspect, ...]
    separates: str | None = None
    note: str | None = None
