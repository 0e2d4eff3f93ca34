"""A ranking in words: evidence with numbers, and what would tell the first two apart."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import numpy as np

from muscope.theory.faults.fault import Visibility
from muscope.verdicts.diagnosis.observed import Observation, part_of
from muscope.verdicts.diagnosis.ranking import FELT, Ranking
from muscope.verdicts.diagnosis.types import Suspect
from muscope.vocabulary import Axis, Role, Statistic, TensorKind

_STATISTICS = {
    (TensorKind.WEIGHT, Statistic.RMS): "initial std",
    (TensorKind.GRADIENT, Statistic.L1): "gradient",
    (TensorKind.UPDATE, Statistic.RMS): "update",
    (TensorKind.UPDATE, Statistic.SPECTRAL): "spectral norm of the update",
    (TensorKind.WEIGHT, Statistic.CONTRIBUTION): "update contribution",
    (TensorKind.ACTIVATION, Statistic.L1): "size at initialization",
    (TensorKind.ACTIVATION, Statistic.CHANGE): "change",
}
_WEIGHTS = {
    Role.EMBEDDING: "the embedding",
    Role.HIDDEN: "hidden weights",
    Role.OUTPUT: "the readout",
    Role.VECTOR: "biases and gains",
    Role.SCALAR: "scalars",
}
_ACTIVATIONS = {
    Role.EMBEDDING: "the embedding",
    Role.HIDDEN: "hidden activations",
    Role.OUTPUT: "the logits",
    Role.ATTENTION_LOGITS: "attention logits",
    Role.RESIDUAL: "the residual stream",
}
_CHECKS = {
    Visibility.WIDTH: "slopes on width",
    Visibility.DEPTH: "slopes on depth",
    Visibility.AUDIT: "the static audit",
    Visibility.TRANSFER: "a learning-rate study",
}
_LETTERS = {Axis.WIDTH: "n", Axis.DEPTH: "L"}

MOST_EVIDENCE = 3
_MATTERS = 0.5
"""Of a log-likelihood: what makes a fault less than 1.6 times as likely is no evidence."""

_Kind: TypeAlias = tuple[Axis, TensorKind, Statistic, Role, float]


@dataclass(frozen=True, slots=True)
class _Place:
    """What several slopes say together: those of one role that a fault moves alike."""

    axis: Axis
    kind: TensorKind
    statistic: Statistic
    role: Role

    def words(self, parts: Sequence[str]) -> str:
        """`update contribution of hidden weights (attn.q and 5 more)`."""
        names = _ACTIVATIONS if self.kind is TensorKind.ACTIVATION else _WEIGHTS
        where = names.get(self.role, str(self.role.value))
        own = list(dict.fromkeys(parts))
        more = f" and {len(own) - 1} more" if len(own) > 1 else ""
        is_alone = self.role in (Role.OUTPUT, Role.RESIDUAL, Role.ATTENTION_LOGITS)
        said = "" if is_alone or own in (["hidden"], ["embedding"]) else f" ({own[0]}{more})"
        return f"{_STATISTICS[self.kind, self.statistic]} of {where}{said}"


def suspect(ranking: Ranking, rules: Sequence[int], share: float) -> Suspect:
    """One class of faults, named by the first of the library."""
    faults = [ranking.faults[rule - 1] for rule in rules]
    first, names = faults[0], dict.fromkeys(fault.name for fault in faults)
    return Suspect(
        fault=first.name,
        alike=tuple(name for name in names if name != first.name),
        title="; or ".join(dict.fromkeys(fault.title for fault in faults)),
        score=round(share, 4),
        evidence=tuple(evidence(ranking, rules[0])),
        fix="; ".join(dict.fromkeys(fault.fix for fault in faults)),
        visible_in=", ".join(_CHECKS[where] for where in first.visible),
    )


def evidence(ranking: Ranking, rule: int) -> list[str]:
    """The slopes that speak most for a fault against *healthy*, roles at a time."""
    weights: defaultdict[_Kind, float] = defaultdict(float)
    members: defaultdict[_Kind, list[Observation]] = defaultdict(list)
    for each, gain in ranking.gains(rule):
        axis, kind, _, statistic = each.group
        where = (axis, kind, statistic, each.role, round(float(each.signature[rule]) * 2) / 2)
        weights[where] += gain
        members[where].append(each)
    ordered = sorted(weights, key=lambda where: -weights[where])
    telling = [where for where in ordered if weights[where] > _MATTERS]
    firsts = {where[:4]: where for where in reversed(telling)}
    return [_sentence(members[where], rule) for where in telling if firsts[where[:4]] == where][
        :MOST_EVIDENCE
    ]


def _sentence(members: Sequence[Observation], rule: int) -> str:
    first = members[0]
    axis, kind, _, statistic = first.group
    slope = median(each.slope for each in members)
    healthy = median(each.healthy for each in members)
    broken = median(each.healthy + float(each.signature[rule]) for each in members)
    parts = [part_of(each.key[1]) for each in members]
    letter = _LETTERS[axis]
    return (
        f"{_Place(axis, kind, statistic, first.role).words(parts)} {_verb(slope)} as "
        f"{letter}^{_number(slope)} (expected {letter}^{_number(healthy)}, with this fault "
        f"{letter}^{_number(broken)})"
    )


def _verb(slope: float) -> str:
    if abs(slope) <= FELT:
        return "goes"
    return "grows" if slope > 0 else "shrinks"


def _number(exponent: float) -> str:
    text = f"{exponent:.2f}".replace("-", "−")
    return "0" if text in ("0.00", "−0.00") else text


def separates(ranking: Ranking, one: Sequence[int], other: Sequence[int]) -> str:
    """What measurement would tell two classes of faults apart: the slope that differs most."""
    a, b = one[0], other[0]
    titles = (ranking.faults[a - 1].title, ranking.faults[b - 1].title)
    read = {(each.group[0], each.key): each for each in ranking.observations}
    best = max(
        (
            (float(abs(slopes[a] - slopes[b])), (axis, key) in read, axis, key)
            for axis, found in ranking.exponents.items()
            for key, slopes in found.items()
            if (key[0], key[2]) in _STATISTICS and np.isfinite(slopes[[0, a, b]]).all()
        ),
        key=lambda found: (round(found[0], 1), found[1]),
        default=None,
    )
    if best is None or best[0] <= FELT:
        return _by_reading(ranking, a, b)
    _, _, axis, key = best
    letter, slopes = _LETTERS[axis], ranking.exponents[axis][key]
    what = f"the {_STATISTICS[key[0], key[2]]} of {key[1]} at step {key[3]}"
    known = read.get((axis, key))
    measured = f"; measured {letter}^{_number(known.slope)}" if known else ""
    return (
        f"{_how(known, best[0])}{what}, which goes as {letter}^{_number(float(slopes[a]))} if "
        f"{titles[0]}, and as {letter}^{_number(float(slopes[b]))} if {titles[1]}{measured}"
    )


def _how(known: Observation | None, apart: float) -> str:
    """What to do to see it: nothing, where it was measured well enough."""
    if known is None:
        return "record more (record: full) to see "
    is_sure = float(np.hypot(known.error, known.tolerance)) * 2 < apart
    return "" if is_sure else "take more seeds or wider widths for "


def _by_reading(ranking: Ranking, one: int, other: int) -> str:
    """No slope differs: what is left is to look at the numbers themselves."""
    audits = [Visibility.AUDIT in ranking.faults[rule - 1].visible for rule in (one, other)]
    if any(audits):
        return "no slope tells them apart; the static audit reads first values and rates themselves"
    return "no slope tells them apart; print the multipliers at two widths and compare"
