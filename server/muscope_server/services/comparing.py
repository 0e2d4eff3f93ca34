"""Reading what variants of several studies came to: every study once, however many of its own."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from sqlalchemy import Connection

from muscope.records import Sample
from muscope.storage import losses, measurements, taken, verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.transfer.losses import Trial, placed
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import TensorKind


def contenders(
    conn: Connection, chosen: Sequence[tuple[StudyRow, str]], kind: TensorKind
) -> tuple[Contender, ...]:
    """What is known of each (study, variant); of sizes those of one kind, and of the worst."""
    known = {
        row.id: _Study(conn, row, [variant for other, variant in chosen if other.id == row.id])
        for row, _ in chosen
    }
    return tuple(known[row.id].contender(variant, kind) for row, variant in chosen)


class _Study:
    """A study that is read as far as it is asked for."""

    def __init__(self, conn: Connection, row: StudyRow, variants: Sequence[str]) -> None:
        self._conn, self.row, self._variants = conn, row, variants

    @cached_property
    def transfer(self) -> dict[str, TransferJudgement]:
        return {one.variant: one for one in verdicts.of_transfer(self._conn, self.row.id)}

    @cached_property
    def sizes(self) -> dict[str, VariantVerdict]:
        return {one.variant: one for one in verdicts.of_study(self._conn, self.row.id)}

    @cached_property
    def trials(self) -> Mapping[str, Sequence[Trial]]:
        sweep = self.row.spec.sweep
        found: dict[str, list[Trial]] = defaultdict(list)
        if sweep is not None and self.row.spec.kind == "lr_transfer":
            for one in placed(sweep, losses.trials(self._conn, self.row.id, self._variants)):
                found[one.variant].append(one)
        return found

    @cached_property
    def surroundings(self) -> Mapping[str, Mapping[str, str]]:
        return taken.surroundings(self._conn, self.row.id)

    @cached_property
    def device_s(self) -> Mapping[str, float]:
        return taken.device_seconds(self._conn, self.row.id)

    def contender(self, variant: str, kind: TensorKind) -> Contender:
        return Contender(
            study=self.row.id,
            study_name=self.row.name,
            spec=self.row.spec,
            variant=variant,
            trials=self.trials.get(variant, ()),
            transfer=self.transfer.get(variant),
            sizes=self.sizes.get(variant),
            samples=tuple(self._samples(variant, kind)),
            surroundings=self.surroundings.get(variant, {}),
            device_s=self.device_s.get(variant),
        )

    def _samples(self, variant: str, kind: TensorKind) -> Iterator[Sample]:
        if self.row.spec.coordinate_check is None:
            return
        judged = self.sizes.get(variant)
        worst = judged.worst.worst if judged and judged.worst else None
        for one in dict.fromkeys([kind, *([worst.kind] if worst else [])]):
            yield from measurements.samples(self._conn, self.row.id, variant=variant, kind=one)
