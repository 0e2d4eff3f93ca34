"""Checks as tests: what an assertion says, the fixtures, and what the plugin costs unused."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from muscope import testing
from muscope.check_result import CheckResult
from muscope.gate import Policy
from muscope.gate.policy import SURE
from tests.core import verdicts
from tests.core.verdicts import cell
from tests.lab.test_api import CLASSES, PIXELS, WIDTHS, batch, check, sp

SMALL: dict[str, Any] = {"widths": WIDTHS, "batch": batch, "seeds": 3, "steps": 1}


def keeps(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Constant inputs to every layer and a rate of nearly zero per step: nothing can grow."""
    m = width / WIDTHS[0]
    model = nn.Sequential(nn.Linear(PIXELS, width), nn.Linear(width, CLASSES))
    nn.init.constant_(model.get_parameter("1.weight"), 0.1 / m)
    nn.init.zeros_(model.get_parameter("1.bias"))
    nn.init.constant_(model.get_parameter("0.weight"), 0.1)
    nn.init.zeros_(model.get_parameter("0.bias"))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def test_growth_is_an_assertion_error_that_says_which_tensor_and_how_sure() -> None:
    with pytest.raises(AssertionError) as failed:
        testing.assert_width_stable(sp, **SMALL)
    headline, grid, first, *rest = str(failed.value).splitlines()
    assert headline.startswith("sp · its own Adam is not width-stable: grows in ")
    assert grid == "  widths 32, 64, 128 · 3 seeds · 9 of 9 runs"
    assert "grows: " in first
    assert "slope +" in first
    assert " at 90 %" in first
    assert any(line.startswith("  flat: ") for line in rest)
    assert len(str(failed.value).splitlines()) < 20


@pytest.fixture(scope="module")
def result() -> CheckResult:
    return check()


def said(result: CheckResult, judged: Any, words: tuple[str, ...] = SURE) -> str:
    made = CheckResult(result.prepared, result.arrivals, judged, 1.0)
    return testing.message(made, Policy.of(words))


def test_the_first_suspect_comes_with_its_evidence_and_its_fix(result: CheckResult) -> None:
    judged = verdicts.verdict(cell("hidden", 0.9), diagnosis=verdicts.suspicion())
    text = said(result, judged)
    assert "first suspect: hidden learning rate not scaled: the change of hidden grows as" in text
    assert "fix: hidden: learning rate ∕ m" in text
    assert "to tell it from wrong base width: two more widths" in text


def test_inconclusive_is_a_failure_of_its_own_that_says_what_would_help(
    result: CheckResult,
) -> None:
    judged = verdicts.verdict(cell("input", 0.0), cell("hidden", 0.05, 0.3))
    text = said(result, judged)
    assert "was not shown to be width-stable: inconclusive in 1 of 2 tensors" in text
    assert "power: a slope below 0.40 cannot be told from flat here: add seeds or widths" in text
    assert "flat: input" in text
    made = CheckResult(result.prepared, result.arrivals, judged, 1.0)
    testing.assert_passed(made, allow_inconclusive=True)
    with pytest.raises(AssertionError):
        testing.assert_passed(made)


def test_a_size_that_could_not_be_judged_is_a_failure() -> None:
    def build(width: int) -> object:
        if width == WIDTHS[-1]:
            raise RuntimeError("not this one")
        return keeps(width)

    with pytest.raises(AssertionError, match="not judged: build raised at width 128: RuntimeError"):
        testing.assert_width_stable(build, allow_inconclusive=True, **SMALL)


TESTS = """
import sys
HEAVY = {"torch", "numpy", "scipy", "pydantic", "rich", "plotly"}
loaded = HEAVY & set(sys.modules)

def test_nothing_heavy_was_loaded_to_collect_this():
    assert loaded == set()

def test_fails(width_stable):
    from tests.lab.test_api import batch, sp
    width_stable(sp, batch=batch, widths=(32, 64, 128), seeds=3, steps=1)

def test_passes(coordinate_check):
    from tests.lab.test_api import batch, sp
    result = coordinate_check(sp, batch=batch, widths=(32, 64), seeds=2, steps=1)
    assert result.passed(fail_on="diverged")
"""
ROOT = Path(__file__).resolve().parents[2]


def run_pytest(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null")
    # an environment that was made before the plugin does not have its entry point
    plugin = "" if _is_registered() else "-p"
    named = (plugin, "muscope.pytest_plugin") if plugin else ()
    return subprocess.run(
        [*program, f"--rootdir={folder}", *named, *arguments, "-o", f"pythonpath={ROOT}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def _is_registered() -> bool:
    from importlib.metadata import entry_points

    return any(e.value == "muscope.pytest_plugin" for e in entry_points(group="pytest11"))


def test_the_fixtures_check_and_keep_reports_and_cost_nothing_unused(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    example = str(ROOT / "examples" / "gate" / "test_my_gpt.py")
    kept_in = ("--muscope-report", "reports", "--junit-xml=junit.xml")
    done = run_pytest(tmp_path, "test_mine.py", example, "-k", "mine or gpt_2", *kept_in)
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert "AssertionError: sp · its own Adam is not width-stable: grows in" in done.stdout
    assert "pytest_plugin.py" not in done.stdout  # the traceback ends in the user's own test
    names = {path.name for path in (tmp_path / "reports").iterdir()}
    assert names > {
        f"test_mine.py-{test}.{kind}"
        for test in ("test_fails", "test_passes")
        for kind in ("html", "json")
    }
    cases = ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    kept = [p.get("value") for case in cases for p in case.iter("property")]
    assert any(value and value.startswith("grows in ") for value in kept)


def test_the_plugin_is_registered_by_the_package() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"muscope": "muscope.pytest_plugin"}
