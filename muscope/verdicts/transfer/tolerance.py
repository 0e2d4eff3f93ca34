"""How much an optimum may move and still stay where it is."""

TOLERANCE = 0.25
"""Octaves per doubling: a quarter of what SP with Adam drifts over width (facts 7.1)."""
