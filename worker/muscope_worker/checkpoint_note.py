"""What a checkpoint says beside the training's numbers: of which bundle, where, and how far."""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import muscope
from muscope.spec import digest
from muscope.storage.bundles import Claim
from muscope.storage.measurements import RunDigest
from muscope.storage.resuming import Kept
from muscope_worker.recorder import Tally

COMPUTING = ("lab", "theory", "catalogue")
"""The rooms whose code decides the numbers."""

_WORDS = {
    "code": "the code", "torch": "torch", "device": "the device", "processor": "the processor",
    "matmul_precision": "the precision of products", "data": "what the data are",
}  # fmt: skip


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Surroundings(_Plain):
    """What has to be the same for the numbers to be the same; the device has its threads."""

    code: str
    torch: str
    device: str
    processor: str
    matmul_precision: str
    data: str

    def difference(self, earlier: "Surroundings") -> str | None:
        """The first thing that was not so for an earlier attempt."""
        for name, word in _WORDS.items():
            there, here = getattr(earlier, name), getattr(self, name)
            if there != here:
                return f"{word} differs: {there} there, {here} here"
        return None


class Counted(_Plain):
    """The tally of one run: its rows and losses, and where it first left the real numbers."""

    rows: int
    digest: str
    losses: int
    first_nonfinite: tuple[int, str] | None

    @classmethod
    def of(cls, tally: Tally) -> "Counted":
        """What a recorder has counted."""
        return cls(
            rows=tally.digest.count,
            digest=tally.digest.hex(),
            losses=tally.losses,
            first_nonfinite=tally.first_nonfinite,
        )

    def tally(self) -> Tally:
        """One that counts on from here."""
        of_rows = RunDigest.of(self.rows, self.digest)
        return Tally(of_rows, self.first_nonfinite, self.losses)

    def is_of(self, kept: Kept) -> bool:
        """Whether the database holds what was counted."""
        there = (kept.digest.count, kept.digest.hex(), kept.losses)
        return there == (self.rows, self.digest, self.losses)


class Note(_Plain):
    """All of it; `step` is the last one that was recorded, `curves` what the rule has seen."""

    study: str
    bundle: int
    runs: tuple[tuple[int, str], ...]
    attempt: int
    attempt_no: int
    step: int
    surroundings: Surroundings
    counted: tuple[Counted, ...]
    curves: tuple[tuple[float, ...], ...]
    stopped: tuple[int, ...]
    spent: tuple[float, float, int | None]

    def is_of(self, claim: Claim) -> bool:
        """Whether these are the runs of a claim, all of them and no others."""
        own = (claim.study_id, claim.bundle_id, runs_of(claim))
        return (self.study, self.bundle, self.runs) == own

    def blocks(self, rows: int) -> list[tuple[int, int]]:
        """Its steps, in pieces of about so many rows: first and last of each."""
        whole = max(1, sum(one.rows + one.losses for one in self.counted))
        each = max(1, rows * (self.step + 1) // whole)
        firsts: Sequence[int] = range(0, self.step + 1, each)
        return [(first, min(first + each - 1, self.step)) for first in firsts]


def runs_of(claim: Claim) -> tuple[tuple[int, str], ...]:
    """The runs of a claim, each with the digest of its spec."""
    return tuple((member.run_id, digest(member.spec)) for member in claim.members)


@cache
def code() -> str:
    """The version of muscope, with a digest of the code that computes."""
    package, found = Path(muscope.__file__).parent, blake2b(digest_size=8)
    for room in COMPUTING:
        for path in sorted((package / room).rglob("*.py")):
            found.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    return f"muscope {muscope.__version__} ({found.hexdigest()})"
