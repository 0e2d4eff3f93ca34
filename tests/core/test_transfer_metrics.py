"""The published tables of Lingle 2024, judged by the code that judges our runs (facts 7.2)."""

import csv
import math
from collections import defaultdict
from importlib import resources

import pytest

from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.verdicts.transfer import metrics
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.transfer.types import TransferJudgement

EDGE = None
Losses = dict[int, dict[float, float]]

# ablation: best cells, vertices (None at an edge), drift of cells, of vertices, regret at the top
GOLDEN = {
    "Baseline muP": ((-6, -6, -6), (-6.59, -6.74, -6.11), 0, 0.49, 0.000),
    "Projection Biases": ((-6, -6, -6), (-6.75, -5.74, -6.72), 0, 0.02, 0.000),
    "SwiGLU Nonlinearity": ((-6, -6, -6), (-6.87, -6.82, -6.22), 0, 0.66, 0.000),
    "Squared ReLU Nonlinearity": ((-6, -6, -6), (-6.73, -6.76, -6.19), 0, 0.54, 0.000),
    "4x Larger Batch": ((-6, -6, -6), (-5.67, -6.86, -6.82), 0, -1.16, 0.000),
    "4x Smaller Batch": ((-6, -6, -6), (-6.69, -6.16, -5.70), 0, 0.99, 0.000),
    "SP Unembedding Init": ((-6, -6, -6), (-6.50, -6.78, -6.10), 0, 0.40, 0.000),
    "Zero Query Init": ((-6, -6, -6), (-6.58, -6.62, -5.98), 0, 0.60, 0.000),
    "RMSNorm Gains (Vector)": ((-4, -4, -8), (-3.73, -5.00, -7.57), -4, -3.84, 0.052),
    "RMSNorm Gains (Scalar)": ((-4, -4, -6), (-4.95, -4.99, -5.55), -2, -0.60, 0.017),
    "Lion Optimizer": ((-10, -8, -8), (EDGE, -8.98, -8.98), 2, None, 0.008),
    "Decoupled Weight Decay": ((-8, -6, -6), (-7.31, -6.94, -6.90), 2, 0.41, 0.033),
    "SP (Table 3)": ((-6, -8, -10), (-6.54, -7.61, EDGE), -4, None, 4.509),
    "Large-scale (Table 4)": ((-6, -6, -6, -6), (-6.32, -5.78, -5.23, -5.05), 0, 1.26, 0.000),
}


def tables() -> tuple[dict[str, Losses], dict[str, bool]]:
    """The losses of every ablation by width and log2 of the rate, and the published yes or no."""
    losses: dict[str, Losses] = defaultdict(lambda: defaultdict(dict))
    marks: dict[str, bool] = {}
    file = resources.files("muscope.presets.published") / "lingle_tables.csv"
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        name = row["ablation"]
        losses[name][int(row["width"])][float(row["log2_lr"])] = float(row["val_loss"])
        marks[name] = row["transfer"] == "yes"
    return losses, marks


LOSSES, MARKS = tables()


def judged(table: Losses) -> TransferJudgement:
    """A table as if it were a study of ours: learning rate 2^octave, one seed."""
    spec = StudySpec(
        name="published",
        kind="lr_transfer",
        arms=(
            Arm(
                model=ModelSpec(name="mlp", batch_size=8),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=1.0),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=tuple(table),
        octaves=tuple(sorted({octave for row in table.values() for octave in row})),
        seeds=1,
    )
    (variant,) = spec.variants
    trials = [
        Trial(variant.key, width, spec.depths[0], octave, 0, loss)
        for width, row in table.items()
        for octave, loss in row.items()
    ]
    (found,) = judge(spec, trials, runs_judged={}, final=True)
    return found


def rounded(value: float | None, *, places: int = 2) -> float | None:
    return None if value is None else round(value, places)


def test_every_published_ablation_is_there() -> None:
    assert set(GOLDEN) == set(LOSSES)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_published_table_gives_its_golden_metrics(name: str) -> None:
    cells, vertices, drift, drift_of_vertices, regret = GOLDEN[name]
    found = judged(LOSSES[name])
    (one,) = found.drifts
    assert tuple(width.best for width in found.optima) == cells
    assert tuple(width.optimum for width in found.optima) == tuple(
        # the facts print two decimals
        None if vertex is None else pytest.approx(vertex, abs=0.006)
        for vertex in vertices
    )
    assert one.cells == drift
    expected = None if drift_of_vertices is None else pytest.approx(drift_of_vertices, abs=0.011)
    assert one.vertices == expected  # the difference of two numbers of two decimals
    assert rounded(one.regret, places=3) == regret


@pytest.mark.parametrize("name", GOLDEN)
def test_the_published_yes_or_no_is_said_beside_the_verdict(name: str) -> None:
    (one,) = judged(LOSSES[name]).drifts
    assert one.same_cell is MARKS[name]


def test_sp_does_worse_when_wider_and_mup_never_does() -> None:
    assert judged(LOSSES["SP (Table 3)"]).drifts[0].worse_when_wider == (512, 2048)
    assert judged(LOSSES["Baseline muP"]).drifts[0].worse_when_wider is None


def test_wider_is_worse_only_beyond_the_noise_of_the_seeds() -> None:
    def found(more: tuple[float, ...]) -> dict[int, dict[int, dict[float, float]]]:
        narrow = {seed: {0.0: 2 + 0.3 * seed} for seed in range(len(more))}
        wide = {seed: {0.0: 2 + 0.3 * seed + by} for seed, by in enumerate(more)}
        return {1: narrow, 2: wide}

    assert metrics.worse_when_wider(found((0.02, 0.021, 0.019))) == (1, 2)
    assert metrics.worse_when_wider(found((0.02, -0.02, 0.01))) is None, "of noise"
    assert metrics.worse_when_wider(found((0.02,))) == (1, 2)
    assert metrics.worse_when_wider(found((0.005,))) is None, "within a plateau"
    assert metrics.worse_when_wider(found((0.0, math.inf))) == (1, 2)
    assert metrics.worse_when_wider({1: {}, 2: {}}) is None


def test_a_plateau_ends_where_the_loss_has_risen_by_a_hundredth() -> None:
    slope = {float(x): 2 + 0.02 * abs(x) for x in range(-3, 4)}
    assert metrics.plateau(slope) == pytest.approx(1.0)
    assert metrics.plateau(dict.fromkeys(slope, 2.0)) == 6.0  # flat: the whole grid
    assert metrics.plateau({0.0: 2.0, 1.0: math.inf}) == 0.0
    assert metrics.plateau({0.0: math.inf}) is None


def test_sensitivity_counts_what_diverged_as_untrained() -> None:
    curve = {0.0: 2.0, 1.0: 1.0, 2.0: math.inf}
    assert metrics.sensitivity(curve, 3.0) == pytest.approx((2 + 1 + 3) / 3 - 1)
    assert metrics.sensitivity(curve, None) is None
