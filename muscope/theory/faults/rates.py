"""Faults of learning rates, of weight decay and of epsilon."""

from dataclasses import replace

from muscope.theory.faults.changes import (
    Number,
    rate_of_a_hidden_weight,
    rates_of,
    ratio_to,
    times,
    width,
)
from muscope.theory.faults.fault import Fault, Visibility, Weight
from muscope.theory.rule import WeightRule
from muscope.vocabulary import Role, UpdateFamily

_EMB, _HID, _OUT, _VEC = Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.VECTOR
_RATE: Number = "learning_rate_factor"
_SEEN = (Visibility.WIDTH, Visibility.AUDIT)
_UNSEEN = (Visibility.AUDIT, Visibility.TRANSFER)
_ORTHOGONAL = (UpdateFamily.ORTHOGONAL,)

LARGE = 1e14
"""Times the protocol's 1e-16: above the gradients of a small model, so that it always acts."""


def _large_epsilon(weight: Weight) -> WeightRule:
    """The base model's epsilon at every width, LARGE times as large."""
    return replace(weight.rule, epsilon_factor=LARGE * weight.base.epsilon_factor)


RATES = (
    Fault(
        name="rates_not_scaled",
        title="every weight has one learning rate at every width: the optimizer is not µP's",
        visible=_SEEN,
        fix="C of every row (mup: MuAdam or MuSGD, not torch's)",
        change=ratio_to(0, _RATE),
    ),
    Fault(
        name="hidden_rate_not_scaled",
        title="the learning rate of hidden weights is not scaled",
        visible=_SEEN,
        fix="C of hidden weights: 1/m with Adam",
        change=ratio_to(0, _RATE, _HID),
    ),
    Fault(
        name="hidden_rate_twice",
        title="the learning rate of hidden weights is scaled twice",
        visible=_SEEN,
        fix="C of hidden weights: 1/m with Adam, once",
        change=ratio_to(2, _RATE, _HID),
    ),
    Fault(
        name="hidden_rate_inverted",
        title="the learning rate of hidden weights is multiplied instead of divided",
        visible=_SEEN,
        fix="C of hidden weights: divided by m with Adam",
        change=ratio_to(-1, _RATE, _HID),
    ),
    Fault(
        name="hidden_rate_by_sqrt_m",
        title="the learning rate of hidden weights is divided by √m instead of m",
        visible=_SEEN,
        fix="C of hidden weights: 1/m with Adam",
        change=ratio_to(0.5, _RATE, _HID),
    ),
    Fault(
        name="output_rate_not_scaled",
        title="the learning rate of the readout is not scaled",
        visible=_SEEN,
        fix="C of the readout: m with SGD (Table 8), 1/m with Adam (Table 3)",
        change=ratio_to(0, _RATE, _OUT),
    ),
    Fault(
        name="output_rate_twice",
        title="the learning rate of the readout is scaled twice",
        visible=_SEEN,
        fix="C of the readout: m with SGD (Table 8), 1/m with Adam (Table 3), once",
        change=ratio_to(2, _RATE, _OUT),
    ),
    Fault(
        name="output_rate_as_hidden",
        title="the readout has the learning rate of a hidden weight",
        visible=_SEEN,
        fix="C of the readout: with Adam 1 beside the multiplier 1/m (Table 8)",
        change=rate_of_a_hidden_weight(_OUT),
    ),
    Fault(
        name="embedding_rate_not_scaled",
        title="the learning rate of the embedding is not scaled",
        visible=_SEEN,
        fix="C of the embedding: m with SGD",
        change=ratio_to(0, _RATE, _EMB),
    ),
    Fault(
        name="embedding_rate_twice",
        title="the learning rate of the embedding is scaled twice",
        visible=_SEEN,
        fix="C of the embedding: m with SGD, once",
        change=ratio_to(2, _RATE, _EMB),
    ),
    Fault(
        name="embedding_rate_as_hidden",
        title="the embedding has the learning rate of a hidden weight",
        visible=_SEEN,
        fix="C of the embedding: 1 with Adam, m with SGD: its width is fan_out",
        change=rate_of_a_hidden_weight(_EMB),
    ),
    Fault(
        name="vector_rate_not_scaled",
        title="the learning rate of biases and gains is not scaled",
        visible=_SEEN,
        fix="C of biases and gains: m with SGD",
        change=ratio_to(0, _RATE, _VEC),
    ),
    Fault(
        name="vector_rate_as_hidden",
        title="biases and gains have the learning rate of hidden weights",
        visible=_SEEN,
        fix="C of biases and gains: 1 with Adam, m with SGD",
        change=rate_of_a_hidden_weight(_VEC),
    ),
    Fault(
        name="sgd_rates_with_adam",
        title="the learning rates are SGD's, with an optimizer that normalizes gradients",
        visible=_SEEN,
        fix="C of every row: the column of Adam, not that of SGD",
        change=rates_of(
            UpdateFamily.SGD_LIKE,
            UpdateFamily.SIGN_LIKE,
            UpdateFamily.ORTHOGONAL,
            UpdateFamily.ORTHOGONAL_RMS,
        ),
    ),
    Fault(
        name="adam_rates_with_sgd",
        title="the learning rates are Adam's, with SGD",
        visible=_SEEN,
        fix="C of every row: the column of SGD, not that of Adam",
        change=rates_of(UpdateFamily.SIGN_LIKE, UpdateFamily.SGD_LIKE),
    ),
    Fault(
        name="muon_rate_by_m",
        title="Muon's learning rate is divided by m, though its update has the right size",
        visible=_SEEN,
        fix="C of hidden weights: 1 with Muon",
        change=times(width(-1), _RATE, _HID, families=_ORTHOGONAL),
    ),
    Fault(
        name="muon_rate_by_sqrt_m",
        title="Muon has the learning rate of a Muon with updates of AdamW's size, 1/√m",
        visible=_SEEN,
        fix="C of hidden weights: 1 with plain Muon, 1/√m with 0.2·√max(fan_out, fan_in)",
        change=rates_of(UpdateFamily.ORTHOGONAL_RMS, UpdateFamily.ORTHOGONAL),
    ),
    Fault(
        name="fused_rate",
        title="parts of a fused projection have the learning rate of its whole fan_out",
        visible=(Visibility.TRANSFER,),
        fix="C of q, k, v (up, gate): from their own fan_out, not three (two) times as large",
        change=times(
            lambda weight: max(weight.dims.fused_fan_out / weight.dims.fan_out, 1.0), _RATE
        ),
    ),
    Fault(
        name="decay_coupled",
        title="weight decay is coupled to a learning rate that is scaled, and not scaled back",
        visible=_UNSEEN,
        fix="λ of every row: divided by what the learning rate was multiplied with",
        change=ratio_to(0, "weight_decay_factor"),
    ),
    Fault(
        name="epsilon_not_scaled",
        title="epsilon is not scaled",
        visible=_UNSEEN,
        fix="ε of every row: 1/m, as gradients are; or so small that it does not act",
        change=ratio_to(0, "epsilon_factor"),
    ),
    Fault(
        name="epsilon_large",
        title="epsilon is not scaled, and as large as gradients",
        visible=_SEEN,
        fix="ε of every row: 1/m, as gradients are; and far below them",
        change=_large_epsilon,
    ),
)
