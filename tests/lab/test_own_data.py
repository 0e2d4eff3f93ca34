"""What a model is trained on: what the file says, what is assumed, and what is refused."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from muscope.lab import own_model
from muscope.lab.own import data
from muscope.lab.own_model import OwnFile, OwnModelError

CLASSES, BATCH = 5, 4
INPUTS, LABELS = torch.ones(BATCH, 3), torch.zeros(BATCH, dtype=torch.long)


class Answers(nn.Module):
    """Answers in somebody's way."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.answer = nn.Linear(3, CLASSES), answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(self.layer(x))


class WithTargets(nn.Module):
    """As nanoGPT: the forward takes targets, and gives (logits, loss)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        logits = self.layer(x)
        loss = None if targets is None else functional.cross_entropy(logits, targets)
        return logits[:1], loss


class HuggingFace(nn.Module):
    """Called with a dict; an object with loss and logits comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, CLASSES)

    def forward(self, inputs: Tensor, labels: Tensor | None = None, **kwargs: Any) -> Any:
        logits = self.layer(inputs)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SimpleNamespace(loss=loss, logits=logits)


def expected(model: nn.Module) -> Tensor:
    layer = model.get_submodule("layer")
    return functional.cross_entropy(layer(INPUTS), LABELS)


@pytest.mark.parametrize(
    ("model", "batch", "assumed"),
    [
        (Answers(lambda x: x), (INPUTS, LABELS), "cross-entropy of model(inputs) and the targets"),
        (Answers(lambda x: (x, "more")), [INPUTS, LABELS], "cross-entropy of model(inputs)"),
        (Answers(lambda x: {"logits": x}), (INPUTS, LABELS), "cross-entropy of model(inputs)"),
        (WithTargets(), (INPUTS, LABELS), "that of the output of model(inputs, targets)"),
        (HuggingFace(), {"inputs": INPUTS, "labels": LABELS}, "of the output of model(**batch)"),
        (Answers(lambda x: x), {"x": INPUTS, "labels": LABELS}, "cross-entropy of model(**batch)"),
    ],
)
def test_a_loss_is_assumed_and_said(model: nn.Module, batch: Any, assumed: str) -> None:
    task = given(lambda seed: batch)
    torch.testing.assert_close(task.loss(model), expected(model))
    assert assumed in task.assumed


def test_classes_may_come_before_positions_as_in_images_or_behind_as_in_text() -> None:
    logits, targets = torch.randn(2, CLASSES, 3, requires_grad=True), torch.zeros(2, 3).long()
    for output in (logits, logits.mT):
        model = Answers(lambda x, output=output: output + 0 * x.sum())
        value = given(lambda seed: (INPUTS, targets)).loss(model)
        torch.testing.assert_close(value, functional.cross_entropy(logits, targets))


def test_numbers_are_compared_by_their_squares() -> None:
    task = given(lambda seed: (INPUTS, torch.zeros(BATCH, CLASSES)))
    model = Answers(lambda x: x)
    torch.testing.assert_close(task.loss(model), model.layer(INPUTS).square().mean())
    assert "mean squared error" in task.assumed


def test_a_loss_of_the_file_is_taken_as_it_is_and_nothing_is_assumed() -> None:
    task = given(lambda seed: "any batch", loss=lambda model, batch: model(INPUTS).sum())
    model = Answers(lambda x: x)
    torch.testing.assert_close(task.loss(model), model(INPUTS).sum())
    assert task.assumed == ""


def test_batch_gets_one_seed_for_every_model() -> None:
    seeds: list[int] = []
    given(lambda seed: (seeds.append(seed), INPUTS, LABELS)[1:])
    assert seeds == [0]


def test_a_batch_without_a_seed_is_a_batch_too() -> None:
    assert given(lambda: (INPUTS, LABELS)).batch == (INPUTS, LABELS)


@pytest.mark.parametrize(
    ("batch", "loss", "sentence"),
    [
        (lambda seed: "text", None, "batch returned str; it must return inputs, (inputs, targets)"),
        (lambda seed: (INPUTS[:0], LABELS[:0]), None, "of shape (0, 3): it is empty"),
        (lambda seed: 1 / 0, None, "batch raised: ZeroDivisionError: division by zero"),
        (lambda seed: INPUTS, None, "let batch(seed) return (inputs, targets), or define loss("),
        (lambda seed: {"x": INPUTS}, None, "there is nothing to learn"),
        (lambda seed: (INPUTS, LABELS[:2]), None, "of shape (4, 5) and targets of shape (2,)"),
        (lambda seed: (INPUTS, "a"), None, "an output Tensor and targets str"),
        (lambda seed: (INPUTS[:, :2], LABELS), None, "the forward raised: RuntimeError: mat1 and"),
        (lambda seed: 0, lambda model, batch: 1.0, "loss is float; it must be a tensor of one"),
        (lambda seed: 0, lambda model, batch: model(INPUTS), "loss has the shape (4, 5)"),
        (lambda seed: 0, lambda model, batch: torch.zeros(()), "does not depend on any parameter"),
        (lambda seed: 0, lambda model: 0, "loss raised: TypeError"),
    ],
)
def test_what_cannot_be_learned_is_said_in_a_sentence(
    batch: Callable[..., object], loss: Callable[..., object] | None, sentence: str
) -> None:
    with pytest.raises(OwnModelError) as refused:
        given(batch, loss=loss).loss(Answers(lambda x: x))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("build", "lines"),
    [
        (lambda n: nn.Sequential(nn.Embedding(90, n), nn.Linear(n, 90)), ["randint(90, (8, 65)"]),
        (lambda n: nn.Sequential(nn.Linear(48, n), nn.Linear(n, 6)), ["64, 48,", "randint(6,"]),
        (lambda n: nn.Sequential(nn.Conv2d(3, n, 3), nn.Linear(n, 9)), ["64, 3, 32", "randint(9,"]),
    ],
)
def test_a_file_without_a_batch_is_answered_with_one_to_paste(
    build: Callable[[int], nn.Module], lines: list[str]
) -> None:
    built = own_model.built_once(build, 16, None)
    with pytest.raises(OwnModelError) as refused:
        data.task(OwnFile(build), built)
    assert "def batch(seed):" in str(refused.value)
    assert all(line in str(refused.value) for line in lines)


def given(batch: Callable[..., object], loss: Callable[..., object] | None = None) -> data.Task:
    built = own_model.built_once(lambda n: nn.Linear(n, n), 4, None)
    return data.task(OwnFile(lambda n: nn.Linear(n, n), batch, loss), built)
