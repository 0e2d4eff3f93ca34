"""What theory expects of activations: the columns of facts 5.1 to 5.3."""

from muscope.theory.expected.coordinates import (
    UNKNOWN,
    ZERO_QUERY,
    ZERO_READOUT,
    Coordinates,
    Expectation,
    known,
)
from muscope.theory.expected.weights import contribution
from muscope.vocabulary import Role, Statistic, UpdateFamily

_EMB, _HID, _OUT = Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT
_LOGITS, _STREAM = Role.ATTENTION_LOGITS, Role.RESIDUAL
_ROLES = frozenset((_EMB, _HID, _OUT, _LOGITS, _STREAM))

_HIDDEN_FLAT: dict[Role, float] = dict.fromkeys((_EMB, _HID, _LOGITS, _STREAM), 0.0)
_FLAT = _HIDDEN_FLAT | {_OUT: 0.0}
_FALLING_LOGITS = _HIDDEN_FLAT | {_OUT: -0.5}

# Columns *act hid t0* and *logit t0* of facts 5.1. The logits of nanotron and of spectral µP
# depend on whether the model is wider than its vocabulary: see `_logits_at_start`.
_AT_START: dict[str, dict[Role, float]] = {
    "mup": _FALLING_LOGITS,
    "u_mup": _FALLING_LOGITS,
    "sp": _FLAT,
    "ntk": _FLAT,
    "ntk_fixed": _FLAT,
    "everett": _FLAT,
    "mean_field_fixed": _FALLING_LOGITS,
    "spectral": _HIDDEN_FLAT,
    "nanotron": _HIDDEN_FLAT,
    "sp_fixed_std": {_EMB: 0.0},
}
# Columns upd EMB, dact HID and dlogit of facts 5.1; attention logits as measured in facts 5.3. The
# residual stream mixes roles: no source, no entry. Everett's logits rise by up to 1/2: no entry.
# u-µP's hidden change goes from -1/2 in the first layers to 0: no entry.
_SGD, _ADAM = UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE
_CHANGE_AFTER_ONE_STEP: dict[tuple[str, UpdateFamily], dict[Role, float]] = {
    ("sp", _SGD): {_EMB: -0.5, _HID: 0.5, _OUT: 1.0},
    ("sp", _ADAM): {_EMB: 0.0, _HID: 1.0, _LOGITS: 1.0, _OUT: 1.5},
    ("sp_fixed_std", _ADAM): {_EMB: 0.0},
    ("ntk", _SGD): {_EMB: -0.5, _HID: -0.5, _OUT: 0.0},
    ("ntk", _ADAM): {_EMB: 0.0, _HID: 0.0},
    ("ntk_fixed", _SGD): {_EMB: -0.5, _HID: -0.5, _OUT: 0.0},
    ("ntk_fixed", _ADAM): {_EMB: 0.0, _HID: 0.5, _OUT: 1.0},
    ("mean_field_fixed", _SGD): {_EMB: -1.0, _HID: -1.0, _OUT: -1.0},
    ("everett", _ADAM): {_EMB: 0.0, _HID: 0.0},
    ("nanotron", _ADAM): {_HID: 1.0, _LOGITS: 1.0, _OUT: 1.5},
    ("u_mup", _ADAM): {_EMB: -0.5, _OUT: 0.0},
}


def expectation(at: Coordinates) -> Expectation:
    """The exponent that theory expects of one activation at one step."""
    if at.role not in _ROLES:
        return UNKNOWN
    if _is_zero_by_readout(at):
        return ZERO_READOUT
    match at.statistic:
        case Statistic.L1 | Statistic.RMS:
            return _size(at)
        case Statistic.CHANGE:
            return _change(at)
        case _:
            return UNKNOWN


def _is_zero_by_readout(at: Coordinates) -> bool:
    """With W_out = 0 the logits vanish at step 0, and no gradient passes it in the first step."""
    if not at.zero_readout:
        return False
    if at.statistic is Statistic.CHANGE:
        return at.step == 1 and at.role is not _OUT
    return at.step == 0 and at.role is _OUT


def _size(at: Coordinates) -> Expectation:
    if at.step == 0:
        if at.role is _LOGITS and at.zero_query:
            return ZERO_QUERY
        return known(_at_start(at), f"{at.row}, at initialization (facts 5.1 to 5.3)")
    if at.row != "mup":
        return UNKNOWN
    return known(_mup_later(at), "µP keeps activations flat (facts 5.1 to 5.3)")


def _at_start(at: Coordinates) -> float | None:
    found = _AT_START.get(at.row, {})
    if at.role is _OUT:
        return _logits_at_start(at)
    if at.role is _LOGITS and _LOGITS in found and at.attention_start is not None:
        return at.attention_start
    return found.get(at.role)


def _logits_at_start(at: Coordinates) -> float | None:
    """A sum of n independent products: the power of the readout's entries and 1/2.

    Unknown with tied embeddings: a token's logit of itself is aligned, those of others are not.
    """
    found = _AT_START.get(at.row)
    if found is None or at.tied:
        return None
    if at.sp_unembedding and _HID in found:
        return 0.0
    if at.row in ("spectral", "nanotron") and at.powers and at.powers.readout is not None:
        return at.powers.readout + 0.5
    return found.get(_OUT)


def _mup_later(at: Coordinates) -> float | None:
    """0, but for what starts at -1/2 and fades into 0: how fast depends on the learning rate.

    That is a random readout, and q.k/d of heads that grow; a zero query leaves the latter out.
    q.k/sqrt(d) of heads that grow rises by up to 1/2: no entry (facts 5.2).
    """
    if _has_gradients_of_sp(at):
        return None
    if at.role is _OUT:
        return 0.0 if at.zero_readout else None
    if at.role is _LOGITS and at.attention_start is not None:
        return 0.0 if at.zero_query and at.attention_start < 0 else None
    return 0.0


def _has_gradients_of_sp(at: Coordinates) -> bool:
    """Whether a readout as large as SP's makes the updates larger: only if they go with it.

    For the logits always: W_out times the hidden change may add up to 1/2 (facts 2.12, caveat).
    """
    return at.sp_unembedding and (at.family is _SGD or at.role is _OUT)


def _change(at: Coordinates) -> Expectation:
    if at.row == "mup":
        grows = at.role is _LOGITS and at.attention_start is not None and at.attention_start >= 0
        unsure = grows or _has_gradients_of_sp(at)
        source = "µP keeps the change of activations flat (facts 5.1 to 5.3)"
        return known(None if unsure else 0.0, source)
    source = f"{at.row}, change after one small step (facts 5.1 to 5.3)"
    return known(_change_after_one_step(at), source)


def _change_after_one_step(at: Coordinates) -> float | None:
    """Later steps saturate: only the first has an exponent.

    The embedding's change is its weight's contribution; so is that of the logits over a zero
    readout, which lets nothing else move in the first step.
    """
    if at.step != 1:
        return None
    found = _CHANGE_AFTER_ONE_STEP.get((at.row, at.family), {}).get(at.role)
    if at.role is _EMB:
        return contribution(at) if found is None else found
    if at.role is _OUT and at.zero_readout:
        return contribution(at)
    growing_heads = at.role is _LOGITS and at.attention_start is not None
    return None if at.mixed or growing_heads or _has_another_readout(at) else found


def _has_another_readout(at: Coordinates) -> bool:
    """Whether the readout is not that of the row: nanotron's is narrower than its vocabulary."""
    if at.row == "nanotron" and at.role is _OUT:
        return at.powers is None or at.powers.readout != -0.5
    return at.sp_unembedding and _AT_START.get(at.row, {}).get(_OUT) != 0
