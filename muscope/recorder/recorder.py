"""`Recorder`: from a training loop to a server, without ever holding up the loop."""

import atexit
import contextlib
import logging
import os
import sys
import threading
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from muscope.client import Client, surroundings
from muscope.ingest import MOST_TENSORS, Ended, Loss, Opening, TensorLine
from muscope.recorded import NOT_GIVEN
from muscope.recorder import arguments
from muscope.recorder.arguments import checked, number, values_of, word
from muscope.recorder.buffer import Buffer, Measured
from muscope.recorder.environment import spool_folder, token_for, url_for
from muscope.recorder.sender import Sender
from muscope.recorder.sizes import sizes
from muscope.vocabulary import Role, Statistic, TensorKind

if TYPE_CHECKING:
    from muscope.lab.own.watching import Watch

log = logging.getLogger("muscope.recorder")

CLOSE_S = 10.0
"""How long closing waits for the server; what has not arrived then is sent at the next start."""
_DENSE = 8
_SHARED = {round(_DENSE * 2 ** (half / 2)) for half in range(1, 60)}

Numbers = Mapping[str, Mapping[str, float]]


class Recorder:
    """Records one training run: numbers of any framework, or what a torch model makes.

    Recorders with the same `key` (else the name of the `study`) are one study, whatever process,
    machine, width or seed they come from. What they send is first written to the folder `spool`;
    a server that is away is asked again, and what a killed process left there is sent by the
    next recorder, or by `muscope recorder flush`. A mistake in an argument raises ValueError;
    nothing else ever does: what goes wrong on the way is logged once.

    `variant` is what gets a verdict of its own; `roles` maps patterns of names to roles;
    `optimizer` is a name of the catalogue, for all or by role; `parametrization` one of its rules,
    if the code follows it: then the exponents of that rule are expected. `every` says at which
    steps `watch` measures: 0 to 8 and then ever more rarely, or every so many.
    """

    def __init__(
        self,
        study: str,
        *,
        width: int,
        depth: int | None = None,
        seed: int = 0,
        variant: str = "recorded",
        key: str = "",
        url: str = "",
        token: str = "",
        optimizer: str | Mapping[str, str] = "",
        parametrization: str = "",
        parametrization_options: Mapping[str, bool | int | float | str] | None = None,
        roles: Mapping[str, str] | None = None,
        every: int | None = None,
        planned_runs: int = 0,
        environment: Mapping[str, str] | None = None,
        spool: str | Path | None = None,
        enabled: bool = True,
    ) -> None:
        self._roles = {
            pattern: word(Role, "role", given) for pattern, given in (roles or {}).items()
        }
        if every is not None and every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self._every = every
        self._opening = checked(
            Opening,
            recording=uuid.uuid4().hex,
            study=study,
            key=key or study,
            variant=arguments.variant(
                variant, optimizer, parametrization, parametrization_options, planned_runs
            ),
            width=width,
            depth=NOT_GIVEN if depth is None else depth,
            seed=seed,
            environment={**surroundings(), **(environment or {})},
        )
        self._is_enabled, self._pid = enabled, os.getpid()
        self._buffer = Buffer()
        self._watch: Watch | None = None
        self._has_asked_for_l1 = False
        self._lines: dict[tuple[str, str | None, str, bool], TensorLine] = {}
        self._step = 0
        self._is_closed = False
        self._lock = threading.Lock()
        self._sender: Sender | None = None
        if enabled:
            client = Client(url_for(url), token_for(token))
            self._sender = Sender(client, spool_folder(spool), self._buffer, self._final_opening)
            atexit.register(self._at_exit)

    def record(
        self,
        step: int,
        tensors: Numbers | None = None,
        *,
        role: str | None = None,
        kind: str = "activation",
        judged: bool = True,
        loss: float | None = None,
        held_out_loss: float | None = None,
    ) -> None:
        """Record numbers of a step: `{"blocks.0.attn.out": {"l1": 0.7, "rms": 0.9}}`, a loss.

        Verdicts read l1 (the mean of |x|) and change (the mean of |x - x at step 0|) of
        activations; everything else is shown. A role is looked up in `roles` where none is given.
        `step` is the number of updates before the forward that is measured. Steps never go back.
        """
        measured = [
            Measured(step, self._line(name, role, kind, judged=judged), values_of(name, values))
            for name, values in (tensors or {}).items()
        ]
        entry = None
        if loss is not None:
            held_out = None if held_out_loss is None else number("held_out_loss", held_out_loss)
            entry = checked(Loss, step=step, train=number("loss", loss), held_out=held_out)
        self._look_for_l1(measured)
        self._add(step, measured, entry)

    def measure(
        self,
        step: int,
        arrays: Mapping[str, Any],
        *,
        same_batch: bool = False,
        role: str | None = None,
        kind: str = "activation",
        judged: bool = True,
        loss: float | None = None,
    ) -> None:
        """Record l1 and rms of arrays of numpy, jax, torch or their like.

        With `same_batch`, what comes in is the same at every step: then the change since the
        first one is recorded too, and the first array of every name is kept.
        """
        found = {}
        for name, array in arrays.items():
            first = self._buffer.first(name, array) if same_batch and self._works() else None
            found[name] = sizes(array, first if step else None)
        self.record(step, found, role=role, kind=kind, judged=judged, loss=loss)

    def watch(
        self,
        model: Any,
        probe: Callable[[Any], Any] | None = None,
        *,
        build: Callable[..., Any] | None = None,
        build_at: tuple[int, int] = (64, 128),
        optimizer: Any = None,
    ) -> None:
        """Measure every tensor that a torch model makes; then call `step(loss)` in the loop.

        `probe(model)` runs the model, and its loss if it can, on one batch that is always the
        same: it is called now and after the steps that are recorded, with everything put back
        afterwards, and gives sizes and changes. Without it the loop's own forwards are heard:
        sizes only, since batches differ. `build(width)` lets roles be inferred from the shapes
        at the two widths of `build_at`; without it they are guessed from the model alone, or
        given by `roles`. The torch `optimizer` is looked at, never changed.
        """
        if not self._works():
            return
        # torch takes seconds to import, and who records plain numbers may not have it
        from muscope.lab.own.watching import Watch

        given = {pattern: role.value for pattern, role in self._roles.items()}
        depth = self._opening.depth or None
        self._watch = Watch(model, probe, self._opening.width, depth, given)
        if build is not None:
            self._watch.infer(build, build_at)
        facts = self._watch.facts(optimizer)
        update = {name: value for name, value in facts.items() if value}
        if self._opening.variant.optimizers:
            update.pop("optimizers", None)
        variant = self._opening.variant.model_copy(update=update)
        self._opening = self._opening.model_copy(update={"variant": variant})
        if probe is not None:
            self._measure_watched(0)
        else:
            self._watch.listen(self._is_due(0))

    def step(self, loss: Any = None, *, held_out_loss: Any = None) -> None:
        """One update was made; `loss` is that of the forward before it.

        Call it once per iteration, after the optimizer's step.
        """
        if not self._works():
            return
        done = self._step
        self._step += 1
        if loss is not None and self._is_due(done):
            self.record(done, loss=loss, held_out_loss=held_out_loss)
        watch = self._watch
        if watch is None:
            return
        if watch.probe is None:
            self._record_watched(done)
            watch.listen(self._is_due(self._step))
        elif self._is_due(self._step):
            self._measure_watched(self._step)

    def flush(self, timeout_s: float = CLOSE_S) -> bool:
        """Write and send all that was recorded so far; whether it has arrived."""
        if self._sender is None or not self._works():
            return False
        return self._sender.flush(timeout_s)

    def close(
        self, *, ended: Ended = "finished", reason: str = "", timeout_s: float = CLOSE_S
    ) -> None:
        """Nothing more comes. What has not arrived in that time is sent at the next start."""
        if not self._works():
            return
        self._is_closed = True
        if self._watch is not None:
            self._watch.stop()
        if self._sender is not None:
            atexit.unregister(self._at_exit)
            self._sender.close(ended, _plain(reason), timeout_s)

    @property
    def page(self) -> str:
        """The address of the study's page, once the server has heard of it."""
        return self._sender.page if self._sender else ""

    @property
    def dropped(self) -> int:
        """Measurements and losses that could not be kept: the disk is full, the server refuses."""
        return self._buffer.dropped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_because(error)

    def _add(self, step: int, measured: list[Measured], loss: Loss | None) -> None:
        if self._sender is None or not self._works():
            return
        self._buffer.add(step, measured, loss)
        self._sender.wake(at_once=self._buffer.is_large)

    def _look_for_l1(self, measured: list[Measured]) -> None:
        """Said once: what cannot decide a verdict will not, however long it is recorded."""
        lacking = [
            row.line.name
            for row in measured
            if row.line.is_judged
            and row.line.kind is TensorKind.ACTIVATION
            and not {Statistic.L1, Statistic.CHANGE} & row.values.keys()
        ]
        if lacking and not self._has_asked_for_l1:
            self._has_asked_for_l1 = True
            log.warning("%r has neither l1 nor change, so it is shown, not judged", lacking[0])

    def _works(self) -> bool:
        """Whether anything is recorded here: not after the end, and not in a forked child."""
        return self._is_enabled and not self._is_closed and os.getpid() == self._pid

    def _is_due(self, step: int) -> bool:
        if self._every is not None:
            return step % self._every == 0
        return step <= _DENSE or step in _SHARED

    def _line(self, name: str, role: str | None, kind: str, *, judged: bool) -> TensorLine:
        asked = (name, role, kind, judged)
        if asked in self._lines:
            return self._lines[asked]
        if role is not None:
            known = word(Role, "role", role)
        else:
            matching = (r for pattern, r in self._roles.items() if fnmatchcase(name, pattern))
            known = next(matching, Role.HIDDEN)
        of = word(TensorKind, "kind", kind)
        line = checked(TensorLine, name=name, role=known, kind=of, is_judged=judged)
        if len(self._lines) < MOST_TENSORS:
            self._lines[asked] = line
        return line

    def _measure_watched(self, step: int) -> None:
        assert self._watch is not None
        try:
            self._watch.measure()
        except Exception as error:  # the user's code; at step 0 it is a mistake to be told
            if step == 0:
                raise
            self._watch.complain(error)
            return
        self._record_watched(step)

    def _record_watched(self, step: int) -> None:
        assert self._watch is not None
        with contextlib.suppress(RuntimeError):
            found = self._watch.take()
            measured = [
                Measured(step, line, values_of(line.name, values)) for line, values in found
            ]
            self._add(step, measured, None)

    def _final_opening(self) -> Opening:
        return self._opening

    def _at_exit(self) -> None:
        """A script that ends without closing: well, or with an error that nobody caught."""
        self._close_because(getattr(sys, "last_value", None))

    def _close_because(self, error: BaseException | None) -> None:
        match error:
            case None | SystemExit(code=None | 0):
                self.close()
            case KeyboardInterrupt():
                self.close(ended="cancelled", reason="It was interrupted.")
            case _:
                self.close(ended="failed", reason=f"{type(error).__name__}: {error}")


def _plain(text: str) -> str:
    """What an exception says, as one line that may be shown."""
    plain = unicodedata.normalize("NFC", text)
    return "".join(letter if letter.isprintable() else " " for letter in plain)[:600].strip()
