"""What a study asks, as its pages say it."""

from muscope.recorded import AnySpec
from muscope.recording import STATISTICS
from muscope.storage.studies import StudyRow
from muscope.vocabulary import Statistic, TensorKind

FIRST = (Statistic.CONTRIBUTION, Statistic.CHANGE)
"""A page opens on the first of these that was recorded: they decide most verdicts."""


def labels(row: StudyRow) -> dict[str, str]:
    """Variants as a person says them, by key."""
    return {variant.key: variant.label for variant in row.spec.variants}


def check_of(row: StudyRow) -> AnySpec:
    """What of a study checks sizes; a study of losses alone is given as it is."""
    return row.spec.coordinate_check or row.spec


def statistics_of(row: StudyRow, kind: TensorKind) -> tuple[Statistic, ...]:
    """What a study records of a kind, in the order of a page."""
    recorded = STATISTICS[check_of(row).record].get(kind, ())
    first = tuple(statistic for statistic in FIRST if statistic in recorded)
    return (*first, *(statistic for statistic in recorded if statistic not in first))
