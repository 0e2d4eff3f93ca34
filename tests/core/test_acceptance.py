"""The exit rule of the demo: each of its clauses can refuse, and nothing else does."""

from collections.abc import Callable

from muscope import plan
from muscope.catalogue import ActivationEntry
from muscope.presets.demo import demo
from muscope.records import Sample
from muscope.spec import RunSpec
from muscope.verdicts.acceptance import complaints
from muscope.verdicts.judge import judge
from tests.core.grids import samples, with_values

SPEC = demo()
RUNS = {variant.key: 20 for variant in SPEC.variants}
Exponent = Callable[[RunSpec, ActivationEntry, int], float]


def measured(exponent: Exponent) -> list[Sample]:
    return samples(SPEC, lambda run, a, step: float(run.width ** exponent(run, a, step)))


def is_mup(run: RunSpec) -> bool:
    return run.variant.parametrization.name == "mup"


def healthy(run: RunSpec, activation: ActivationEntry, step: int) -> float:
    return 0.0 if is_mup(run) or step == 0 else 0.9


def heard(exponent: Exponent, runs: dict[str, int] = RUNS) -> list[str]:
    return complaints(SPEC, judge(SPEC, measured(exponent), runs_judged=runs, final=True))


def test_sp_that_grows_and_mup_that_does_not_are_accepted() -> None:
    assert heard(healthy) == []


def test_one_growing_size_of_mup_is_named() -> None:
    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        odd = is_mup(run) and activation.name == "blocks.1.attn.v" and step == 3
        return 0.3 if odd else healthy(run, activation, step)

    (complaint,) = heard(law)
    assert "blocks.1.attn.v" in complaint
    assert "grows at step 3" in complaint
    assert "+0.30" in complaint


def test_a_readout_of_mup_that_shrinks_legally_is_accepted() -> None:
    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        adamw = run.variant.optimizer.name == "adamw"
        legal = is_mup(run) and adamw and activation.name == "readout" and step
        return -0.15 if legal else healthy(run, activation, step)

    assert heard(law) == []


def test_too_many_cells_that_are_not_flat_are_counted() -> None:
    widths = {64: 1.0, 128: 3.0, 256: 1 / 3, 512: 1.0}  # no slope, but a wide interval over seeds

    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        noise = widths[run.width] ** (run.seed - 2)
        return noise if is_mup(run) else float(run.width ** healthy(run, activation, step))

    verdicts = judge(SPEC, samples(SPEC, law), runs_judged=RUNS, final=True)
    assert any("l1 cells are flat" in complaint for complaint in complaints(SPEC, verdicts))


def test_a_tensor_of_sp_that_never_grows_is_named() -> None:
    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        return 0.0 if activation.name == "blocks.0.residual" else healthy(run, activation, step)

    (complaint,) = heard(law)
    assert "blocks.0.residual" in complaint


def test_missing_runs_and_missing_variants_are_named() -> None:
    missing = heard(healthy, runs={**RUNS, SPEC.variants[0].key: 19})
    assert missing == ["GPT · SP · AdamW 0.003: only 19 of 20 runs could be judged."]
    nothing = complaints(SPEC, judge(SPEC, (), runs_judged={}, final=False))
    assert len(nothing) == len(SPEC.variants)


def test_the_demo_is_the_one_that_the_front_page_promises() -> None:
    planned = plan.plan(SPEC)
    assert (SPEC.widths, SPEC.seeds, SPEC.steps) == ((64, 128, 256, 512), 5, 4)
    assert [variant.label for variant in SPEC.variants] == [
        "GPT · SP · AdamW 0.003",
        "GPT · µP · AdamW 0.003",
        "MLP · SP · AdamW 0.003",
        "MLP · µP · AdamW 0.003",
        "MLP · SP · SGD 0.1",
        "MLP · µP · SGD 0.1",
    ]
    assert planned.run_count == 120
    assert planned.warnings == ()


def test_what_the_badge_of_mup_says_the_exit_rule_says_too() -> None:
    """The embedding's learning rate over m: every size is flat, its change shrinks."""
    shrunk = [
        with_values(s, change=s.values.change / s.width)
        if s.values.change is not None and s.tensor == "embedding" and "-mup-" in s.variant
        else s
        for s in measured(healthy)
    ]
    verdicts = judge(SPEC, shrunk, runs_judged=RUNS, final=True)
    (complaint,) = complaints(SPEC, verdicts)
    assert "change of embedding" in complaint
