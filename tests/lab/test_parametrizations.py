"""Every parametrization that a study can ask for trains, alone and stacked with the others."""

import math

import pytest

from muscope import catalogue
from muscope.catalogue import rules
from muscope.lab import engine, parametrize
from muscope.records import StepRecord
from muscope.spec import RunSpec
from tests.lab import specs

OFFERED = list(catalogue.PARAMETRIZATION_ENTRIES)
UNIT_SCALED = ["u_mup"]
PLAIN = [name for name in OFFERED if name not in UNIT_SCALED]


def gpt(parametrization: str, *, optimizer: str = "adamw", base_depth: int = 1) -> RunSpec:
    """A tiny GPT, twice as wide as its base and of depth 2, with a random readout."""
    rate = catalogue.OPTIMIZERS[optimizer].learning_rate / 10
    run = specs.run(
        "gpt",
        parametrization=parametrization,
        zero_readout=False,
        optimizer=optimizer,
        learning_rate=rate,
    )
    return run.model_copy(update={"base_depth": base_depth})


def losses(records: list[StepRecord], member: int) -> list[float]:
    return [record.progress[member].train_loss for record in records]


@pytest.mark.parametrize("optimizer", catalogue.OPTIMIZERS)
def test_every_pair_trains_or_is_refused_with_a_sentence(optimizer: str) -> None:
    for names in (PLAIN, UNIT_SCALED):
        trains_or_is_refused(names, optimizer)


def trains_or_is_refused(names: list[str], optimizer: str) -> None:
    members, complaints = [], []
    for name in names:
        run = gpt(name, optimizer=optimizer)
        choice = rules.Choice(name, run.variant.parametrization.options)
        complaint = rules.complaint(choice, optimizer, "gpt", dict(run.variant.model.options))
        complaints.append(complaint)
        members += [] if complaint else [run]
    assert all("no source gives" in complaint for complaint in complaints if complaint)
    records = list(engine.train(members)) if members else []
    for member in range(len(members)):
        trace = losses(records, member)
        assert all(map(math.isfinite, trace))
        assert trace[-1] < trace[0], members[member].variant.label


def test_members_of_every_parametrization_are_stacked_and_do_not_see_each_other() -> None:
    together = list(engine.train([gpt(name) for name in PLAIN]))
    for member, name in enumerate(PLAIN):
        alone = list(engine.train([gpt(name)]))
        # float32; a stacked product may sum in another order
        assert losses(together, member) == pytest.approx(losses(alone, 0), rel=1e-5)


@pytest.mark.parametrize("name", ["depth_mup", "complete_p"])
def test_at_the_base_depth_a_depth_rule_is_mup(name: str) -> None:
    records = list(engine.train([gpt(name, base_depth=2), gpt("mup", base_depth=2)]))
    assert losses(records, 0) == losses(records, 1)


def test_deeper_than_the_base_every_branch_is_divided() -> None:
    multipliers = {name: parametrize.residual_multiplier(gpt(name)) for name in OFFERED}
    assert multipliers["complete_p"] == 1 / 2
    assert multipliers["depth_mup"] == pytest.approx(2**-0.5)
    assert multipliers["minicpm"] == pytest.approx(1.4 / 2**0.5)
    one = {name for name, multiplier in multipliers.items() if multiplier == 1}
    assert one == set(OFFERED) - {"complete_p", "depth_mup", "minicpm"}
    records = list(engine.train([gpt("complete_p"), gpt("mup")]))
    assert losses(records, 0)[0] != losses(records, 1)[0]


def test_only_weights_in_branches_have_a_depth() -> None:
    dims = parametrize.dimensions(gpt("complete_p"))
    assert {name for name, weight in dims.items() if weight.r == 1} == {
        *("embedding.token", "embedding.position", "readout")
    }
    parts = {*(f"attention.{name}" for name in "qkvo"), "mlp.up", "mlp.down"}
    assert {weight.part for weight in dims.values()} == {"", *parts}
    writers = {name.split(".", 2)[2] for name, weight in dims.items() if weight.writes_stream}
    assert writers == {"attn.o", "mlp.down"}
