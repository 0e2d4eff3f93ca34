"""The published experiments: every preset can be planned, written, and run at size smoke."""

import json
import math
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from muscope import catalogue, plan, presets, spec_file
from muscope.cli import app
from muscope.presets import PRESETS, SIZES, Size, published
from muscope.reports.html import spec_yaml
from muscope.spec import StudySpec
from muscope.vocabulary import DecayForm
from tests import needs

EVERY = [(name, size) for name in PRESETS for size in SIZES]
LAPTOP_FLOPS = 2e14
"""An hour on two cores at 50 GFLOP/s; the largest preset has many optimizers."""
SMOKE_FLOPS = 1e10


def muscope(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["presets", *arguments])


def largest_model(name: str) -> int:
    """Parameters of the largest model that was published."""
    return max(plan.plan(study).largest_parameters for study in PRESETS[name].studies("paper"))


@pytest.fixture
def _torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        needs.missing("torch is not installed")


@pytest.mark.parametrize(("name", "size"), EVERY)
def test_a_preset_is_planned_and_the_same_again_from_its_yaml(name: str, size: Size) -> None:
    studies = PRESETS[name].studies(size)
    assert studies
    assert len({study.name for study in studies}) == len(studies)
    for study in studies:
        assert plan.plan(study).run_count == study.run_count
        assert spec_file.from_yaml(spec_yaml(study), "the YAML") == study


@pytest.mark.parametrize("name", PRESETS)
def test_sizes_cost_what_they_promise(name: str) -> None:
    smoke, laptop, paper = (
        sum(plan.plan(study).flops for study in PRESETS[name].studies(size)) for size in SIZES
    )
    assert smoke < SMOKE_FLOPS
    assert smoke < laptop < LAPTOP_FLOPS < paper


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_where_it_is_from_and_what_is_missing_here(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.source
    assert preset.claim.endswith(".")
    assert preset.question.endswith("?")
    assert preset.needs.startswith("a GPU")
    assert any("our choice" in note for note in preset.notes)


@pytest.mark.parametrize(
    ("name", "published_parameters"),
    [
        ("nanotron-mlp", 2e9),  # "scaling up to 2B"
        ("nanotron-llama-350m", 350e6),
        ("cerebras-gpt", 2.7e9),
        ("lingle-large-scale", 10e9),  # Table 4
    ],
)
def test_at_paper_size_the_largest_model_has_the_published_parameters(
    name: str, published_parameters: float
) -> None:
    # the sources round to one or two digits
    assert largest_model(name) == pytest.approx(published_parameters, rel=0.1)


def test_the_proxy_of_cerebras_has_40_million_parameters_and_reads_600_million_tokens() -> None:
    (study,) = PRESETS["cerebras-gpt"].studies("paper")
    proxy = study.model_copy(update={"widths": (128, 256)})
    assert plan.plan(proxy).largest_parameters == pytest.approx(40e6, rel=0.1)
    model = study.arms[0].model
    tokens = study.steps * model.batch_size * int(model.options["sequence_length"])
    assert tokens == pytest.approx(600e6, rel=1e-3)  # whole steps
    (guide,) = PRESETS["cerebras-guide"].studies("paper")
    assert guide.widths[0] == 256
    assert plan.plan(guide).largest_parameters == pytest.approx(2.7e9, rel=0.1)
    assert guide.tuning is not None
    assert (guide.tuning.method, guide.tuning.samples, guide.tuning.keep[0]) == ("random", 200, 10)
    (published_set,) = guide.variants
    assert published_set.optimizer.learning_rate == 6e-3
    assert published_set.parametrization.options["base_std"] == 0.08
    assert published_set.parametrization.options["embeddings_scale"] == 10
    assert set(guide.tuned_names(published_set)) == set(guide.tuning.ranges)


@pytest.mark.parametrize("size", SIZES)
def test_both_of_umup_are_searched_one_by_one_from_multipliers_of_one(size: Size) -> None:
    studies = PRESETS["umup"].studies(size)
    searches = {study.parametrizations[0].name: study for study in studies if study.tuning}
    assert list(searches) == ["mup", "u_mup"]
    for study in searches.values():
        assert study.tuning is not None
        assert study.tuning.method == "independent"
        (variant,) = study.variants
        names = study.tuned_names(variant)
        assert set(names) == set(study.tuning.ranges)
        assert {variant.parametrization.complete[name] for name in names} == {1.0}
    assert len(searches["u_mup"].tuned_names(searches["u_mup"].variants[0])) == 5


@pytest.mark.parametrize("size", SIZES)
def test_no_study_of_umup_has_trainable_gains_or_a_decay_that_follows_the_rate(size: Size) -> None:
    for study in PRESETS["umup"].studies(size):
        (variant,) = study.variants
        assert variant.model.options.get("norm_gains", "none") == "none"
        assert catalogue.OPTIMIZERS[variant.optimizer.name].decay is DecayForm.INDEPENDENT
        assert variant.optimizer.options["weight_decay"]


def test_deepseeks_batches_share_one_budget_around_the_published_fit() -> None:
    studies = PRESETS["deepseek"].studies("paper")
    seen = {study.arms[0].model.batch_size * study.steps for study in studies}
    assert max(seen) - min(seen) < 512  # whole steps
    rate = studies[0].arms[0].optimizers[0].learning_rate
    assert rate == pytest.approx(0.3118 * 1e17**-0.125)


def test_minicpm_has_the_published_widths_and_depths() -> None:
    wide, deep = PRESETS["minicpm"].studies("paper")
    rows = published.table("minicpm_sizes.csv")
    assert wide.widths == tuple(int(row["width"]) for row in rows)
    assert deep.depths == tuple(int(row["depth"]) for row in rows)
    assert all(int(row["head_size"]) * int(row["heads"]) == int(row["width"]) for row in rows)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("lingle-")])
def test_every_ablation_has_the_rates_of_its_published_row(name: str) -> None:
    preset = PRESETS[name]
    (study,) = preset.studies("paper")
    assert preset.published is not None
    losses = published.losses(preset.published, preset.row)
    assert study.widths == tuple(losses)
    base = math.log2(study.arms[0].optimizers[0].learning_rate)
    assert [base + octave for octave in study.octaves] == sorted(losses[128])


def test_a_study_remembers_its_preset_and_its_runs_do_not_depend_on_it() -> None:
    (study,) = PRESETS["lingle-baseline"].studies("laptop")
    assert study.preset == "lingle-baseline"
    nameless = study.model_copy(update={"preset": None})
    assert "preset" not in nameless.model_dump()
    assert list(plan.runs(study)) == list(plan.runs(nameless))


def test_the_demo_of_transfer_trains_sp_and_mup_from_one_model_at_the_base_width() -> None:
    (study,) = PRESETS["transfer-demo"].studies("laptop")
    rates = [math.log2(study.arms[0].optimizers[0].learning_rate) + x for x in study.octaves]
    assert rates == list(range(-11, -3))
    assert (study.widths, study.base_width) == ((32, 64, 128, 256), 32)
    sp, mup = study.parametrizations
    assert (sp.name, mup.name, mup.zero_readout) == ("sp", "mup", False)


def test_every_row_of_the_published_tables_has_a_preset() -> None:
    rows = {row["ablation"] for row in published.table("lingle_tables.csv")}
    assert {preset.row for preset in PRESETS.values() if preset.row} == rows


def test_an_ablation_changes_one_thing() -> None:
    (baseline,) = PRESETS["lingle-baseline"].studies("laptop")
    (gains,) = PRESETS["lingle-vector-gains"].studies("laptop")
    changed = {**gains.arms[0].model.options}
    assert changed.pop("norm_gains") == "vector"
    assert changed == baseline.arms[0].model.options
    assert gains.arms[0].optimizers == baseline.arms[0].optimizers
    assert gains.parametrizations == baseline.parametrizations


@pytest.mark.usefixtures("_torch")
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_at_size_smoke(name: str) -> None:
    done = muscope("run", name, "--json", "--threads", "1")
    assert done.exit_code == 0, done.output
    answers = json.loads(done.stdout)["studies"]
    assert len(answers) == len(PRESETS[name].studies("smoke"))
    for answer in answers:
        study = StudySpec.model_validate_json(json.dumps(answer["study"]))
        judged = {verdict["variant"]: verdict["runs_judged"] for verdict in answer["verdicts"]}
        each = study.run_count // len(study.variants)
        one_by_one = study.tuning is not None and study.tuning.method == "independent"
        # the best of each together may be a set that was tried
        fewest = each - study.seeds if one_by_one else each
        assert list(judged) == [variant.key for variant in study.variants]
        assert all(fewest <= runs <= each for runs in judged.values())


@pytest.mark.usefixtures("_torch")
def test_a_run_prints_verdicts_beside_what_was_published(tmp_path: Path) -> None:
    done = muscope("run", "lingle-baseline", "--threads", "1", "--report", str(tmp_path / "new"))
    assert done.exit_code == 0, done.output
    assert "Lingle's µP" in done.stdout
    assert "published: Baseline muP" in done.stdout
    assert "time: less than 1 s here" in done.stderr
    assert "width 32 depth 1 steps 4 · 3 runs · done · all trained" in done.stderr
    assert PRESETS["lingle-baseline"].claim in done.stdout
    report = (tmp_path / "new" / "lingle-baseline-smoke-1.html").read_text()
    assert "Best learning rate" in report
    assert "What the source printed" in report


def test_what_show_prints_is_a_study_that_can_be_submitted(tmp_path: Path) -> None:
    shown = muscope("show", "complete-p", "--size", "paper", "--study", "2")
    assert shown.exit_code == 0, shown.output
    assert "# claim: " in shown.stdout
    assert "168 runs" in shown.stdout
    file = tmp_path / "study.yaml"
    file.write_text(shown.stdout)
    assert spec_file.read(file) == presets.preset("complete-p").studies("paper")[1]


@pytest.mark.usefixtures("_torch")
def test_the_list_has_every_preset_and_how_long_it_takes_here() -> None:
    listed = json.loads(muscope("list", "--json").stdout)
    assert [one["name"] for one in listed] == list(PRESETS)
    assert all(one["laptop_seconds"] > 0 for one in listed)
    printed = muscope("list").stdout
    assert all(name in printed for name in PRESETS)
    assert "laptop takes" in printed


def test_what_is_not_there_is_refused_in_a_sentence() -> None:
    unknown = muscope("run", "lingle")
    assert unknown.exit_code == 2
    assert "unknown preset 'lingle'; allowed: transfer-demo, sp-to-mup-staircase" in unknown.stderr
    study = muscope("show", "lingle-sp", "--study", "2")
    assert study.exit_code == 2
    assert "has no study 2 at size laptop" in study.stderr
    assert muscope("run", "lingle-sp", "--size", "paper").exit_code == 2
