"""Labels are drawn from the model's softmax, and their squared gradient is its curvature."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from muscope.catalogue import Options
from muscope.lab import curvature, engine, feed
from muscope.lab.models import build
from muscope.lab.models.operators import Operators, Parameters
from muscope.lab.stack import Stack
from muscope.spec import RunSpec
from tests.lab import specs

CLASSES = 3


def logits(members: int, predictions: int) -> Tensor:
    """The same predictions for every member."""
    generator = torch.Generator().manual_seed(1)
    one = torch.randn(predictions, CLASSES, generator=generator)
    return one.expand(members, predictions, CLASSES)


def test_labels_are_as_frequent_as_the_softmax_says() -> None:
    given = logits(4000, 5)
    labels = curvature.drawn_labels(given, seeds=range(4000), step=0)
    found = one_hot(labels, CLASSES).double().mean(0)
    # 4000 draws: a standard deviation of at most 0.008; four of them
    torch.testing.assert_close(found, given[0].double().softmax(-1), rtol=0, atol=0.032)


def test_seed_and_step_decide_the_labels_of_a_member_alone_or_in_a_stack() -> None:
    given = logits(3, 50)
    together = curvature.drawn_labels(given, seeds=[7, 8, 7], step=2)
    alone = curvature.drawn_labels(given[:1], seeds=[7], step=2)
    assert torch.equal(together[[0]], alone)
    assert torch.equal(together[0], together[2])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(alone, curvature.drawn_labels(given[:1], seeds=[7], step=3))


def test_the_estimate_is_the_diagonal_of_the_gauss_newton_matrix_on_average() -> None:
    """Of a softmax of W x, where it is the mean over examples of p (1 - p) x^2."""
    draws, predictions = 4000, 5
    inputs = torch.randn(predictions, 2, generator=torch.Generator().manual_seed(2))
    given = logits(draws, predictions)
    labels = curvature.drawn_labels(given, seeds=range(draws), step=0)
    p = given.softmax(-1)
    gradients = (p - one_hot(labels, CLASSES)).mT @ inputs / predictions  # (draws, classes, 2)
    found = curvature.diagonal(gradients, labels).mean(0)
    exact = (p[0] * (1 - p[0])).mT @ inputs.square() / predictions
    # a squared sum, whose standard deviation is √2 of its mean: four standard errors of 4000 draws
    torch.testing.assert_close(found, exact, rtol=0.09, atol=0)


def sophia(
    model: str = "mlp", *, seed: int = 0, steps: int = 4, options: Options | None = None
) -> RunSpec:
    return specs.run(
        model,
        optimizer="sophia",
        learning_rate=1e-3,
        zero_readout=False,
        seed=seed,
        steps=steps,
        options={"gamma": 1e3, "hessian_frequency": 2, **(options or {})},
    )


def stack(members: list[RunSpec]) -> Stack:
    run = members[0]
    model = run.variant.model
    built = build(model.name, run.width, run.depth, dict(model.options))
    return Stack(built, feed.Source(run), members)


@pytest.mark.parametrize("model", ["mlp", "gpt"])
def test_a_stack_hands_its_optimizer_the_gradient_on_labels_of_its_own(model: str) -> None:
    made = stack([sophia(model, options={"beta2": 0.0})])
    weights = {name: values[0].clone() for name, values in made.parameters.weights.items()}
    multipliers = {name: values[0] for name, values in made.parameters.multipliers.items()}
    leaves = {name: values.requires_grad_() for name, values in weights.items()}
    batch = made.feed.at(0)
    operators = Operators(made.entries, Parameters(leaves, multipliers))
    made.model.loss(operators, batch)
    labels = curvature.drawn_labels(operators.activations["readout"][None], seeds=[0], step=0)
    assert labels[0].shape == batch.targets.shape
    loss = made.model.loss(operators, batch._replace(targets=labels[0]))
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    made.advance()
    for name, gradient in zip(leaves, gradients, strict=True):
        estimate = batch.targets.numel() * gradient.square()
        # float32, summed in another order
        torch.testing.assert_close(made.state[name][1][0], estimate, rtol=1e-3, atol=1e-9)


def test_the_curvature_is_new_at_every_second_update_if_asked() -> None:
    made, seen = stack([sophia()]), []
    for _ in range(4):
        made.advance()
        seen.append(made.state["hidden.0"][1])
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert torch.equal(seen[2], seen[3])


@pytest.mark.parametrize("model", ["mlp", "gpt"])
@pytest.mark.parametrize("batches", ["fixed", "fresh"])
def test_a_member_draws_the_same_labels_alone_in_a_stack_and_again(
    model: str, batches: str
) -> None:
    members = [sophia(model, seed=seed).model_copy(update={"batches": batches}) for seed in (0, 1)]
    together = list(engine.train(members))
    assert together == list(engine.train(members))
    for member, run in enumerate(members):
        alone = [record.progress[0].train_loss for record in engine.train([run])]
        # float32 sums in another order
        found = [record.progress[member].train_loss for record in together]
        assert found == pytest.approx(alone, rel=1e-4)


def test_an_optimizer_of_gradients_alone_draws_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "drawn_labels", None)
    assert list(engine.train([specs.run(optimizer="lion")]))
