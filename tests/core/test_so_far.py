"""While runs come in, the terminal claims no more than they say."""

from muscope.cli import so_far
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict


def verdict(word: CellVerdict, *, judged: int, final: bool = False) -> VariantVerdict:
    """A verdict on `judged` of 20 runs."""
    return VariantVerdict(
        variant="key",
        label="MLP",
        verdict=word,
        final=final,
        runs_judged=judged,
        runs_planned=20,
        tensors=(),
        cells=(),
    )


def test_inconclusive_waits_for_all_widths() -> None:
    inconclusive = CellVerdict.INCONCLUSIVE
    assert so_far.word(verdict(inconclusive, judged=5)).plain == "not judged yet"
    assert so_far.word(verdict(inconclusive, judged=20)).plain == "? inconclusive"
    assert so_far.word(verdict(inconclusive, judged=15, final=True)).plain == "? inconclusive"


def test_what_is_seen_already_is_said() -> None:
    assert so_far.word(verdict(CellVerdict.GROWS, judged=10)).plain == "↗ grows"
