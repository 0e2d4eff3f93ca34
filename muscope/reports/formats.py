"""Numbers and words as a person reads them: the filters of every template."""

import math
from datetime import datetime

from muscope.vocabulary import (
    CellVerdict,
    RunState,
    SearchVerdict,
    Statistic,
    TensorKind,
    TransferVerdict,
)

SIGNS: dict[CellVerdict | TransferVerdict | SearchVerdict, str] = {
    CellVerdict.FLAT: "→",
    CellVerdict.GROWS: "↗",
    CellVerdict.SHRINKS: "↘",
    CellVerdict.INCONCLUSIVE: "?",
    CellVerdict.ZERO: "0",
    CellVerdict.DIVERGED: "✕",
    TransferVerdict.TRANSFERS: "→",
    TransferVerdict.DRIFTS: "⇄",
    TransferVerdict.NOT_BRACKETED: "?",
    SearchVerdict.HOLDS: "→",
    SearchVerdict.LOSES: "↘",
    SearchVerdict.NONE_STEADY: "✕",
}
STATISTIC_TITLES = {
    Statistic.L1: "size (l1)",
    Statistic.RMS: "size (rms)",
    Statistic.CHANGE: "change since step 0",
    Statistic.MEAN: "mean",
    Statistic.MAX_ABS: "largest entry",
    Statistic.CONTRIBUTION: "contribution",
    Statistic.SPECTRAL: "spectral norm",
    Statistic.STABLE_RANK: "stable rank",
    Statistic.ALIGN_W: "alignment of its change",
    Statistic.ALIGN_X: "alignment with its input’s change",
    Statistic.ALIGN_WX: "alignment of both changes",
    Statistic.UNDERFLOW: "underflow",
    Statistic.OVERFLOW: "overflow",
}

_LARGE = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def sign(verdict: CellVerdict | TransferVerdict | SearchVerdict) -> str:
    """The symbol of a verdict; it always stands beside the word, never alone."""
    return SIGNS[verdict]


def words(value: str) -> str:
    """An identifier as words: `out_of_memory` is read as `out of memory`."""
    return value.replace("_", " ")


def state_words(state: str) -> str:
    """How a run or study stands, for people: `skipped` is *stopped early*."""
    return "stopped early" if state == RunState.SKIPPED else words(state)


def statistic_title(statistic: Statistic, kind: TensorKind = TensorKind.ACTIVATION) -> str:
    """What a statistic measures, and of what unless it is an activation."""
    title = STATISTIC_TITLES[statistic]
    return title if kind is TensorKind.ACTIVATION else f"{title} of {kind.value}s"


def slope(value: float | None) -> str:
    """An exponent with its sign and two decimals; a true minus, so that digits align."""
    if value is None:
        return "–"
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text in ("+0.00", "−0.00") else text


def exponent(value: float | None) -> str:
    """An exponent that theory gives, as short as it is: `0`, `+½`, `−½`, `+1`."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    number = {0.5: "½", 1.5: "1½"}.get(abs(value), f"{abs(value):g}")
    return ("+" if value > 0 else "−") + number


def quantity(value: float) -> str:
    """A large count with three digits: `1.23 M`."""
    if not math.isfinite(value):
        return str(value)
    for size, letter in _LARGE:
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.0f}"


def size(value: float) -> str:
    """Bytes in the binary unit that leaves a readable number: `12.3 MiB`."""
    for unit, name in _BYTES:
        if abs(value) >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:.0f} B"


def decimal(value: float | None) -> str:
    """A measured number with four significant digits; what is not a number says so."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """A duration in the unit that fits: `0.8 s`, `2 min 5 s`, `1 h 12 min`."""
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


_YEAR = 365 * 24 * 3600.0
_UNITS = (
    (9.5, 1.0, 1, "s"),
    (92.5, 1.0, 5, "s"),
    (90 * 60.0, 60.0, 1, "min"),
    (48 * 3600.0, 3600.0, 1, "h"),
    (2 * _YEAR, 24 * 3600.0, 1, "days"),
    (1000 * _YEAR, _YEAR, 1, "years"),
)
"""Until how many seconds an estimate is told in a unit of so many, in steps of so many units."""


def about(seconds: float) -> str:
    """An estimate with no more digits than it is worth: `less than 1 s`, `about 40 s`."""
    if seconds < 0.95:
        return "less than 1 s"
    for until, unit, step, word in _UNITS:
        if seconds < until:
            return f"about {step * round(seconds / unit / step)} {word}"
    return "more than a thousand years"


def share(value: float | None) -> str:
    """A part of a whole in percent: `38 %`, `0.4 %`."""
    if value is None:
        return "–"
    return f"{100 * value:.0f} %" if value >= 0.095 else f"{100 * value:.1f} %"


def confidence(value: float) -> str:
    """How often an interval holds what is true, with all digits that matter: `90 %`, `99.5 %`."""
    return f"{100 * value:.4g} %"


def moment(at: datetime | None) -> str:
    """A UTC time to the second; pages turn it into the reader's own with a `time` element."""
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(count: int, noun: str) -> str:
    """`1 run`, `12 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


LONGEST_DIGEST = 12
_HEX = set("0123456789abcdef")


def shortened(text: str) -> str:
    """A SHA-256 by its first digits, as people say it; any other text as it is."""
    pieces = (
        f"{piece[:LONGEST_DIGEST]}…" if len(piece) == 64 and set(piece) <= _HEX else piece
        for piece in text.split(", ")
    )
    return ", ".join(pieces)
