"""A torch model in somebody's training loop, measured from outside as `muscope check` does.

With a probe, a forward of its own on a batch that is always the same: random numbers and buffers
are put back, gradients are not touched. Without one, the loop's own forwards are heard.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from muscope.ingest import TensorLine
from muscope.lab import own_model, own_optimizer, own_parameters
from muscope.lab.own import inspection
from muscope.lab.own.capture import Capture, Seen, eager
from muscope.lab.own.training import Gauge
from muscope.own_model import infer
from muscope.own_model.tensors import (
    IGNORE,
    Activations,
    Face,
    Met,
    OwnTensor,
    Sight,
    activations,
)
from muscope.vocabulary import Role, Statistic

log = logging.getLogger("muscope.recorder")

SEED = 0
"""Of the probe's random numbers, so that a dropout mask is no change."""


class Watch:
    """What is measured of a model; `given` maps patterns of names to roles."""

    def __init__(
        self,
        model: nn.Module,
        probe: Callable[[Any], Any] | None,
        width: int,
        depth: int | None,
        given: Mapping[str, str],
    ) -> None:
        if not isinstance(model, nn.Module):
            raise ValueError(f"watch needs a torch module, got {type(model).__name__}")
        # what torch.compile wraps is the module that its names are about
        self._model: nn.Module = getattr(model, "_orig_mod", model)
        self.probe = probe
        self._width, self._depth, self._given = width, depth, given
        self._found: Activations | None = None
        self._gauge: Gauge | None = None
        self._handles: list[Any] = []
        self._is_wanted = False
        self._capture: Capture | None = None
        self._met: list[Met] = []
        self._has_complained = False
        if probe is None:
            self._hook()
        else:
            with _undisturbed(self._model):
                sight = inspection.look(self._model, probe, width)
            self._guess(sight)

    def infer(self, build: Callable[..., Any], widths: tuple[int, int]) -> None:
        """Roles from the shapes of models that `build` makes at two widths."""
        if self.probe is None:
            raise ValueError("build needs a probe: a forward at two widths tells the roles")
        if len(set(widths)) != 2:
            raise ValueError(f"build_at must be two different widths, got {widths}")
        with torch.random.fork_rng():
            built = [own_model.built_once(build, width, self._depth) for width in widths]
            own_model.comparable(built)
            models = [own_model.model(build, w, self._depth, seed=0)[0] for w in widths]
            sights = [
                inspection.look(model, self.probe, width)
                for model, width in zip(models, widths, strict=True)
            ]
        roles = infer(built)
        found = activations(sights, roles, built[0])
        words = {tensor.name: self._word(tensor.name) for tensor in found.tensors}
        given = {name: word for name, word in words.items() if word}
        self._found = activations(sights, roles, built[0], given)
        self._gauge = None

    def facts(self, optimizer: Any) -> dict[str, object]:
        """What theory needs to know of the model and what updates it."""
        found = self._found
        facts: dict[str, object] = {
            "heads_grow": found is not None and found.heads_grow,
            "zero_readout": found is not None and found.zero_output,
        }
        if optimizer is None:
            return facts
        held = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        steppings, _ = own_optimizer.steppings(self._model, held)
        parameters = own_parameters.read(self._model, steppings)
        names = {s.optimizer for p in parameters for s in p.steppings}
        if len(names) == 1:
            facts["optimizers"] = dict.fromkeys((Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT), *names)
        facts["is_unit_scaled"] = any("unit_scaling" in p.origin for p in parameters)
        facts["tied"] = any(p.aliases for p in parameters)
        return facts

    def measure(self) -> None:
        """One forward of the probe."""
        assert self.probe is not None
        gauge = self._ready()
        gauge.begin()
        with _undisturbed(self._model), eager(), Capture(self._model, gauge.take):
            self.probe(self._model)

    def listen(self, is_wanted: bool) -> None:
        """Whether the loop's next forward is measured."""
        self._is_wanted = is_wanted

    def take(self) -> list[tuple[TensorLine, dict[str, float]]]:
        """What was measured since the last time."""
        if self.probe is None:
            capture, self._capture = self._capture, None
            if capture is None:
                return []
            if self._found is None:
                self._guess(inspection.sight(capture, self._met, self._width))
                self._met = []
        if self._gauge is None or self._found is None:
            return []
        values = self._gauge.values()
        found = []
        for tensor in self._found.tensors:
            if tensor.name not in values:
                continue
            measured = values[tensor.name]
            sizes = {s.value: v for s, v in zip(Statistic, measured, strict=True) if v is not None}
            if self.probe is None:
                sizes.pop(Statistic.CHANGE.value, None)  # of another batch
            line = TensorLine(name=tensor.name, role=tensor.role, is_judged=tensor.is_judged)
            found.append((line, sizes))
        return found

    def complain(self, error: Exception) -> None:
        """The probe has raised in the middle of a training, which goes on."""
        if not self._has_complained:
            self._has_complained = True
            log.warning("the probe raised, so this step is not measured: %r", error)

    def stop(self) -> None:
        """The model is as it was."""
        for handle in self._handles:
            handle.remove()

    def _ready(self) -> Gauge:
        if self._gauge is None:
            assert self._found is not None
            self._gauge = Gauge({(t.met, t.face): t.name for t in self._found.tensors})
        return self._gauge

    def _hook(self) -> None:
        """Hear the forwards that are wanted, each from its beginning to its end."""
        self._handles = [
            self._model.register_forward_pre_hook(self._begin),
            self._model.register_forward_hook(self._end, always_call=True),
        ]

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        if not self._is_wanted or self._capture is not None or not torch.is_grad_enabled():
            return
        if self._found is not None:
            self._ready().begin()
        self._capture = Capture(module, self._hear)
        self._capture.__enter__()

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._is_wanted and self._capture is not None:
            self._is_wanted = False
            self._capture.__exit__(None, None, None)

    def _hear(self, seen: Seen) -> None:
        if self._found is None:
            self._met.append(inspection.as_met(seen))
            # roles are not known before the forward is over, so everything is measured
            if self._gauge is None:
                self._gauge = _Everything()
        assert self._gauge is not None
        self._gauge.take(seen)

    def _word(self, name: str) -> str:
        """The role that was given for a name, if any."""
        return next((word for p, word in self._given.items() if fnmatchcase(name, p)), "")

    def _guess(self, sight: Sight) -> None:
        """Roles from one model: what it looks up, what reaches the loss, what attends."""
        once = {(met.name, met.face): met for met in sight.met}
        tensors = [self._guessed(met, sight) for met in once.values() if _is_own(met, sight)]
        heads = bool(sight.into_scores)
        if heads and not any(t.role is Role.ATTENTION_LOGITS for t in tensors):
            log.warning("attention was seen, but not its logits")
        is_zero = any(met.is_zero for met in once.values() if met.face is Face.OUTPUT)
        self._found = Activations(tensors=tuple(tensors), zero_output=is_zero)

    def _guessed(self, met: Met, sight: Sight) -> OwnTensor:
        tensor = OwnTensor(
            name=met.name,
            met=met.name,
            face=met.face,
            role=_role(met, sight),
            source=met.source,
            shapes={self._width: met.shape},
        )
        word = self._word(met.name)
        if not word:
            return tensor
        if word == IGNORE:
            return replace(tensor, is_judged=False)
        return replace(tensor, role=Role(word))


class _Everything(Gauge):
    """Measures whatever comes, under the name it has."""

    def __init__(self) -> None:
        super().__init__({})

    def take(self, seen: Seen) -> None:
        """Measure a tensor, wanted or not."""
        self._names = {**self._names, (seen.name, seen.face): seen.name}
        super().take(seen)


def _is_own(met: Met, sight: Sight) -> bool:
    """Whether a tensor is no second name of another that is recorded."""
    if met.face is Face.SCALED:
        return False
    return met.face is not Face.OUTPUT or not sight.reaching_loss


def _role(met: Met, sight: Sight) -> Role:
    match met.face:
        case Face.ATTENTION:
            return Role.ATTENTION_LOGITS
        case Face.BLOCK:
            return Role.RESIDUAL
        case Face.LOSS_INPUT | Face.OUTPUT:
            return Role.OUTPUT
        case _:
            pass
    if met.module in sight.reaching_loss:
        return Role.OUTPUT
    return Role.EMBEDDING if "Embedding" in met.source else Role.HIDDEN


@contextlib.contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Random numbers and buffers (running statistics) are afterwards what they were before."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {parameter.device.index for parameter in model.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices=sorted(d for d in devices if d is not None)):
        torch.manual_seed(SEED)
        with torch.enable_grad():
            try:
                yield
            finally:
                with torch.no_grad():
                    for buffer, value in kept:
                        buffer.copy_(value)
