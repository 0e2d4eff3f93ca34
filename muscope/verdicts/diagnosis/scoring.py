"""How plausible every fault is: a robust likelihood of the slopes, turned into shares.

A slope under a fault is spread around its exponent with the tails of Student's t, so that one odd
tensor decides nothing. Blocks and steps of one part of a model say the same thing, so that they
count once, by their mean. *Healthy* is a candidate too, and the likeliest before anything is seen.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from muscope.verdicts.diagnosis.observed import Group, Observation
from muscope.verdicts.slopes import Floats

FREEDOM = 8
"""Of Student's t: tails heavy enough for a tensor that theory does not know."""

HEALTHY_ODDS = 3.0
"""log of how much likelier *healthy* is than all faults before anything was measured: 20 to 1."""

TEMPER = 4.0
"""By which log-likelihoods are divided before they are shares: what theory leaves out bends all
slopes of a study together, so that they are fewer than they seem (blocks, steps and statistics)."""


def log_likelihood(observation: Observation) -> Floats:
    """Of one slope under every rule, up to a constant."""
    spread = observation.spread()
    z = observation.off() / spread
    tail: Floats = (FREEDOM + 1) / 2 * np.log1p(z**2 / FREEDOM) + np.log(spread)
    return -tail


def by_group(observations: Sequence[Observation], logs: Sequence[Floats]) -> dict[Group, Floats]:
    """The log-likelihood of every rule, the healthy first, in every group."""
    rows: defaultdict[Group, list[Floats]] = defaultdict(list)
    for each, own in zip(observations, logs, strict=True):
        rows[each.group].append(own)
    return {group: np.mean(found, axis=0) for group, found in rows.items()}


def total(groups: dict[Group, Floats], rules: int) -> Floats:
    """The log-likelihood of every rule."""
    return np.sum(list(groups.values()), axis=0) if groups else np.zeros(rules)


def shares(logs: Floats) -> Floats:
    """The shares of rules with these logarithms of plausibility."""
    weights: Floats = np.exp(logs - logs.max()) if len(logs) else logs
    found: Floats = weights / weights.sum()
    return found
