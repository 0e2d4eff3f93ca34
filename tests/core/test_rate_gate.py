"""`muscope check` of a learning-rate study as a gate: exit code, files, and the check beside."""

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from muscope import plan, spec_file
from muscope.cli import app
from muscope.gate import Checked, Policy, annotations, junit, markdown
from muscope.gate.policy import RATE_WORDS
from muscope.spec import CheckSpec, StudySpec
from muscope.verdicts.joined.judge import join
from muscope.verdicts.transfer.judge import judge
from tests import needs
from tests.core.test_gate import assert_is_junit
from tests.core.test_joined import checked, trials
from tests.core.test_transfer import spec as sweep

RATES = """\
name: Rates
kind: lr_transfer
arms:
  - model: {name: mlp, batch_size: 16}
    optimizers: [{name: adamw, learning_rate: 4e-3}]
parametrizations: [{name: mup}]
widths: [16, 32]
depths: [1]
octaves: [-2, 0, 2]
seeds: 2
steps: 6
check: {seeds: 2, steps: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a study that checks and sweeps."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        needs.missing("torch is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "rates.yaml").write_text(RATES)
    return tmp_path


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments, "--threads", "1"])


def gated(study: StudySpec, words: str, *, drift: float) -> Checked:
    """What a build is told of a study whose optimum drifts, and whose check passes if any."""
    verdicts = [checked(study, passes=True)] if study.check else []
    alone = study.sweep or study
    swept = judge(alone, trials(study, drift=drift), runs_judged={}, final=True)
    return Checked(
        name=study.name,
        verdicts=tuple(verdicts),
        policy=Policy.of(words, known=RATE_WORDS),
        settings={},
        seconds=1.0,
        transfers=swept,
        joined=join(study, verdicts, swept),
    )


@pytest.mark.parametrize(
    ("words", "drift", "code"),
    [
        ("drifts", -0.6, 1),
        ("drifts", 0.0, 0),
        ("not_bracketed", 5.0, 1),
        ("drifts", 5.0, 0),
        ("", -0.6, 0),
        ("inconclusive,not_bracketed", -0.6, 0),
    ],
)
def test_the_words_of_fail_on_decide_the_exit_code(words: str, drift: float, code: int) -> None:
    assert gated(sweep(widths=(256, 512, 1024)), words, drift=drift).exit_code == code


def test_a_sweep_of_which_nothing_was_judged_fails_every_gate() -> None:
    study = sweep()
    nothing = judge(study, [], runs_judged={}, final=True)
    assert Policy.of("drifts", known=RATE_WORDS).fails_rate(nothing[0])
    assert not Policy.of("").fails_rate(nothing[0])


def test_what_fails_is_told_with_its_reasons_in_every_form() -> None:
    found = gated(sweep(widths=(256, 512, 1024), steps=200), "drifts", drift=-0.6)
    root = ElementTree.fromstring(junit.render(found))
    assert_is_junit(root)
    failure = root.find("testsuite/testcase[@name='learning rate']/failure")
    assert failure is not None
    assert failure.text is not None
    assert "Training is short: 200 steps" in failure.text
    assert len(root.findall("testsuite/testcase")) >= 1 + len(found.transfers[0].optima)
    summary = markdown.render(found)
    assert summary.startswith("### ❌ muscope · transfer: the optimum moves −0.60 octaves")
    assert "Training is short" in summary
    (first, *_) = annotations.lines(found)
    assert first.startswith("::error title=muscope · MLP · µP · AdamW")
    assert "the optimum moves" in first


def test_an_optimum_at_the_edge_is_skipped_unless_it_is_to_fail() -> None:
    passing = ElementTree.fromstring(junit.render(gated(sweep(), "drifts", drift=5.0)))
    assert passing.find("testsuite/testcase/skipped") is not None
    assert passing.find("testsuite/testcase/failure") is None
    failing = ElementTree.fromstring(junit.render(gated(sweep(), "not_bracketed", drift=5.0)))
    assert failing.find("testsuite/testcase/failure") is not None


def test_one_command_checks_and_sweeps_and_writes_every_file(folder: Path) -> None:
    files = ("--report", "r.html", "--csv", "l.csv", "--junit", "j.xml", "--markdown", "m.md")
    done = check("rates.yaml", *files, "--fail-on", "diverged,drifts", "--json")
    assert not isinstance(done.exception, Exception), done.exception
    found = json.loads(done.stdout)
    assert [("cells" in one, "optima" in one) for one in found["verdicts"]] == [
        (True, False),
        (False, True),
    ]
    (joined,) = found["joined"]
    assert joined["check"] == found["verdicts"][0]["verdict"]
    with Path("l.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 2  # widths, rates, seeds
    with Path("l.check.csv").open(newline="") as file:
        assert {row["width"] for row in csv.DictReader(file)} == {"16", "32"}
    report = Path("r.html").read_text()
    assert "Check and learning rate together" in report
    assert_is_junit(ElementTree.parse("j.xml").getroot())
    assert Path("m.md").read_text().startswith("### ")


def test_a_sweep_alone_has_a_report_and_a_csv_too(folder: Path) -> None:
    data = yaml.safe_load(RATES)
    del data["check"]
    (folder / "alone.yaml").write_text(yaml.safe_dump(data))
    done = check("alone.yaml", "--report", "r.html", "--csv", "l.csv", "--fail-on", "drifts")
    assert not isinstance(done.exception, Exception), done.exception
    assert Path("r.html").is_file()
    assert not Path("l.check.csv").exists()


def test_missing_data_of_a_sweep_are_told_before_anything_is_trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCOPE_DATASETS_DIR", "elsewhere")
    text = RATES.replace("batch_size: 16}", "batch_size: 16, options: {dataset: cifar10}}")
    (folder / "missing.yaml").write_text(text)
    done = check("missing.yaml")
    assert done.exit_code == 2
    assert f"{folder}/elsewhere/cifar-10-batches-bin/data_batch_1.bin" in done.stderr


def test_the_study_of_the_how_to_can_be_read_and_warns_of_little() -> None:
    page = Path(__file__).parents[2] / "docs/how-to/which-learning-rate.md"
    found = re.search(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    study = spec_file.from_yaml(found[1], "the how-to")
    assert study.check == CheckSpec(seeds=5, steps=14)
    assert [line for line in plan.plan(study).warnings if "finite-width" not in line] == []
