"""A study grows: more seeds and places, nothing dropped, nothing changed, and what is advised."""

import pytest
from pydantic import ValidationError

from muscope import extension, plan
from muscope.extension import Addition, NotGrown, grown
from muscope.spec import CheckSpec, RunSpec, StudySpec, digest
from muscope.verdicts.transfer.types import RateCell, TransferJudgement, WidthOptimum
from muscope.verdicts.types import Addition as Advice
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, TransferVerdict
from tests.core.test_transfer_axes import study as axes_study
from tests.storage.test_staging import transfer_spec
from tests.storage.world import small_spec

OLD = small_spec()


def verdict(word: CellVerdict, advice: Advice | None) -> VariantVerdict:
    return VariantVerdict(
        variant="v", label="v", verdict=word, final=True, runs_judged=1, runs_planned=1,
        addition=advice, tensors=(), cells=(),
    )  # fmt: skip


def rates(word: TransferVerdict, best: float, grid: tuple[float, ...]) -> TransferJudgement:
    """A judgement on one width whose best rate is the one named."""
    cells = tuple(RateCell(octave=one, loss=1.0, seeds=2, diverged=0) for one in grid)
    optimum = None if best in (grid[0], grid[-1]) else best
    one = WidthOptimum(
        width=8, depth=2, cells=cells, best=best, optimum=optimum, low=None, high=None, seeds=2
    )
    return TransferJudgement(
        variant="v", label="v", learning_rate=0.01, verdict=word, final=True, runs_judged=1,
        runs_planned=1, optima=(one,), drifts=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "addition",
    [
        Addition(seeds=5),
        Addition(widths=(4, 32)),
        Addition(depths=(4,)),
        Addition(seeds=3, widths=(32,), depths=(1, 8)),
    ],
)
def test_what_was_there_keeps_its_digest(addition: Addition) -> None:
    """Also where a smaller width or depth is added: the base stays where it was."""

    def digests(spec: StudySpec) -> set[str]:
        return {digest(run) for run in plan.runs(spec)}

    assert digests(OLD) < digests(grown(OLD, "abc", addition))


def test_a_plan_without_what_is_known_is_the_cost_of_the_rest() -> None:
    whole = plan.plan(grown(OLD, "abc", Addition(widths=(32,))))
    left = plan.without(whole, {digest(run) for run in plan.runs(OLD)})
    new: list[RunSpec] = [run for one in left.bundles for run in one.runs]
    assert {run.width for run in new} == {32}
    assert (left.run_count, left.reused) == (4, OLD.run_count)
    assert left.measurement_rows == sum(map(plan.rows, new))
    assert left.flops == pytest.approx(whole.flops - plan.plan(OLD).flops)
    nothing = plan.without(whole, {digest(run) for one in whole.bundles for run in one.runs})
    assert (nothing.run_count, nothing.flops, nothing.bundles) == (0, 0, ())


def test_the_words_say_what_is_added() -> None:
    spec = transfer_spec()
    new = grown(spec, "abc", Addition(seeds=3, widths=(32, 64), octaves=(4.5,)))
    assert extension.words(spec, new) == "1 seed, widths 32, 64 and octave 4.5"
    assert extension.changed(spec, new) == ("seeds", "widths", "octaves")


def test_an_extension_of_an_extension_has_no_longer_name() -> None:
    once = grown(OLD, "abc", Addition(seeds=3))
    twice = grown(once, "def", Addition(seeds=4))
    assert (once.name, twice.name, twice.extends) == ("small, extended", "small, extended", "def")
    assert len(extension.extended_name("µ" * 120)) == 120


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"widths": (8, 32)}, "widths"),
        ({"seeds": 1}, "seeds"),
        ({"steps": 3, "seeds": 3}, "steps"),
        ({"parametrizations": OLD.parametrizations[:1], "seeds": 3}, "parametrizations"),
        ({"stop_early": True, "seeds": 3}, "stop_early"),
        ({"batch_sizes": (8, 16)}, "batch_sizes"),
        ({}, ""),
    ],
)
def test_only_growing_is_an_extension(change: dict[str, object], path: str) -> None:
    with pytest.raises(NotGrown) as caught:
        extension.check(OLD, OLD.model_copy(update=change))
    assert caught.value.path == path


def test_a_grid_that_no_study_may_have_is_no_extension() -> None:
    with pytest.raises(ValidationError, match=r"less than 0\.0625 octaves apart"):
        grown(transfer_spec(), "abc", Addition(octaves=(0.01,)))


def test_the_most_that_any_open_variant_needs_is_advised() -> None:
    judged = [
        verdict(CellVerdict.INCONCLUSIVE, Advice(seeds=4)),
        verdict(CellVerdict.INCONCLUSIVE, Advice(seeds=3, widths=(16, 32))),
        verdict(CellVerdict.FLAT, Advice(seeds=64)),  # decided, so it needs nothing
    ]
    assert extension.recommended(OLD, judged) == Addition(seeds=4, widths=(32,))
    assert extension.recommended(OLD, judged[2:]) is None


def test_rates_are_advised_beyond_the_best_one() -> None:
    spec, grid = transfer_spec(), transfer_spec().octaves
    for best, beyond in ((grid[0], (-4.0, -3.5)), (grid[-1], (3.5, 4.0))):
        judged = rates(TransferVerdict.NOT_BRACKETED, best, grid)
        assert extension.recommended(spec, [judged]) == Addition(octaves=beyond)
    open_drift = rates(TransferVerdict.INCONCLUSIVE, grid[4], grid)
    assert extension.recommended(spec, [open_drift]) == Addition(seeds=2 * spec.seeds)
    assert extension.recommended(spec, [rates(TransferVerdict.TRANSFERS, grid[4], grid)]) is None


def test_a_sweep_may_get_a_check_and_the_check_more_seeds() -> None:
    old = transfer_spec()
    checked = grown(old, "4kq2vw7x5a", Addition(check_seeds=3))
    assert checked.check == CheckSpec(seeds=3, steps=4)
    assert extension.words(old, checked) == "a coordinate check of 3 seeds"
    more = grown(checked, "5kq2vw7x5a", Addition(check_seeds=5))
    assert extension.words(checked, more) == "2 seeds of the check"
    for before, after in ((old, checked), (checked, more)):
        kept = {digest(run) for run in plan.runs(before)}
        assert kept < {digest(run) for run in plan.runs(after)}


@pytest.mark.parametrize("check", [None, CheckSpec(seeds=2, steps=4), CheckSpec(seeds=9, steps=8)])
def test_an_extension_keeps_the_check_that_there_was(check: CheckSpec | None) -> None:
    old = transfer_spec().model_copy(update={"check": CheckSpec(seeds=3, steps=4)})
    new = old.model_copy(update={"check": check, "seeds": old.seeds + 1})
    with pytest.raises(NotGrown, match="has a check of 3 seeds and 4 steps"):
        extension.check(old, new)


def test_an_open_check_beside_a_sweep_asks_for_seeds_of_its_own() -> None:
    spec = transfer_spec().model_copy(update={"check": CheckSpec(seeds=3, steps=4)})
    open_check = verdict(CellVerdict.INCONCLUSIVE, Advice(seeds=6, widths=(1024,)))
    assert extension.recommended(spec, [open_check]) == Addition(check_seeds=6)


def test_more_steps_and_longer_sequences_are_added_and_what_was_trained_is_reused() -> None:
    steps, lengths = axes_study(Axis.STEPS), axes_study(Axis.SEQUENCE)
    for spec, addition, words in (
        (steps, Addition(step_counts=(800,)), "step count 800"),
        (lengths, Addition(sequence_lengths=(128, 256)), "sequence lengths 128, 256"),
    ):
        new = grown(spec, "abc", addition)
        old_runs, new_runs = set(map(digest, plan.runs(spec))), set(map(digest, plan.runs(new)))
        assert old_runs < new_runs
        assert extension.words(spec, new) == words
    assert grown(steps, "abc", Addition(step_counts=(800,))).steps == 800
    with pytest.raises(NotGrown, match="at its own number of steps, an extension too"):
        grown(lengths, "abc", Addition(step_counts=(10, 20)))
