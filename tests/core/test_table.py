"""The terminal's verdict table: readable in 100 columns, without colour, and complete."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from muscope.presets.demo import demo
from muscope.records import Values
from muscope.reports.verdict_table import verdict_table
from muscope.verdicts.diagnosis.types import Diagnosis, Suspect
from muscope.verdicts.judge import judge
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import TensorKind
from tests.core import verdicts as written
from tests.core.grids import judged, samples, study


def printed(verdicts: tuple[VariantVerdict, ...], width: int = 100) -> str:
    file = io.StringIO()
    Console(file=file, width=width, no_color=True).print(verdict_table(verdicts))
    return file.getvalue()


def demo_verdicts() -> tuple[VariantVerdict, ...]:
    spec = demo()
    runs = {variant.key: 20 for variant in spec.variants}

    def sp_grows(width: int, parametrization: str) -> float:
        return float(width) if parametrization == "sp" else 1.0

    measured = samples(
        spec, lambda run, a, t: sp_grows(run.width, run.variant.parametrization.name)
    )
    return judge(spec, measured, runs_judged=runs, final=True)


def test_every_tensor_slope_and_verdict_is_there_in_100_columns_without_colour() -> None:
    text = printed(demo_verdicts())
    assert "\x1b" not in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("blocks.1.attn.logits") == 2
    assert "GPT · SP · AdamW 0.003   ↗ grows in 18 of 18 tensors" in text
    assert "GPT · µP · AdamW 0.003   → flat in all 18 tensors" in text
    assert "+1.00↗" in text


def test_the_summary_comes_last_with_one_entry_per_variant() -> None:
    summary = printed(demo_verdicts()).rpartition("────")[2]
    for variant in demo().variants:
        assert summary.count(variant.label) == 1


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_any_terminal_gets_a_table_that_fits(width: int) -> None:
    text = printed(demo_verdicts(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "step 4" in text


def test_excused_slopes_are_marked_and_explained() -> None:
    spec = study(zero_readout=True)

    def shrinking_readout(width: int, tensor: str, step: int) -> float:
        if tensor != "readout":
            return 1.0
        return float(width**-0.15) if step else 0.0

    text = printed(
        (judged(spec, samples(spec, lambda r, a, t: shrinking_readout(r.width, a.name, t))),)
    )
    assert "−0.15*" in text
    assert "* legal: a µP readout aligns slowly" in text
    assert "flat in all 3 tensors" in text


def test_an_inconclusive_verdict_says_what_to_add() -> None:
    spec = study(parametrization="sp")
    noise = (1.0, 1.5, 0.7, 1.2, 0.9)
    measured = samples(spec, lambda run, a, t: noise[(run.seed + run.width // 64) % 5])
    text = printed((judged(spec, measured),))
    assert "cannot be told from flat here: " in (said := " ".join(text.split()))
    assert "seeds in all would decide" in said


def test_contributions_of_weights_have_a_table_of_their_own() -> None:
    spec = study().model_copy(update={"record": "full"})
    measured = samples(spec, lambda run, activation, step: 1.0)
    weights = [
        replace(s, kind=TensorKind.WEIGHT, values=Values(l1=1.0, contribution=float(s.width)))
        for s in measured
        if s.step
    ]
    text = printed((judged(spec, measured + weights),))
    assert text.count("hidden.0") == 2
    assert "contr." in text
    assert "worst: contribution of weight input at step 1, slope +1.00" in " ".join(text.split())


def test_nothing_measured_is_said_and_not_an_error() -> None:
    assert "nothing measured yet" in printed(judge(demo(), (), runs_judged={}, final=False))


def test_the_summary_says_what_is_probably_wrong_and_what_to_mend() -> None:
    def suspect(title: str, score: float) -> Suspect:
        return Suspect(
            fault=title, title=title, score=score, evidence=("fc2 grows",), fix=f"mend {title}",
            visible_in="slopes",
        )  # fmt: skip

    found = Diagnosis(
        suspects=(suspect("the rate", 0.8), suspect("the std", 0.195), suspect("luck", 0.005)),
        separates="the change of fc2",
    )
    text = printed((written.verdict(written.cell("fc2", 0.5), diagnosis=found),))
    for line in (
        "probably (80 %): the rate", "fix: mend the rate", "evidence: fc2 grows",
        "or (20 %): the std; fix: mend the std", "to tell the first two apart: the change of fc2",
    ):  # fmt: skip
        assert line in text
    assert "luck" not in text
