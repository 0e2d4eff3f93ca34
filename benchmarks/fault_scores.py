"""What was found of every fault, and how often: rates and the confusion matrix, as markdown."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from muscope.theory.faults import FAULTS
from muscope.vocabulary import CellVerdict

FAILING = (CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED)
HEALTHY = ""
TOP = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged variant of one study: what was broken in it, and what was said.

    `equals` are the faults of equal signature there, its own among them.
    """

    group: str
    study: int
    parametrization: str
    fault: str
    equals: tuple[str, ...]
    verdict: CellVerdict
    as_theory: bool | None
    suspects: tuple[str, ...]

    @property
    def is_failed(self) -> bool:
        """Whether the check says that something is wrong."""
        return self.verdict in FAILING or self.as_theory is False

    @property
    def is_found(self) -> bool:
        """Whether it failed, or its diagnosis names a suspect without that."""
        return self.is_failed or bool(self.suspects)

    @property
    def should_fail(self) -> bool:
        """Whether slopes can see it."""
        return bool(self.fault) and HEALTHY not in self.equals

    def is_named_in(self, first: int) -> bool:
        """Whether it, or one of equal signature, is among so many suspects."""
        return any(name in self.equals for name in self.suspects[:first])


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many."""

    hits: int
    of: int

    def __str__(self) -> str:
        return f"{self.hits / self.of:.3f} ({self.hits} of {self.of})" if self.of else "–"


def rate(judged: Sequence[Judged], test: Callable[[Judged], bool]) -> Rate:
    """How many pass a test."""
    return Rate(sum(map(test, judged)), len(judged))


def summary(judged: Sequence[Judged]) -> Iterator[str]:
    """The rates of every group of runs and of all, as a table."""
    yield (
        "| runs | sensitivity | with the diagnosis | specificity | with the diagnosis "
        "| right fault first | in the first three |"
    )
    yield "|---|---|---|---|---|---|---|"
    by_group: defaultdict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_group[one.group].append(one)
    for name, members in (*by_group.items(), ("all", list(judged))):
        yield _row(name, members)


def _row(name: str, members: Sequence[Judged]) -> str:
    faulty = [one for one in members if one.should_fail]
    healthy = [one for one in members if not one.fault]
    cells = (
        rate(faulty, lambda one: one.is_failed),
        rate(faulty, lambda one: one.is_found),
        rate(healthy, lambda one: not one.is_failed),
        rate(healthy, lambda one: not one.is_found),
        rate(faulty, lambda one: one.is_named_in(1)),
        rate(faulty, lambda one: one.is_named_in(TOP)),
    )
    return f"| {name} | {' | '.join(map(str, cells))} |"


def confusion(judged: Sequence[Judged]) -> Iterator[str]:
    """Of every fault: how often it failed, was first, and what was first instead."""
    yield "| fault | judged | failed | first | in three | first instead |"
    yield "|---|---|---|---|---|---|"
    by_fault: defaultdict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_fault[one.fault if one.should_fail or not one.fault else f"{one.fault} (unseen)"].append(
            one
        )
    order = {name: number for number, name in enumerate(FAULTS)}
    for name, members in sorted(
        by_fault.items(), key=lambda pair: order.get(pair[0].removesuffix(" (unseen)"), -1)
    ):
        others = Counter(
            one.suspects[0] for one in members if one.suspects and not one.is_named_in(1)
        )
        instead = ", ".join(f"{other} {count}" for other, count in others.most_common(4))
        counts = (
            len(members),
            sum(one.is_failed for one in members),
            sum(one.is_named_in(1) for one in members),
            sum(one.is_named_in(TOP) for one in members),
        )
        yield f"| {name or '*healthy*'} | {' | '.join(map(str, counts))} | {instead or '–'} |"


def missed(judged: Sequence[Judged]) -> Iterator[str]:
    """What went wrong, one line each: what was not detected, failed wrongly, or not named."""
    for one in judged:
        where = f"{one.group}, {one.parametrization}, study {one.study}"
        if one.should_fail and not one.is_failed:
            yield f"not detected: {one.fault} ({where}): {one.verdict.value}"
        if not one.fault and one.is_failed:
            yield f"failed though healthy ({where}): {one.verdict.value}, theory {one.as_theory}"
        if one.should_fail and not one.is_named_in(TOP):
            yield f"not in the first {TOP}: {one.fault} ({where}): {', '.join(one.suspects)}"
