"""Faults of first values and of multipliers."""

from muscope.theory.faults.changes import both, rate_of_a_hidden_weight, ratio_to, times, width
from muscope.theory.faults.fault import Fault, Visibility
from muscope.vocabulary import Role

_EMB, _HID, _OUT = Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT
_SEEN = (Visibility.WIDTH, Visibility.AUDIT)
_WIDTH = (Visibility.WIDTH,)
"""What forward() multiplies is seen by no static audit."""

STARTS = (
    Fault(
        name="hidden_std_fixed",
        title="hidden weights start with one std for every width",
        visible=_SEEN,
        fix="B of hidden weights: σ/√m, not a constant such as GPT-2's 0.02",
        change=ratio_to(0, "init_std", _HID),
    ),
    Fault(
        name="hidden_std_by_m",
        title="the std of hidden weights is divided by m: a variance used as a std",
        visible=_SEEN,
        fix="B of hidden weights: σ/√m (the variance is σ²/m)",
        change=ratio_to(2, "init_std", _HID),
    ),
    Fault(
        name="hidden_std_twice",
        title="the std of hidden weights is divided by √m twice",
        visible=_SEEN,
        fix="B of hidden weights: σ/√m, once (a second init or rescaling ran after the first)",
        change=times(width(-0.5), "init_std", _HID),
    ),
    Fault(
        name="embedding_std_by_sqrt_m",
        title="the embedding starts like a hidden weight, as 1/√m: fan_in and fan_out swapped",
        visible=_SEEN,
        fix="B of the embedding: a constant; its fan_in is the vocabulary's, one-hot",
        change=times(width(-0.5), "init_std", _EMB),
    ),
    Fault(
        name="embedding_std_times_sqrt_m",
        title="the embedding's std is multiplied by √m, as a tied readout rescales it",
        visible=_SEEN,
        fix="B of the embedding, tied or not: a constant (microsoft/mup#55)",
        change=times(width(0.5), "init_std", _EMB),
    ),
    Fault(
        name="embedding_as_hidden",
        title="the embedding is treated as a hidden weight, in std and learning rate",
        visible=_SEEN,
        fix="the row of the embedding: its width is fan_out, not fan_in",
        change=both(times(width(-0.5), "init_std", _EMB), rate_of_a_hidden_weight(_EMB)),
    ),
    Fault(
        name="output_std_fixed",
        title="the readout starts with one std for every width",
        visible=_SEEN,
        fix="B of the readout: σ/m where it has no multiplier (Table 3)",
        change=ratio_to(0, "init_std", _OUT),
    ),
    Fault(
        name="output_std_by_sqrt_m",
        title="the readout's std is divided by √m on top of its rule",
        visible=_SEEN,
        fix="B of the readout: its multiplier already scales it (Table 8: a constant)",
        change=times(width(-0.5), "init_std", _OUT),
    ),
    Fault(
        name="output_std_times_sqrt_m",
        title="the readout's std is √m too large: it starts as SP's",
        visible=_SEEN,
        fix="B of the readout: A·B falls as 1/m (a rescaling ran twice, or 1/√fan_in was kept)",
        change=times(width(0.5), "init_std", _OUT),
    ),
    Fault(
        name="output_multiplier_missing",
        title="the readout's multiplier is missing",
        visible=_WIDTH,
        fix="A of the readout: 1/m (Table 8), of tied embeddings on the logits",
        change=ratio_to(0, "multiplier", _OUT),
    ),
    Fault(
        name="output_multiplier_twice",
        title="the readout's multiplier is applied twice",
        visible=_WIDTH,
        fix="A of the readout: 1/m, once",
        change=ratio_to(2, "multiplier", _OUT),
    ),
    Fault(
        name="output_multiplier_by_sqrt_m",
        title="the readout's multiplier is 1/√m",
        visible=_WIDTH,
        fix="A of the readout: 1/m (Table 8); 1/√m belongs to Table 9's std and rates",
        change=ratio_to(0.5, "multiplier", _OUT),
    ),
)
