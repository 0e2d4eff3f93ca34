"""Measurements become judgements. `types` is plain; the judging itself needs numpy and scipy."""
