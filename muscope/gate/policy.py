"""Which verdicts make a check fail: the words of `--fail-on`, `.passed(fail_on=…)` and tests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from muscope.verdicts import statements
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, TransferVerdict

CAN_FAIL = (
    CellVerdict.GROWS,
    CellVerdict.SHRINKS,
    CellVerdict.INCONCLUSIVE,
    CellVerdict.DIVERGED,
)
DEPTH, THEORY = "depth", "theory"
WORDS = (*(verdict.value for verdict in CAN_FAIL), DEPTH, THEORY)
"""Of coordinate checks."""
RATE_WORDS = tuple(
    verdict.value for verdict in TransferVerdict if verdict is not TransferVerdict.TRANSFERS
)
"""Of learning-rate studies; `inconclusive` is a word of both."""
EVERY_WORD = tuple(dict.fromkeys((*WORDS, *RATE_WORDS)))
UNSTABLE = ("grows", "shrinks", "diverged")
"""All that contradicts width-stability."""
SURE = (*UNSTABLE, "inconclusive")
"""All that is not a proof of it."""

JUDGED_AXES = (Axis.WIDTH, Axis.DEPTH)
"""Over batch sizes and steps a slope is told, and fails nothing."""

_NOT_KEPT = frozenset((CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED))


@dataclass(frozen=True, slots=True)
class Policy:
    """What fails; without words nothing does.

    Words that are verdicts are those of tensors on width, and on depth where theory speaks of it;
    `depth`: the residual stream or any such tensor does not keep its size with depth; `theory`:
    slopes are not as theory expects.
    """

    words: frozenset[str]

    @classmethod
    def of(
        cls,
        given: str | Iterable[str],
        option: str = "--fail-on",
        *,
        known: Sequence[str] = WORDS,
    ) -> "Policy":
        """From `grows,shrinks` or several words; ValueError names all that there are."""
        parts = given.split(",") if isinstance(given, str) else given
        words = [word.strip() for word in parts if word.strip()]
        for word in words:
            if word not in known:
                raise ValueError(f"{option} knows {', '.join(known)}; got {word!r}")
        return cls(frozenset(words))

    def __bool__(self) -> bool:
        return bool(self.words)

    def fails(self, verdict: VariantVerdict) -> bool:
        """Whether a variant fails: by its own verdict, by that of any tensor, or without any."""
        if not verdict.tensors:
            return bool(self)
        return (
            verdict.verdict in self.words
            or (THEORY in self.words and verdict.as_theory is False)
            or (DEPTH in self.words and verdict.depth_stable is False)
            or any(self.reason(verdict, tensor) for tensor in judged_tensors(verdict))
        )

    def fails_rate(self, judged: TransferJudgement) -> bool:
        """Whether the learning rate of a variant fails: by its verdict, or without any loss."""
        if not judged.optima:
            return bool(self)
        return judged.verdict in self.words

    def reason(self, verdict: VariantVerdict, tensor: TensorVerdict) -> Cell | None:
        """The cell by which a tensor fails, None where it does not."""
        if tensor.verdict in self._verdicts(tensor.axis):
            return tensor.worst
        if THEORY not in self.words:
            return None
        cells = cells_of(verdict, tensor)
        if statements.as_theory(cells) is not False:
            return None
        return max((cell for cell in cells if cell.is_against_theory), key=_distance, default=None)

    def _verdicts(self, axis: Axis) -> frozenset[str]:
        """The verdicts that fail a tensor on an axis."""
        if axis is Axis.DEPTH and DEPTH in self.words:
            return self.words | _NOT_KEPT
        return self.words


def judged_tensors(verdict: VariantVerdict) -> tuple[TensorVerdict, ...]:
    """The tensors that can fail, on width and on depth."""
    every = (*verdict.tensors, *verdict.further_tensors)
    return tuple(tensor for tensor in every if tensor.axis in JUDGED_AXES)


def cells_of(verdict: VariantVerdict, tensor: TensorVerdict) -> tuple[Cell, ...]:
    """Those of a tensor that decide, on its axis."""
    at = (tensor.axis, tensor.width, tensor.batch_size, tensor.depth, tensor.kind, tensor.tensor)
    return tuple(
        cell
        for cell in verdict.cells_on(tensor.axis)
        if (cell.axis, cell.width, cell.batch_size, cell.depth, cell.kind, cell.tensor) == at
        and cell.decides
    )


def _distance(cell: Cell) -> float:
    return abs((cell.slope or 0.0) - (cell.expected or 0.0))
