"""The looks of a study that may stop early: after how many seeds, and how sure each must be.

Who looks several times has several chances to be wrong. So the error that a study allows itself,
10 % for an interval, is shared out among its looks: the last keeps nine tenths, those before it
have the rest in equal parts. By Bonferroni's inequality all the intervals of a cell hold together
as often as the one interval of a study that looks once, whatever made it stop.

Most of the error is kept for the last look because that is where slopes near the tolerance are
told from flat; what stops early is far from it.
"""

from muscope.spec import StudySpec

CONFIDENCE = 0.90
"""How often an interval holds the true slope: that of one look, or of all looks together."""

FEWEST_SEEDS = 3
"""Of the first look: two seeds give an interval of one degree of freedom, which decides nothing."""

LAST_SHARE = 0.9
"""Of the error, for the last look: its interval has 91 %, hardly wider than that of one look."""


def looks(spec: StudySpec) -> tuple[int, ...]:
    """Seeds at which a study is judged: all of them, and before that halves: 3, 5, 10 of 10."""
    counts = [spec.seeds]
    while spec.stop_early and (half := (counts[0] + 1) // 2) >= FEWEST_SEEDS:
        counts.insert(0, half)
    return tuple(counts)


def look(spec: StudySpec, seeds: int) -> int:
    """The look that so many seeds belong to: the first that has them all."""
    return next(count for count in looks(spec) if count >= seeds)


def confidence(spec: StudySpec, look: int) -> float:
    """How sure the intervals of a look are, so that those of all looks together have 90 %."""
    planned = looks(spec)
    if len(planned) == 1:
        return CONFIDENCE
    is_last = look == planned[-1]
    share = LAST_SHARE if is_last else (1 - LAST_SHARE) / (len(planned) - 1)
    return 1 - (1 - CONFIDENCE) * share
