"""µP is what microsoft/mup does, and where it is not, it is known."""

import pytest
import torch

from muscope.lab.parametrize import rules
from tests.originals import mup_twins, ours
from tests.originals.comparison import Comparison, furthest
from tests.originals.mup_comparisons import COMPARISONS, MODELS, SCALARS, run


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda comparison: comparison.id)
def test_ours_is_theirs(comparison: Comparison) -> None:
    assert comparison.difference() <= comparison.tolerance, comparison.reason


@pytest.mark.parametrize("model", MODELS)
def test_a_twin_that_takes_itself_for_the_base_is_not_ours(model: str) -> None:
    """The comparison of sizes would notice a wrong width multiplier in a readout or a rate."""
    here = run(model)
    twin = mup_twins.plain(here)
    mup_twins.based(here.model_copy(update={"base_width": here.width}), twin, rescale=False)
    mup_twins.load(twin, ours.initial(here))
    wrong, right = mup_twins.train(here, twin, ours.batch(here))[-1], ours.sizes(here)[-1]
    assert furthest((right[name], wrong[name]) for name in right) > 0.1


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_mup_leaves_epsilon_where_it_is_and_we_scale_it(optimizer: str) -> None:
    """Gradients shrink as 1/m (docs/facts.md 1); at the default of 1e-16 neither acts."""
    here = run("mlp", optimizer)
    twin = mup_twins.based(here, mup_twins.plain(here), rescale=True)
    groups = mup_twins.groups(mup_twins.optimizer(here, twin, eps=1e-3), twin)
    assert {group["eps"] for group in groups.values()} == {1e-3}
    assert {rule.epsilon_factor for rule in rules(here).values()} == {1 / 4}


def test_mup_undoes_the_shrinking_of_torch_s_biases_once_and_ours_start_at_zero() -> None:
    """Torch's are of size 1/sqrt(fan_in); nothing multiplies them in the forward."""
    here, m = run("mlp with biases"), 64 / 16
    twin = mup_twins.plain(here)
    before = {name: value.detach().clone() for name, value in mup_twins.named(twin).items()}
    after = mup_twins.named(mup_twins.based(here, twin, rescale=True))
    grown = {"input.bias": 1.0, **dict.fromkeys(("hidden.0.bias", "hidden.1.bias"), m**0.5)}
    for name, factor in {**grown, "readout.bias": m**0.5}.items():
        torch.testing.assert_close(after[name].detach(), before[name] * factor)
        assert not ours.initial(here)[name].any()
    assert torch.equal(twin.readout(torch.zeros(64)), after["readout.bias"])


def test_mup_rescales_a_shared_table_that_was_constant_already() -> None:
    """microsoft/mup issue 55: with MuSharedReadout the embedding grows as sqrt(m)."""

    def tied(width: int) -> torch.nn.Module:
        embedding = torch.nn.Embedding(256, width)
        readout = mup_twins.mup.MuSharedReadout(embedding.weight, bias=False)
        return torch.nn.ModuleDict({"embedding": embedding, "readout": readout})

    torch.manual_seed(0)
    model = tied(256)
    mup_twins.mup.set_base_shapes(model, tied(64), delta=tied(128))
    std = float(model["embedding"].weight.detach().std())
    assert std == pytest.approx(2, rel=0.02)  # 65536 numbers


def test_the_optimizers_of_mup_are_those_compared() -> None:
    assert set(mup_twins.OPTIMIZERS) == set(SCALARS)
