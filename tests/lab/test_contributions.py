"""The update contributions of an MLP have the exponents that theory derives (facts 5.1)."""

from typing import cast

import pytest

from muscope import in_process, plan
from muscope.recording import STATISTICS
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.verdicts.judge import judge
from muscope.verdicts.types import Cell
from muscope.vocabulary import Statistic, TensorKind

CLOSE = 0.05
"""Facts, section 10: three seeds at widths 256 to 2048; measured here up to 0.03."""


ONLY_CONTRIBUTIONS: dict[TensorKind, tuple[Statistic, ...]] = {
    TensorKind.ACTIVATION: (Statistic.L1,),
    TensorKind.WEIGHT: (Statistic.L1, Statistic.CONTRIBUTION),
}
"""Nobody looks at spectral norms here, which take most of the time."""


def study(parametrization: ParametrizationSpec, optimizer: str) -> StudySpec:
    """One update of a tanh MLP; its first contribution does not depend on the learning rate."""
    nonlinearity = "relu" if parametrization.name == "u_mup" else "tanh"
    model = ModelSpec(name="mlp", batch_size=16, options={"nonlinearity": nonlinearity})
    optimizers = (OptimizerSpec(name=optimizer, learning_rate=1e-3),)
    return StudySpec(
        name="contributions",
        arms=(Arm(model=model, optimizers=optimizers),),
        parametrizations=(parametrization,),
        widths=(256, 512, 1024, 2048),
        depths=(1,),
        seeds=3,
        steps=1,
        record="full",
    )


def contributions(spec: StudySpec) -> list[Cell]:
    arrivals = in_process.train(plan.plan(spec).bundles)
    samples = [sample for arrival in arrivals for sample in arrival.samples]
    (verdict,) = judge(spec, samples, runs_judged={}, final=True)
    return [cell for cell in verdict.cells if cell.statistic is Statistic.CONTRIBUTION]


@pytest.mark.parametrize(
    ("parametrization", "options", "optimizer"),
    [
        ("sp", {}, "sgd"),
        ("sp", {}, "adamw"),
        ("mup", {"zero_readout": False}, "adamw"),
        ("u_mup", {}, "adamw"),
        ("nanotron", {}, "adamw"),
        pytest.param("ntk", {"rates": "fixed"}, "sgd", marks=pytest.mark.slow),
        pytest.param("ntk", {"rates": "fixed"}, "adamw", marks=pytest.mark.slow),
        pytest.param("mean_field", {"rates": "fixed"}, "sgd", marks=pytest.mark.slow),
        pytest.param("mean_field", {}, "sgd", marks=pytest.mark.slow),
        pytest.param("mup", {"zero_readout": False}, "sgd", marks=pytest.mark.slow),
        pytest.param("mup", {"zero_readout": False}, "muon", marks=pytest.mark.slow),
        pytest.param("mup", {"zero_readout": False}, "lamb", marks=pytest.mark.slow),
        pytest.param("everett", {}, "adamw", marks=pytest.mark.slow),
        pytest.param("spectral", {}, "adamw", marks=pytest.mark.slow),
    ],
)
def test_every_weight_contributes_as_theory_derives(
    parametrization: str,
    options: dict[str, bool | int | float | str],
    optimizer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(cast(dict[str, object], STATISTICS), "full", ONLY_CONTRIBUTIONS)
    spec = study(ParametrizationSpec(name=parametrization, options=options), optimizer)
    found = contributions(spec)
    assert [cell.tensor for cell in found] == ["input", "hidden.0", "readout"]
    for cell in found:
        assert cell.slope == pytest.approx(cell.expected, abs=CLOSE), cell.tensor
