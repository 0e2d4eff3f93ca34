"""What a user's model is trained on: the file's `batch` and `loss`, or what is assumed of them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from muscope.lab.own.capture import main_tensor
from muscope.lab.own_model import OwnFile, OwnModelError, users_code
from muscope.own_model.facts import Built, Layout

_LABELS = ("labels", "targets", "target", "label", "y")

_WITHOUT_TARGETS = (
    "there is nothing to learn: batch gives no targets, and the output of the model has no .loss; "
    "let batch(seed) return (inputs, targets), or define loss(model, batch)"
)


@dataclass(slots=True)
class Task:
    """One batch, the same for every seed and width, and how a loss is made of it.

    `assumed` says what the file leaves open and how it was taken; it is known after a first loss.
    """

    batch: Any
    own_loss: Callable[..., object] | None
    assumed: str = ""

    def loss(self, model: nn.Module) -> Tensor:
        """The loss of the model on the batch, one number."""
        batch = _moved(self.batch, _device(model))
        if self.own_loss is None:
            self.assumed, value = _assumed_loss(model, batch)
        else:
            with users_code("loss raised"):
                value = self.own_loss(model, batch)
        return _one_number(value, "loss" if self.own_loss else "the loss")


def task(file: OwnFile, built: Built) -> Task:
    """The batch and the loss of a file; OwnModelError with an example where there is no batch."""
    if file.batch is None:
        raise OwnModelError(_teaching(built))
    takes_seed = _takes_an_argument(file.batch)
    torch.manual_seed(0)
    with users_code("batch raised"):
        batch = file.batch(0) if takes_seed else file.batch()
    _holds_something(batch)
    if file.loss is not None:
        return Task(batch, file.loss)
    if not isinstance(batch, Tensor | Mapping) and not _is_pair(batch):
        raise OwnModelError(
            f"batch returned {type(batch).__name__}; it must return inputs, (inputs, targets) or a "
            "dict of arguments for the model, or the file must define loss(model, batch)"
        )
    return Task(batch, None)


def _holds_something(batch: Any) -> None:
    """Refuse a batch whose first tensor has no numbers: its mean loss would be none either."""
    parts = batch.values() if isinstance(batch, Mapping) else batch
    several = parts if isinstance(batch, Mapping | list | tuple) else (batch,)
    first = next((part for part in several if isinstance(part, Tensor)), None)
    if first is not None and first.numel() == 0:
        raise OwnModelError(f"batch returned a tensor of shape {tuple(first.shape)}: it is empty")


def _assumed_loss(model: nn.Module, batch: Any) -> tuple[str, object]:
    """(what was assumed, the loss), of a file without a function loss."""
    if isinstance(batch, Mapping):
        return _of_arguments(model, dict(batch))
    if isinstance(batch, Tensor):
        output = _forward(model, batch)
        if (loss := _loss_of(output)) is not None:
            return "loss: that of the output of model(inputs)", loss
        raise OwnModelError(_WITHOUT_TARGETS)
    inputs, targets = batch
    if _takes_targets(model):
        output = _forward(model, inputs, targets)
        if (loss := _loss_of(output)) is not None:
            return "loss: that of the output of model(inputs, targets)", loss
    output = _forward(model, inputs)
    if (loss := _loss_of(output)) is not None and not isinstance(output, Tensor):
        return "loss: that of the output of model(inputs)", loss
    words, loss = _between(output, targets)
    return f"loss: {words} of model(inputs) and the targets", loss


def _of_arguments(model: nn.Module, batch: dict[str, Any]) -> tuple[str, object]:
    """A dict is what the model is called with; Hugging Face's then has a loss."""
    takes = _parameters_of(model)
    label = next((name for name in _LABELS if name in batch), None)
    if label is None or label in takes or "kwargs" in takes:
        output = _forward(model, **batch)
        if (loss := _loss_of(output)) is not None:
            return "loss: that of the output of model(**batch)", loss
    if label is None:
        raise OwnModelError(_WITHOUT_TARGETS)
    targets = batch.pop(label)
    output = _forward(model, **batch)
    words, loss = _between(output, targets)
    return f"loss: {words} of model(**batch) and {label!r}", loss


def _between(output: object, targets: object) -> tuple[str, Tensor]:
    """(which loss, its value): classes by cross-entropy, numbers of the same shape by MSE."""
    logits = main_tensor(output)
    if logits is None or not isinstance(targets, Tensor):
        raise OwnModelError(
            f"no loss can be made of an output {type(output).__name__} and targets "
            f"{type(targets).__name__}; define loss(model, batch)"
        )
    shapes = (tuple(logits.shape), tuple(targets.shape))
    if targets.is_floating_point():
        if shapes[0] == shapes[1]:
            return "mean squared error", functional.mse_loss(logits, targets)
    elif shapes[0][:-1] == shapes[1]:
        flat = logits.reshape(-1, logits.shape[-1])
        return "cross-entropy", functional.cross_entropy(flat, targets.reshape(-1).long())
    elif shapes[0][:1] + shapes[0][2:] == shapes[1]:
        return "cross-entropy", functional.cross_entropy(logits, targets.long())
    raise OwnModelError(
        f"no loss can be made of an output of shape {shapes[0]} and targets of shape {shapes[1]} "
        f"({targets.dtype}); define loss(model, batch)"
    )


def _forward(model: nn.Module, *args: Any, **kwargs: Any) -> object:
    with users_code("the forward raised"):
        return model(*args, **kwargs)


def _loss_of(output: object) -> Tensor | None:
    """`.loss`, `["loss"]`, the only number of a tuple, or the output itself if it is one number."""
    if isinstance(output, Tensor):
        return output if output.ndim == 0 else None
    held = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(held, Tensor):
        return held
    parts = output if isinstance(output, list | tuple) else ()
    return next((p for p in parts if isinstance(p, Tensor) and p.ndim == 0), None)


def _one_number(value: object, what: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise OwnModelError(f"{what} is {type(value).__name__}; it must be a tensor of one number")
    if value.numel() != 1:
        raise OwnModelError(
            f"{what} has the shape {tuple(value.shape)}; it must be one number, such as its mean"
        )
    if not value.requires_grad:
        raise OwnModelError(f"{what} does not depend on any parameter that can be trained")
    return value.reshape(())


def _takes_targets(model: nn.Module) -> bool:
    return any(name in _parameters_of(model) for name in _LABELS)


def _parameters_of(model: nn.Module) -> list[str]:
    return list(inspect.signature(model.forward).parameters)


def _takes_an_argument(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(0)
    except TypeError:
        return False
    return True


def _is_pair(batch: object) -> bool:
    return isinstance(batch, list | tuple) and len(batch) == 2


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _moved(batch: Any, device: torch.device) -> Any:
    """The batch on the device of the model, whatever it is made of."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {name: _moved(part, device) for name, part in batch.items()}
    if type(batch) in (list, tuple):
        return type(batch)(_moved(part, device) for part in batch)
    return batch


def _teaching(built: Built) -> str:
    """What to paste, with the numbers of this model as far as its shapes say them."""
    lines = "\n".join(f"    {line}" for line in _example(built))
    return f"there is no function batch(seed): the check needs data, for example:\n\n{lines}\n"


def _example(built: Built) -> Iterator[str]:
    first = built.parameters[0]
    classes = next((p.shape[0] for p in reversed(built.parameters) if len(p.shape) == 2), 10)
    yield "def batch(seed):"
    yield "    random = torch.Generator().manual_seed(seed)"
    match first.layout:
        case Layout.TABLE:
            rows = first.shape[0]
            yield f"    tokens = torch.randint({rows}, (8, 65), generator=random)"
            yield "    return tokens[:, :-1], tokens[:, 1:]  # inputs, targets"
        case Layout.CONVOLUTION:
            channels = first.shape[1]
            yield f"    images = torch.randn(64, {channels}, 32, 32, generator=random)"
            yield f"    return images, torch.randint({classes}, (64,), generator=random)"
        case _:
            size = first.shape[-1]
            yield f"    inputs = torch.randn(64, {size}, generator=random)  # better: your data"
            yield f"    return inputs, torch.randint({classes}, (64,), generator=random)"
