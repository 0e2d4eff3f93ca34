"""Fixed batches are the same for all; fresh ones follow a seed and leave a tenth alone."""

import pytest
import torch

from muscope.catalogue import MODELS, DatasetEntry
from muscope.catalogue.datasets import chosen
from muscope.lab import data, engine
from muscope.lab.models.model import Batch
from muscope.spec import ModelSpec
from tests.lab.data.specs import images, text
from tests.lab.specs import run

BUILT_IN = [text("python_docs"), text("markov")] + [
    images(name) for name in ("digits", "photo_patches", "synthetic_cifar")
]


def entry(model: ModelSpec) -> DatasetEntry:
    return chosen(MODELS[model.name].dataset, model.options)


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)


@pytest.mark.parametrize("model", BUILT_IN, ids=data.name)
def test_a_batch_has_the_inputs_and_classes_that_the_catalogue_says(model: ModelSpec) -> None:
    batch = data.batch(model)
    assert len(batch.inputs) == len(batch.targets) == 4
    assert 0 <= int(batch.targets.min()) <= int(batch.targets.max()) < entry(model).classes
    if entry(model).modality == "image":
        assert batch.inputs.shape == (4, entry(model).inputs)
    else:
        assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])


@pytest.mark.parametrize("model", BUILT_IN, ids=data.name)
def test_a_fresh_batch_is_decided_by_seed_and_step(model: ModelSpec) -> None:
    torch.manual_seed(0)
    first = data.fresh(model, step=3, seed=1)
    torch.manual_seed(1)  # the global generator decides nothing
    assert same(first, data.fresh(model, step=3, seed=1))
    assert not same(first, data.fresh(model, step=4, seed=1))
    assert not same(first, data.fresh(model, step=3, seed=2))


@pytest.mark.parametrize("model", BUILT_IN, ids=data.name)
def test_a_tenth_is_held_out_the_same_for_all(model: ModelSpec) -> None:
    examples = data.examples(model)
    training, held_out = set(map(int, examples.training)), set(map(int, examples.held_out))
    assert len(held_out) / len(examples.everything) == pytest.approx(0.1, abs=1e-3)
    assert training.isdisjoint(held_out)
    assert same(data.held_out(model), data.held_out(model))
    assert len(data.held_out(model, batches=3).targets) == 12


def test_no_token_of_the_held_out_text_is_in_a_training_window() -> None:
    examples = data.examples(text("markov"))
    assert max(examples.training) + 16 < min(examples.held_out)


def test_a_batch_may_be_larger_than_the_dataset() -> None:
    assert data.batch(images(batch_size=4000)).inputs.shape == (4000, 64)


@pytest.mark.parametrize("parametrization", ["mup", "u_mup"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_on_fresh_batches_a_member_learns_alone_what_it_learns_in_a_stack(
    loss: str, parametrization: str
) -> None:
    members = [
        run(
            parametrization=parametrization,
            seed=seed,
            steps=3,
            zero_readout=False,
            model_options={"loss": loss},
            batches="fresh",
        )
        for seed in (0, 1, 0)
    ]
    together = list(engine.train(members))
    for place, member in enumerate(members):
        alone = [record.progress[0].train_loss for record in engine.train([member])]
        stacked = [record.progress[place].train_loss for record in together]
        assert stacked == pytest.approx(alone, rel=1e-5)  # float32, other order of sums


def test_fresh_batches_give_other_losses_than_the_fixed_one() -> None:
    losses = {
        batches: [record.progress[0].train_loss for record in engine.train([member])]
        for batches in ("fixed", "fresh")
        for member in [run(zero_readout=False, batches=batches)]
    }
    assert losses["fixed"][0] != losses["fresh"][0]


def test_members_on_fresh_and_on_fixed_batches_are_not_trained_together() -> None:
    with pytest.raises(ValueError, match="member 1 has batches fresh where member 0 has fixed"):
        engine.train([run(), run(batches="fresh")])
