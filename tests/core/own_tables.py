"""How models follow a rule: rows of facts 2.1 to 2.9 as powers of m (docs/facts.md 2).

Of std, learning rate and weight decay; the learning rate times the decay stays.
"""

from tests.core.own_models import By, Powers

VECTOR = Powers(None, 0)
ADAM_HIDDEN = Powers(-0.5, -1, 1)
TABLE_8: By = {
    "embedding": Powers(0, 0),
    "hidden": ADAM_HIDDEN,
    "output": Powers(0, 0),
    "vector": VECTOR,
}
TABLE_3: By = {**TABLE_8, "output": Powers(-1, -1, 1)}
TABLE_9: By = {
    **TABLE_8,
    "embedding": Powers(-0.5, -0.5, 0.5),
    "output": Powers(-0.5, -0.5, 0.5),
}
SGD_VECTOR = Powers(None, 1, -1)
SGD_8: By = {
    "embedding": Powers(0, 1, -1),
    "hidden": Powers(-0.5, 0),
    "output": Powers(0, 1, -1),
    "vector": SGD_VECTOR,
}
SGD_3: By = {**SGD_8, "output": Powers(-1, -1, 1)}
SGD_9: By = {**SGD_8, "embedding": Powers(-0.5, 0), "output": Powers(-0.5, 0)}
MUON: By = {**TABLE_8, "hidden": Powers(-0.5, 0)}
MUON_RMS: By = {**TABLE_8, "hidden": Powers(-0.5, -0.5, 0.5)}
SP: By = {
    "embedding": Powers(0, 0),
    "hidden": Powers(-0.5, 0),
    "output": Powers(-0.5, 0),
    "vector": VECTOR,
}
U_MUP: By = {
    "embedding": Powers(0, -0.5, 0.5),
    "hidden": Powers(0, -0.5, 0.5),
    "output": Powers(0, 0),
    "vector": VECTOR,
}
NTK: By = {
    "embedding": Powers(0, 0),
    "hidden": Powers(0, -0.5, 0.5),
    "output": Powers(0, -0.5, 0.5),
    "vector": VECTOR,
}
WITH_MUON = {"hidden": "muon"}
WITH_MUON_RMS = {"hidden": "muon_match_rms"}
