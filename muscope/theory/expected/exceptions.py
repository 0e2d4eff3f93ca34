"""The departures from flat that are legal: they excuse shrinking, never growing."""

from muscope.theory.expected.coordinates import Coordinates, LegalException
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

_START = (-0.65, 0.10)
_RECOVERY = (-0.60, 0.20)
_SLOW = (-0.20, 0.10)


def legal_exception(at: Coordinates) -> LegalException | None:
    """The departure from flat that is legal here: what starts at -1/2, slow alignment, u-µP."""
    if at.kind is TensorKind.WEIGHT:
        return _of_contribution(at)
    if at.kind is not TensorKind.ACTIVATION or at.row not in ("mup", "u_mup"):
        return None
    if at.role is Role.OUTPUT:
        return _of_readout(at)
    starts_low = at.attention_start is not None and at.attention_start < 0 and not at.zero_query
    if at.role is Role.ATTENTION_LOGITS and starts_low and at.step <= 4:
        return _starting_low(at, "q·k/d of independent queries and keys")
    return _of_u_mup(at) if at.row == "u_mup" else _of_alignment(at)


def _of_readout(at: Coordinates) -> LegalException | None:
    """The bands of facts 5.3: a random readout at steps 0 and 1 to 4; then as a zero readout."""
    if not at.zero_readout and not at.sp_unembedding and at.step <= 4:
        return _starting_low(at, "a random µP readout")
    if at.step == 0 or at.family is not UpdateFamily.SIGN_LIKE:
        return None
    return LegalException(*_SLOW, "a µP readout aligns slowly at finite width")


def _starting_low(at: Coordinates, what: str) -> LegalException:
    if at.step == 0:
        return LegalException(*_START, f"{what} starts at the exponent -1/2")
    return LegalException(*_RECOVERY, f"{what} recovers from the exponent -1/2")


def _of_alignment(at: Coordinates) -> LegalException | None:
    """What a sign-like update makes of nearly orthogonal token vectors, N directions of them.

    Its entries are +-lr/m, summed against an input of n entries: a part c * lr aligned with that
    input, c^2 ~ 1/N, beside an unaligned part lr / sqrt(n) (central limit). Their root mean square
    falls as sqrt(1/N + 1/n), with the local slope -N / (2 (N + n)): -0.15 over widths 64-512 at
    the N = 67 that was measured (docs/decisions/0016), fading above.
    """
    moves = at.aligns_slowly and at.statistic is Statistic.CHANGE and at.step > 0
    if at.family is not UpdateFamily.SIGN_LIKE or not moves:
        return None
    return LegalException(*_SLOW, "sign-like updates align slowly with single tokens")


def _of_contribution(at: Coordinates) -> LegalException | None:
    """The same effects, seen where they arise: in one weight's update and its frozen input.

    Beside a random readout SGD's first updates of it shrink too, with the logits that the softmax
    is given: measured -0.17 on the MLP at widths 256-1024, and 0.00 with a zero readout.
    """
    if at.row not in ("mup", "u_mup") or at.statistic is not Statistic.CONTRIBUTION:
        return None
    if at.role is Role.OUTPUT and not at.zero_readout and 1 <= at.step <= 4:
        return LegalException(*_SLOW, "a random µP readout recovers from the exponent -1/2")
    if at.family is not UpdateFamily.SIGN_LIKE:
        return None
    if at.row == "u_mup" and at.role is Role.EMBEDDING:
        return LegalException(*_EMBEDDING_OF_U_MUP)
    if at.aligns_slowly or at.role is Role.OUTPUT:
        return LegalException(*_SLOW, "sign-like updates align slowly at finite width")
    return None


_EMBEDDING_OF_U_MUP = (-0.65, 0.10, "u-µP's embedding learns at 1/√width by choice")


def _of_u_mup(at: Coordinates) -> LegalException | None:
    """u-µP's embedding moves as n^-1/2 by its authors' choice, and what is above passes it on.

    Facts 2.9 (d) and 5.1: -1/2 in the embedding, measured -0.31 to -0.16 in the layers above.
    """
    if at.statistic is not Statistic.CHANGE or at.family is not UpdateFamily.SIGN_LIKE:
        return None
    return LegalException(*_EMBEDDING_OF_U_MUP)
