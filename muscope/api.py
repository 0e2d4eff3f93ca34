"""Checks from Python: `muscope.coordinate_check(build, …)`, in a notebook, a script or a test."""

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from muscope import own_check
from muscope.check_result import CheckResult
from muscope.lab import own_model
from muscope.lab.own_model import OwnFile, OwnModelError, Target
from muscope.own_check import OwnQuestion, asking
from muscope.own_model import grid
from muscope.plugins import here

__all__ = ["CheckResult", "OwnModelError", "coordinate_check"]

Function: TypeAlias = Callable[..., object]


def coordinate_check(
    build: Function | str | Path,
    *,
    widths: Sequence[int] = grid.WIDTHS,
    depths: Sequence[int] = (),
    seeds: int = grid.SEEDS,
    steps: int = grid.STEPS,
    batch: Function | object | None = None,
    loss: Function | None = None,
    parametrize: str = "",
    optimizer: str = "",
    lr: float = 0.0,
    progress: bool = True,
) -> CheckResult:
    """Train a model of yours for some steps at several widths, and judge every tensor of it.

    Does it grow, shrink, or keep its size with width? `build(width)`, or `build(width, depth)`,
    returns a module, or (module, optimizer); it may also be a file, `"my_model.py:build"`.

    Args:
        build: the function that makes the model, called with torch seeded.
        widths: at least two; four spread over a factor of eight tell more.
        depths: given to `build` as its second argument; each is judged by itself.
        seeds: how often every size is trained; intervals need two, and gain much up to five.
        steps: updates of each run.
        batch: `batch(seed)` returns (inputs, targets), a dict of arguments, or inputs; or such a
            batch itself. With a file as `build` its own function `batch` unless given here.
        loss: `loss(model, batch)` returns one number; without it the loss is assumed, and
            `.notes` says how.
        parametrize: a rule of the catalogue, `"mup"` or `"mup:form=table3"`, that sets first
            values, multipliers and rates; needs `optimizer`.
        optimizer: one of the catalogue, instead of the one that `build` returns.
        lr: its learning rate.
        progress: a line on stderr for every width.

    Raises:
        ValueError: in one sentence, with what your code raised as its cause, if nothing could be
            judged. A single size that fails is in `.failures`, and the others are judged.

    Example:
        result = muscope.coordinate_check(build, batch=batch, widths=(64, 128, 256))
        print(result.table())
        assert result.passed()
    """
    grid.refuse(list(widths), list(depths), seeds=seeds, steps=steps, option=str)
    if parametrize or optimizer:
        here.offer(lambda sentence: warnings.warn(sentence, stacklevel=3))
    recipe = asking.recipe(parametrize, optimizer, lr, has_depth=bool(depths), option=str)
    target, file = _opened(build, batch, loss)
    question = OwnQuestion(
        target=target,
        file=file,
        widths=tuple(sorted(widths)),
        depths=tuple(sorted(depths)) or (None,),
        seeds=seeds,
        steps=steps,
        recipe=recipe,
    )
    return _checked(question, _Lines() if progress else _Silence())


def _checked(question: OwnQuestion, progress: "_Silence") -> CheckResult:
    started_at = time.monotonic()
    with own_check.limited():
        prepared = own_check.prepare(question, progress.say)
        arrivals = tuple(own_check.train(prepared, progress.show))
    return CheckResult.of(prepared, arrivals, lambda: time.monotonic() - started_at)


def _opened(
    build: Function | str | Path, batch: Function | object | None, loss: Function | None
) -> tuple[str, OwnFile]:
    """(what it is called, the functions): those that are given win over those of a file."""
    if isinstance(build, str | Path):
        opened = own_model.open_file(Target.of(str(build)))
        name, built, own_batch, own_loss = str(build), opened.build, opened.batch, opened.loss
    elif callable(build):
        name, built, own_batch, own_loss = _name(build), build, None, None
    else:
        raise ValueError(
            f"build must be a function of the width, or 'my_model.py:build'; got {build!r:.80}"
        )
    if loss is not None and not callable(loss):
        raise ValueError(f"loss must be a function of (model, batch); got {type(loss).__name__}")
    given = own_batch if batch is None else batch if callable(batch) else _always(batch)
    return name, OwnFile(built, given, loss or own_loss)


def _always(batch: object) -> Function:
    return lambda seed: batch


def _name(build: Function) -> str:
    """`build`, or for what has no name its class."""
    name = str(getattr(build, "__qualname__", type(build).__name__))
    return name.rpartition("<locals>.")[2]


class _Silence:
    """Nothing is said."""

    def say(self, line: str) -> None:
        """A line of the preparation."""

    def show(self, width: int, depth: int, seed: int, step: int) -> None:
        """A step of a run is done."""


class _Lines(_Silence):
    """A line for every width on stderr: the same in a terminal, a notebook and a log."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._last: tuple[int, int] | None = None

    def say(self, line: str) -> None:
        """As it is."""
        sys.stderr.write(f"{line}\n")

    def show(self, width: int, depth: int, seed: int, step: int) -> None:
        """Only where a new size begins."""
        if (width, depth) != self._last:
            self._last = (width, depth)
            size = own_model.size_in_words(width, depth or None)
            self.say(f"training {size} · after {time.monotonic() - self._started_at:.1f} s")
