"""Every tensor that a forward of somebody's model makes, by hooks and functions, from outside.

Modules without children and those that hold parameters are heard by hooks, and the blocks of a
list by theirs. What has no module is heard as a call of a function: attention logits, what reaches
the loss, and a number that the output of a module is multiplied by.
"""

import contextlib
import numbers
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from muscope.lab.own import attention, graph
from muscope.own_model.tensors import Face

MOST_CALLS = 8
"""Of a module that is called again and again only the first calls are recorded."""

LOSS_INPUT, OUTPUT, ATTENTION_LOGITS = "loss input", "output", "attention_logits"

_LOSSES = frozenset(
    (
        "cross_entropy",
        "nll_loss",
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "kl_div",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "soft_margin_loss",
        "multi_margin_loss",
        "multilabel_soft_margin_loss",
        "hinge_embedding_loss",
        "gaussian_nll_loss",
        "poisson_nll_loss",
        "ctc_loss",
    )
)
_PRODUCTS = frozenset(("matmul", "__matmul__", "bmm", "baddbmm", "einsum"))
_TIMES = frozenset(("mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"))
_OVER = frozenset(("div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"))
_PARAMETRIZATIONS = "parametrizations"
_UNHEARD = (nn.Dropout, nn.AlphaDropout, nn.Flatten, nn.Unflatten, nn.modules.loss._Loss)


@dataclass(frozen=True, slots=True)
class Seen:
    """One tensor as it was met; `value` is only valid now, later code may write into it.

    `source` is the class of its module, or the function; `factor` is what it was multiplied by.
    `module` is the module's name, without the number of the call.
    """

    name: str
    face: Face
    value: Tensor
    source: str
    module: str = ""
    factor: float = 1.0
    head_size: int | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """What a module gave, kept so that nothing else takes its identity."""

    seen: Seen
    result: Tensor


class Capture(TorchFunctionMode):
    """While it is entered, hands every tensor of the model to `take`, once.

    A recomputation in the backward (activation checkpointing) comes after it was left.
    """

    def __init__(self, model: nn.Module, take: Callable[[Seen], None]) -> None:
        super().__init__()
        self._model, self._take = model, take
        self._handles: list[RemovableHandle] = []
        self._path: list[str] = []
        self._calls: Counter[tuple[str, Face]] = Counter()
        self._made: dict[int, _Made] = {}
        self._scores: set[Node] = set()
        self._operands: dict[Node, tuple[Tensor, Tensor]] = {}
        self._log_softmaxes: dict[Node, Tensor] = {}
        self.nodes: dict[Node, str] = {}
        """Which module's output an operation made."""
        self.into_scores: set[str] = set()
        """The modules whose output becomes a query or a key."""
        self.loss_inputs: dict[str, Tensor] = {}

    @property
    def calls(self) -> Mapping[tuple[str, Face], int]:
        """How often every tensor was met."""
        return self._calls

    def __enter__(self) -> "Capture":
        for name, module in self._model.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._entering(name)))
            self._handles.append(
                module.register_forward_hook(self._leaving(name, _face(name, module)))
            )
        super().__enter__()  # type: ignore[no-untyped-call]  # torch has no annotation here
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]  # as above
        for handle in self._handles:
            handle.remove()
        self._made.clear()
        if not any(error) and set(self.loss_inputs) <= {OUTPUT} and self._log_softmaxes:
            # a loss written by hand on log-probabilities
            self._of_loss(list(self._log_softmaxes.values())[-1], "log_softmax")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "multi_head_attention_forward":
            size = attention.head_size(args)
            with attention.InsideAttention(self._take_logits, size):
                return func(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            self._fused(args, kwargs)
        elif name == "softmax" and args:
            self._softmax(args[0])
        elif name in _LOSSES:
            self._loss(name, args, kwargs)
        result = func(*args, **kwargs)
        if name in _PRODUCTS:
            self._product(name, args, result)
        elif name in _TIMES or name in _OVER:
            self._multiplied(name, args, result)
        elif name == "log_softmax" and result.grad_fn is not None:
            self._log_softmaxes[result.grad_fn] = args[0] if args else kwargs["input"]
        return result

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any) -> None:
            self._path.append(name)

        return hook

    def _leaving(self, name: str, face: Face | None) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if self._path:
                self._path.pop()
            value = main_tensor(output)
            if value is None:
                return
            if name == "":
                self._emit(Seen(OUTPUT, Face.OUTPUT, value, _class(module)))
                self.loss_inputs[OUTPUT] = value
            if face is not None and name:
                self._of_module(Seen(name, face, value, _class(module), name))

        return hook

    def _of_module(self, seen: Seen) -> None:
        named = self._emit(seen)
        if named is None or seen.face is not Face.MODULE:
            return
        self._made[id(seen.value)] = _Made(named, seen.value)
        if seen.value.grad_fn is not None:
            self.nodes[seen.value.grad_fn] = named.name

    def _multiplied(self, name: str, args: Any, result: Any) -> None:
        """A number directly behind a module belongs to it: Table 3 and its kin are written so."""
        if len(args) < 2 or not isinstance(result, Tensor):
            return
        pairs = [(args[0], args[1])]
        if name in _TIMES:
            pairs.append((args[1], args[0]))
        for tensor, other in pairs:
            made = self._made.get(id(tensor)) if isinstance(tensor, Tensor) else None
            factor = _number(other)
            if made is None or factor is None or factor == 0:
                continue
            by = 1 / factor if name in _OVER else factor
            before = made.seen
            seen = Seen(
                before.name,
                Face.SCALED,
                result,
                before.source,
                before.module,
                before.factor * by,
            )
            self._made[id(result)] = _Made(seen, result)
            self._take(seen)
            return

    def _product(self, name: str, args: Any, result: Any) -> None:
        pair = attention.operands(name, args)
        if pair is not None and isinstance(result, Tensor) and result.grad_fn is not None:
            self._scores.add(result.grad_fn)
            self._operands[result.grad_fn] = pair

    def _softmax(self, logits: Any) -> None:
        """The logits of a softmax are attention's if a product of activations made them."""
        if not isinstance(logits, Tensor) or logits.ndim < 3:
            return
        for node in graph.without_product(logits):
            if node in self._scores:
                query, key = self._operands[node]
                self._reads(query, key)
                self._take_logits(attention.unmasked(logits), query.shape[-1])
                return

    def _fused(self, args: Any, kwargs: Any) -> None:
        query, key = (
            args[place] if place < len(args) else kwargs[name]
            for place, name in enumerate(("query", "key"))
        )
        self._reads(query, key)
        self._take_logits(attention.fused(args, kwargs), query.shape[-1])

    def _reads(self, *made: Tensor) -> None:
        for tensor in made:
            self.into_scores |= {
                self.nodes[node] for node in graph.without_product(tensor) if node in self.nodes
            }

    def _take_logits(self, logits: Tensor, head_size: int | None) -> None:
        place = self._path[-1] if self._path else ""
        name = f"{place}.{ATTENTION_LOGITS}" if place else ATTENTION_LOGITS
        self._emit(Seen(name, Face.ATTENTION, logits, "attention", place, head_size=head_size))

    def _loss(self, name: str, args: Any, kwargs: Any) -> None:
        given = [part for part in (*args[:2], *kwargs.values()) if isinstance(part, Tensor)]
        learns = [part for part in given if part.requires_grad]
        if learns:
            logits = (
                self._log_softmaxes[node]
                for node in graph.unchanged(learns[0])
                if node in self._log_softmaxes
            )
            self._of_loss(next(logits, learns[0]), name)

    def _of_loss(self, value: Tensor, source: str) -> None:
        named = self._emit(Seen(LOSS_INPUT, Face.LOSS_INPUT, value, source))
        if named is not None:
            self.loss_inputs[named.name] = value

    def _emit(self, seen: Seen) -> Seen | None:
        """Hand a tensor on under a name of its own; None where it is no array of numbers."""
        if not _is_measurable(seen.value):
            return None
        self._calls[seen.name, seen.face] += 1
        call = self._calls[seen.name, seen.face]
        if call > MOST_CALLS:
            return None
        named = seen if call == 1 else _renamed(seen, f"{seen.name} (call {call})")
        with torch._C.DisableTorchFunction():
            self._take(named)
        return named


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """What torch.compile has wrapped runs as it was written, so that it can be heard."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled; importing it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def main_tensor(output: Any) -> Tensor | None:
    """The tensor that an output is about: itself, its logits, or the first one of several."""
    if isinstance(output, Tensor):
        return output
    for name in ("logits", "last_hidden_state"):
        held = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(held, Tensor):
            return held
    parts = output.values() if isinstance(output, Mapping) else output
    if isinstance(parts, list | tuple) or isinstance(output, Mapping):
        return next((part for part in parts if _is_measurable(part)), None)
    return None


def _is_measurable(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout is torch.strided
        and not value.is_nested
        and value.ndim > 0
        and value.numel() > 0
    )


def _face(name: str, module: nn.Module) -> Face | None:
    """Modules without children, and those with parameters of their own; blocks of a list."""
    if isinstance(module, _UNHEARD) or _PARAMETRIZATIONS in name.split("."):
        return None  # weights are made there, not activations
    children = [child for child, _ in module.named_children() if child != _PARAMETRIZATIONS]
    if not children or any(True for _ in module.parameters(recurse=False)):
        return Face.MODULE
    return Face.BLOCK if name.rpartition(".")[2].isdigit() else None


def _class(module: nn.Module) -> str:
    """The name of its class, which a parametrization has prefixed."""
    return type(module).__name__.removeprefix("Parametrized")


def _number(value: object) -> float | None:
    if isinstance(value, int | float | numbers.Real):
        return float(value)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return float(value.detach())
    return None


def _renamed(seen: Seen, name: str) -> Seen:
    return Seen(name, seen.face, seen.value, seen.source, seen.module, seen.factor, seen.head_size)
