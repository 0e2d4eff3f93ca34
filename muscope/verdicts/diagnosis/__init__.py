"""From the exponents that were measured to the single faults that would explain them.

`types` is plain; the rest needs numpy: `suspects.diagnose` is the way in.
"""
