"""Which members of a bundle are stopped half-way: those whose rate cannot be the best one.

The rule: when half of the steps are done, a run is behind if its learning rate is two octaves or
more from that of the run that is ahead, among those of its variant and seed in its bundle, and its
loss is worse. The best rate falls with the length of training no faster than one over it, so twice
the steps move it by an octave at most; the second octave is for noise. On either side of the one
ahead, the nearest rate can be the best one however far it is, and the nearest of those that cannot
goes on: the best one needs neighbours. The others are hopeless where they are behind at every seed,
for the mean over seeds is what is judged. A run that is not finite any more has diverged, and is no
matter of this rule.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from muscope.records import StepRecord, Values
from muscope.spec import RunSpec
from muscope.verdicts.transfer.losses import final_loss

FAR = 2.0
"""Octaves from the rate that is ahead."""
RULE = "half-way, its rate was more than two octaves from the one ahead at every seed"
"""As the end of a run says it."""


def rung(steps: int) -> int:
    """The step at which the rule is applied."""
    return steps // 2


def note(run: RunSpec) -> str:
    """What is read of a run that was stopped."""
    return f"stopped early at step {rung(run.steps)} of {run.steps}: {RULE}"


def as_taken(members: Sequence[RunSpec], stopped: Sequence[int]) -> list[RunSpec]:
    """The members with the steps that they took: a stopped one ends with the update at the rung."""
    return [
        run.model_copy(update={"steps": rung(run.steps) + 1}) if place in stopped else run
        for place, run in enumerate(members)
    ]


def hopeless(members: Sequence[RunSpec], losses: Sequence[float]) -> tuple[int, ...]:
    """The places of the members to be stopped, given the smoothed losses of all at the rung."""
    rates: dict[tuple[str, float], list[int]] = defaultdict(list)
    seeds: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, run in enumerate(members):
        if math.isfinite(losses[place]):
            rates[run.variant.key, run.octave].append(place)
            seeds[run.variant.key, run.seed].append(place)
    behind = {place for own in seeds.values() for place in _behind(members, losses, own)}
    alike = (places for places in rates.values() if behind.issuperset(places))
    return tuple(sorted(place for places in alike for place in places))


class Rule:
    """Follows the records of a bundle, and names at the rung whom to stop; `stopped` keeps it."""

    def __init__(self, members: Sequence[RunSpec]) -> None:
        self.stopped: tuple[int, ...] = ()
        self._members = members
        self._curves: list[list[float]] = [[] for _ in members]

    @property
    def curves(self) -> list[list[float]]:
        """What it has seen of each member up to now, for another one to go on with."""
        return self._curves

    def resume(self, curves: Sequence[Sequence[float]], stopped: Sequence[int]) -> None:
        """Go on as one that has seen these and stopped those."""
        self._curves, self.stopped = [list(curve) for curve in curves], tuple(stopped)

    def __call__(self, record: StepRecord) -> tuple[int, ...]:
        """The places of the members that end with this record."""
        last = rung(self._members[0].steps)
        if record.step > last or last == 0:
            return ()
        for entry in record.progress:
            self._curves[entry.member].append(entry.train_loss)
        for row in record.measurements:
            if not _is_finite(row.values):
                self._curves[row.member].append(math.nan)
        if record.step == last:
            losses = [final_loss(curve, None) for curve in self._curves]
            self.stopped = hopeless(self._members, losses)
        return self.stopped


def _behind(
    members: Sequence[RunSpec], losses: Sequence[float], places: Sequence[int]
) -> Iterator[int]:
    """Of the runs of one variant and seed."""
    first = min(places, key=lambda place: losses[place])
    apart = {place: members[place].octave - members[first].octave for place in places}
    for side in (-1, 1):
        there = [place for place in places if side * apart[place] > 0]
        there.sort(key=lambda place: abs(apart[place]))
        may_win = max(1, sum(abs(apart[place]) < FAR for place in there))
        yield from (place for place in there[may_win + 1 :] if losses[place] > losses[first])


def _is_finite(values: Values) -> bool:
    return all(value is None or math.isfinite(value) for value in values)
