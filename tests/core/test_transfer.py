"""Losses become optima: the published tables', and those of curves that are known."""

import math

import pytest
from pydantic import ValidationError

from muscope import plan
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    StudySpec,
    canonical_json,
)
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial, final_loss, last_steps
from muscope.verdicts.transfer.optimum import optimum
from muscope.vocabulary import TransferVerdict

RATES = (-10.0, -8.0, -6.0, -4.0, -2.0)

# Lingle 2024: validation losses at these rates, and the vertex of the parabola (facts 7.2)
TABLES = [
    ((3.846, 3.743, 3.695, 3.884, 4.143), -6.59),
    ((3.114, 2.993, 2.953, 3.221, 3.506), -6.74),
    ((2.711, 2.553, 2.511, 2.563, 3.244), -6.11),
    ((3.842, 3.744, 3.689, 3.670, 3.681), -3.73),
    ((2.692, 2.553, 2.609, 2.605, 3.169), -7.57),
    ((3.708, 3.736, 4.057, 4.344, 10.380), None),
    ((2.738, 2.902, 7.247, 7.477, 7.314), None),
]


def spec(**changes: object) -> StudySpec:
    """An MLP at three widths and five rates."""
    fields: dict[str, object] = {
        "name": "transfer",
        "kind": "lr_transfer",
        "arms": (
            Arm(
                model=ModelSpec(name="mlp", batch_size=8),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=2**-6),),
            ),
        ),
        "parametrizations": (ParametrizationSpec(name="mup"),),
        "widths": (32, 64, 128),
        "octaves": (-2.0, -1.0, 0.0, 1.0, 2.0),
        "seeds": 3,
    }
    return StudySpec.model_validate(fields | changes)


def trials(study: StudySpec, *, drift: float, wobble: float = 0.02) -> list[Trial]:
    """Parabolas whose vertex moves by `drift` octaves per doubling, a little else at each seed."""
    return [
        Trial(
            run.variant.key,
            run.width,
            run.depth,
            run.octave,
            run.seed,
            2 + (run.octave - drift * math.log2(run.width / 64) - wobble * run.seed) ** 2,
        )
        for run in plan.runs(study)
    ]


def verdict(study: StudySpec, found: list[Trial]) -> TransferVerdict:
    (judged,) = judge(study, found, runs_judged={}, final=True)
    return judged.verdict


@pytest.mark.parametrize(("losses", "vertex"), TABLES)
def test_the_optimum_of_a_published_table_is_its_vertex(
    losses: tuple[float, ...], vertex: float | None
) -> None:
    found = optimum(dict(zip(RATES, losses, strict=True)))
    assert found == (vertex if vertex is None else pytest.approx(vertex, abs=0.005))  # 2 decimals


def test_on_a_fine_grid_one_noisy_cell_decides_less() -> None:
    curve = {quarter / 4: (quarter / 4) ** 2 for quarter in range(-8, 9)}
    assert optimum(curve) == pytest.approx(0.0)
    noisy = curve | {0.25: curve[0.25] + 0.05}
    assert abs(optimum(noisy) or 0.0) < 0.125  # half a cell


def test_a_diverged_neighbour_is_the_limit_of_an_ever_worse_one() -> None:
    finite = optimum({-1.0: 2.1, 0.0: 2.0, 1.0: 1e12})
    assert optimum({-1.0: 2.1, 0.0: 2.0, 1.0: math.inf}) == pytest.approx(finite)


def test_optima_beside_diverged_rates_are_known_to_a_spacing_only() -> None:
    """Every vertex lies half-way to the last rate that trains, where all seeds agree."""
    study = spec(octaves=(-4.0, -3.0, -2.0, -1.0, 0.0))
    cut = [
        trial._replace(loss=math.inf) if trial.octave > -2.0 else trial
        for trial in trials(study, drift=0.0, wobble=0.0)
    ]
    (judged,) = judge(study, cut, runs_judged={}, final=True)
    for one in judged.optima:
        assert one.low is not None
        assert one.high is not None
        assert one.high - one.low > 0.9  # nine tenths of the octave over which it may lie
    (drift,) = judged.drifts
    assert drift.slope == pytest.approx(0.0, abs=1e-9)
    assert drift.low is not None
    assert drift.high is not None
    assert drift.high - drift.low > 0.3  # an octave, even over four places, is not known better


def test_a_best_cell_at_the_edge_is_no_optimum() -> None:
    assert optimum({0.0: 1.0, 1.0: 2.0, 2.0: 3.0}) is None
    assert optimum({0.0: math.inf, 1.0: math.inf}) is None
    assert optimum({}) is None


@pytest.mark.parametrize(
    ("drift", "expected"),
    [(0.0, TransferVerdict.TRANSFERS), (-0.6, TransferVerdict.DRIFTS)],
)
def test_an_optimum_that_stays_transfers_and_one_that_moves_drifts(
    drift: float, expected: TransferVerdict
) -> None:
    study = spec()
    assert verdict(study, trials(study, drift=drift)) is expected


def test_an_optimum_at_the_edge_of_any_width_is_not_bracketed() -> None:
    study = spec()
    assert verdict(study, trials(study, drift=-2.5)) is TransferVerdict.NOT_BRACKETED


@pytest.mark.parametrize(
    ("drift", "side"), [(-3.0, "larger and smaller"), (-2.0, "larger"), (2.0, "smaller")]
)
def test_what_is_not_bracketed_says_which_octaves_are_missing(drift: float, side: str) -> None:
    widths = (32, 64, 128) if "and" in side else (32, 64)
    study = spec(widths=widths)
    (judged,) = judge(study, trials(study, drift=drift), runs_judged={}, final=True)
    assert judged.sentence().endswith(f"; add {side} octaves")


def test_a_seed_that_is_missing_at_one_width_moves_no_drift() -> None:
    """Every seed has an optimum of its own, and the same at every width."""
    study = spec(octaves=(-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0))
    known = trials(study, drift=0.0, wobble=0.6)
    known = [one for one in known if (one.width, one.seed) != (128, 2)]
    (drift,) = judge(study, known, runs_judged={}, final=True)[0].drifts
    assert drift.slope == pytest.approx(0.0, abs=1e-9)
    assert drift.vertices == pytest.approx(0.0, abs=1e-9)


def test_where_the_seeds_of_all_widths_bracket_nothing_the_missing_ones_are_asked_for() -> None:
    study = spec()
    vertex = {0: 2.5, 1: 2.5, 2: -4.0}  # of all three the mean lies within the grid
    known = [
        one._replace(loss=(one.octave - vertex[one.seed]) ** 2 if one.width < 128 else one.loss)
        for one in trials(study, drift=0.0)
        if (one.width, one.seed) != (128, 2)
    ]
    (judged,) = judge(study, known, runs_judged={}, final=True)
    assert all(one.is_bracketed for one in judged.optima)
    assert judged.verdict is TransferVerdict.NOT_BRACKETED
    assert judged.sentence().endswith("train the missing ones")


def test_a_study_that_stopped_before_a_width_says_so() -> None:
    study = spec()
    found = [trial for trial in trials(study, drift=0.0) if trial.width == 32]
    (judged,) = judge(study, found, runs_judged={}, final=True)
    assert judged.sentence().startswith("not every width has been trained")


def test_one_seed_has_no_interval_and_decides_nothing() -> None:
    study = spec(seeds=1)
    (judged,) = judge(study, trials(study, drift=0.0), runs_judged={}, final=True)
    assert judged.verdict is TransferVerdict.INCONCLUSIVE
    assert "2 seeds" in judged.sentence()


def test_the_regret_is_what_the_rate_of_the_smallest_width_costs_the_largest() -> None:
    study = spec()
    (judged,) = judge(study, trials(study, drift=-1.0, wobble=0.0), runs_judged={}, final=True)
    assert [drift.regret for drift in judged.drifts] == [pytest.approx(4.0)]  # two octaves, squared


def test_the_loss_of_a_run_is_held_out_or_the_mean_of_its_last_steps() -> None:
    assert final_loss([3.0, 2.0], 1.5) == 1.5
    assert final_loss([9.0] * 91 + [2.0] * 10, None) == 2.0
    assert (last_steps(100), last_steps(5), last_steps(2)) == (10, 4, 3)


@pytest.mark.parametrize("losses", [[2.0, math.nan, 1.0], [2.0, math.inf], []])
def test_a_loss_that_was_not_finite_once_is_infinite(losses: list[float]) -> None:
    assert final_loss(losses, 1.0) == math.inf


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"octaves": (0.0, 1.0)}, "at least 3 octaves, got 2: an optimum is told by worse"),
        ({"octaves": (0.0, 1.0, 1.01)}, "less than 0.0625 octaves apart"),
        ({"octaves": (0.0, 1.0, 40.0)}, "the largest learning rate would be"),
        ({"widths": (64,)}, "needs several values of one of widths, depths"),
        ({"kind": "coordinate_check", "octaves": (), "widths": (64,)}, "at least 2 items"),
        ({"record": "full"}, "lr_transfer has record 'losses' always"),
        ({"batches": "fixed"}, "lr_transfer has batches 'fresh' always"),
        ({"stop_early": True}, "stop_early is for coordinate checks"),
        ({"kind": "coordinate_check"}, "octaves is for studies of kind lr_transfer"),
        ({"kind": "coordinate_check", "octaves": (), "held_out": 3}, "held_out is for studies"),
        ({"kind": "coordinate_check", "octaves": (), "record": "losses"}, "needs statistics"),
    ],
)
def test_what_cannot_answer_is_refused_with_the_reason(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**changes)


def test_a_learning_rate_study_is_written_in_one_way() -> None:
    study = spec(search="adaptive", held_out=4)
    assert StudySpec.model_validate_json(canonical_json(study)) == study
    assert (study.record, study.batches) == ("losses", "fresh")


def test_a_run_trains_with_its_octave_of_the_optimizers_rate() -> None:
    rates = {run.octave: run.learning_rate for run in plan.runs(spec())}
    assert rates == {octave: 2 ** (octave - 6) for octave in (-2.0, -1.0, 0.0, 1.0, 2.0)}
