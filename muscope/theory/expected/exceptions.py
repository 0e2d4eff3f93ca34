"""The departures from flat that are legal: they excuse shrinking, never growing."""

from collections.abc import Mapping

from muscope.theory.expected.coordinates import Coordinates, LegalException
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

_START = (-0.65, 0.10)
_RECOVERY = (-0.60, 0.20)
_SLOW = (-0.20, 0.10)
_SLOW_IN_ATTENTION = (-0.35, 0.10)
_BESIDE_LOGITS = (-0.35, 0.10)
_EVENING_OUT = (-0.30, 0.10)
_EMBEDDING_OF_U_MUP = (-0.65, 0.10, "u-µP's embedding learns at 1/√width by choice")

_SGD, _SIGN = UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE
_DIFFERENCES = frozenset((_SGD, _SIGN))
"""Families whose update is a sum over tokens, as large as its terms."""

_SCORES = ("attention.q", "attention.k", "attention.logits")
"""What gradients reach through q.k."""

_READS_TOKENS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys((*_SCORES, "attention.v"), _SLOW_IN_ATTENTION),
    **dict.fromkeys(("mlp.up", "mlp.gate", "mlp.down"), _SLOW),
}
"""Projections of nearly orthogonal token vectors; the bands are measured (ADR 16)."""


def legal_exception(at: Coordinates) -> LegalException | None:
    """The departure from flat that is legal here: what starts at -1/2, slow alignment, u-µP."""
    if at.row not in ("mup", "u_mup", "spectral"):
        return None
    match at.kind:
        case TensorKind.ACTIVATION:
            return _of_activation(at)
        case TensorKind.WEIGHT if at.statistic is Statistic.CONTRIBUTION and at.step > 0:
            return _of_contribution(at)
        case _:
            return None


def _of_activation(at: Coordinates) -> LegalException | None:
    if at.role is Role.OUTPUT:
        return _of_readout(at)
    changes_by_sgd = at.family is _SGD and at.statistic is Statistic.CHANGE
    if at.role is Role.ATTENTION_LOGITS and _starts_low(at) and not changes_by_sgd:
        return _starting_low(at, -0.5, "q·k/d of independent queries and keys")
    if at.part == "attention.o":
        return _of_averages(at)
    return _of_u_mup(at) if at.row == "u_mup" else _of_alignment(at)


def _starts_low(at: Coordinates) -> bool:
    """Whether attention logits start small, because heads grow under 1/d."""
    return at.attention_start is not None and at.attention_start < 0 and not at.zero_query


def _of_averages(at: Coordinates) -> LegalException | None:
    """What attention hands on while its logits, which start small, make it more and more even.

    Of logits with the variance v = d0/d the softmax over many keys gives averages of the size
    exp(v/2) / sqrt(keys): the local slope is -v/2, so -0.27 over two octaves from the base, and
    fading. -0.10 was measured at 32 keys, and -0.16 in contributions of Muon (ADR 36).
    """
    if not _starts_low(at):
        return None
    return LegalException(*_EVENING_OUT, "attention evens out as its logits, q·k/d, start smaller")


def _of_readout(at: Coordinates) -> LegalException | None:
    """The bands of facts 5.3; of a random readout at every step: its recovery needs a rate."""
    start = _start_of_readout(at)
    if start is not None:
        return _starting_low(at, start, "a random µP readout")
    if at.step == 0 or at.family is not _SIGN:
        return None
    return LegalException(*_SLOW, "a µP readout aligns slowly at finite width")


def _start_of_readout(at: Coordinates) -> float | None:
    """The power of its logits at step 0, None where they start flat or at zero.

    Between µP's and SP's it is one of its own: spectral rules whose widths cross the vocabulary.
    """
    if at.zero_readout or at.sp_unembedding:
        return None
    if at.row != "spectral":
        return -0.5
    if at.powers is None or at.powers.readout is None or at.powers.readout >= -0.5:
        return None
    return at.powers.readout + 0.5


def _starting_low(at: Coordinates, start: float, what: str) -> LegalException:
    """The measured band, moved with the exponent at which it starts."""
    low, high = _RECOVERY if at.step else _START
    words = "recovers from" if at.step else "starts at"
    exponent = "-1/2" if start == -0.5 else f"{start:.2f}"
    return LegalException(low + 0.5 + start, high, f"{what} {words} the exponent {exponent}")


def _of_alignment(at: Coordinates) -> LegalException | None:
    """What a sign-like update makes of nearly orthogonal token vectors, N directions of them.

    Its entries are +-lr/m, summed against an input of n entries: a part c * lr aligned with that
    input, c^2 ~ 1/N, beside an unaligned part lr / sqrt(n) (central limit). Their root mean square
    falls as sqrt(1/N + 1/n), with the local slope -N / (2 (N + n)): -0.15 over widths 64-512 at
    the N = 67 that was measured (docs/decisions/0016), fading above. SGD's updates have the bands
    of their contributions, which are all of a change where little comes from below (ADR 36).
    """
    moves = at.aligns_slowly and at.statistic is Statistic.CHANGE and at.step > 0
    if moves and at.family is _SGD and at.part in _READS_TOKENS:
        return _of_tokens(at)
    if at.family is not _SIGN or not moves:
        return None
    return LegalException(*_SLOW, "sign-like updates align slowly with single tokens")


def _of_contribution(at: Coordinates) -> LegalException | None:
    """The same effects, seen where they arise: in one weight's update and its frozen input."""
    if at.row == "u_mup" and at.role is Role.EMBEDDING and at.family in _DIFFERENCES:
        return LegalException(*_EMBEDDING_OF_U_MUP)
    if at.role is Role.OUTPUT:
        return _of_readouts_contribution(at)
    if at.role is Role.HIDDEN and at.family in _DIFFERENCES and at.part in _READS_TOKENS:
        return _of_tokens(at)
    return _of_averages(at) if at.part == "attention.o" else None


def _of_readouts_contribution(at: Coordinates) -> LegalException | None:
    """Beside a random readout SGD's updates of it shrink too, with the logits of the softmax.

    Errors are those of logits that start at -1/2, so a contribution lies between that and 0. Of 20
    seeds of the MLP, widths 64-512: SGD -0.23 at step 1, AdamW beside Muon -0.23 at step 4; 0.00
    with a zero readout (ADR 36).
    """
    if _start_of_readout(at) is not None:
        return LegalException(
            *_BESIDE_LOGITS, "a random µP readout recovers from the exponent -1/2"
        )
    if at.family is not _SIGN:
        return None
    return LegalException(*_SLOW, "sign-like updates align slowly at finite width")


def _of_tokens(at: Coordinates) -> LegalException:
    """One update is a sum over tokens t of terms (delta_t x_t^T), and so is what it makes of x_s.

    Its own token gives x_s.x_s = n, each of N others x_t.x_s ~ sqrt(n): the root mean square falls
    as sqrt(1 + N/n), the law of sign-like updates (ADR 16). A softmax over keys takes from their
    gradients what all share, so that the noise of other tokens weighs more there: N is larger.

    Where heads grow under 1/d, gradients of SGD come back through q.k/d times a sum over d of
    independent values: they start at -1/2, as the logits do.
    """
    low, high = _READS_TOKENS[at.part]
    if at.part in _SCORES and at.family is _SGD and at.attention_start is not None:
        low += min(at.attention_start, 0.0)
    return LegalException(low, high, "updates align slowly with single tokens")


def _of_u_mup(at: Coordinates) -> LegalException | None:
    """u-µP's embedding moves as n^-1/2 by its authors' choice, and what is above passes it on.

    Facts 2.9 (d) and 5.1: -1/2 in the embedding, measured -0.31 to -0.16 in the layers above; SGD
    has the same rate, or one by which its smaller gradients make the same.
    """
    if at.statistic is not Statistic.CHANGE or at.family not in _DIFFERENCES:
        return None
    return LegalException(*_EMBEDDING_OF_U_MUP)
