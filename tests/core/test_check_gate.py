"""`muscope check` as a gate: files for a build, baselines, annotations, and published cases."""

import json
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from muscope.cli import app
from tests import needs
from tests.core.test_check import SMALL as STUDY
from tests.core.test_gate import assert_is_junit
from tests.core.test_own_checking import MODEL, SMALL

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TINY = ("--widths", "16,32,64", "--seeds", "3", "--steps", "1", "--threads", "1")


@pytest.fixture(autouse=True)
def _torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        needs.missing("torch is not installed")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a study and a model of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "small.yaml").write_text(STUDY)
    write_model(tmp_path)
    return tmp_path


def write_model(folder: Path, line: str = "", rate: str = "3e-3") -> None:
    optimizer = f"Adam(model.parameters(), {rate})"
    (folder / "model.py").write_text(MODEL.format(line=line, optimizer=optimizer))


def check(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], env={"COLUMNS": "100", **environment})


@pytest.mark.parametrize("target", [("small.yaml",), ("model.py", *TINY)])
def test_a_gate_writes_the_same_files_for_a_study_and_for_ones_own_model(
    folder: Path, target: tuple[str, ...]
) -> None:
    files = ("--junit", "junit.xml", "--markdown", "summary.md", "--write-baseline", "base.json")
    done = check(*target, *files, "--fail-on", "grows,diverged")
    assert done.exit_code == 1, done.output
    root = ElementTree.parse("junit.xml").getroot()
    assert_is_junit(root)
    assert int(root.get("failures", "")) > 0
    assert sum(float(case.get("time", "")) for case in root.iter("testcase")) > 0
    summary = Path("summary.md").read_text()
    assert summary.startswith("### ❌ muscope · ")
    assert "<details>" in summary
    kept = json.loads(Path("base.json").read_text())
    assert kept["variants"][0]["slopes"][0].keys() >= {"slope", "low", "high", "step", "tensor"}
    again = check(*target, "--baseline", "base.json")
    assert again.exit_code == 0, again.output
    assert "no worse than the baseline" in again.stderr


def test_worse_than_the_baseline_is_exit_code_3_and_names_the_tensor(folder: Path) -> None:
    rule = ("--parametrize", "mup", "--optimizer", "adamw")
    assert check("model.py", *TINY, *rule, "--write-baseline", "base.json").exit_code == 0
    # what a rule starts from is its own, so the fault is in the forward
    write_model(folder, "model.register_forward_pre_hook(lambda m, x: (x[0] * width / 16,))")
    done = check("model.py", *TINY, *rule, "--baseline", "base.json", "--junit", "junit.xml")
    assert done.exit_code == 3, done.output
    assert "worse than the baseline in" in done.stderr
    slopes = r"[−+]?\d\.\d\d \[.*\]"
    assert re.search(rf"size of 0 at step 0: {slopes} → {slopes}, p [<=] 0\.0", done.stderr)
    failure = ElementTree.parse("junit.xml").find("testsuite/testcase[@name='baseline']/failure")
    assert failure is not None


def test_a_baseline_of_other_settings_is_refused_before_the_training(folder: Path) -> None:
    assert check("model.py", *TINY, "--write-baseline", "base.json").exit_code == 0
    more = (*TINY[:1], "16,32,64,128", *TINY[2:])
    done = check("model.py", *more, "--baseline", "base.json")
    assert done.exit_code == 2
    assert "widths: 16, 32, 64 → 16, 32, 64, 128" in done.stderr
    assert "training" not in done.stderr
    seeds = ("--widths", "16,32,64", "--seeds", "4", "--steps", "1")
    done = check("model.py", *seeds, "--baseline", "base.json")
    assert done.exit_code == 0, done.output
    assert "differs: seeds: 3 → 4" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--baseline", "none.json"], "there is no baseline none.json; make one with"),
        (["--baseline", "model.py"], "model.py is no baseline of this version"),
        (["--junit", "missing/junit.xml"], "missing/junit.xml cannot be written"),
        (["--write-baseline", "."], "cannot be written"),
        (["--junit", "model.py"], "model.py is what is checked"),
        (["--report", "a.txt", "--junit", "./a.txt"], "a.txt is named for two things"),
        (["--fail-on", " ,"], "--fail-on names no verdict"),
        (["--junit", "/dev/full"], "the JUnit /dev/full could not be written: No space left"),
        (["--fault", "learning_rate_unscaled"], "--fault breaks the rules of a study"),
        (["--stop-early"], "--stop-early is for studies"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(
    folder: Path, arguments: list[str], sentence: str
) -> None:
    done = check("model.py", *TINY, *arguments)
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("slope", ["NaN", None])
def test_a_baseline_that_compares_nothing_is_no_pass(folder: Path, slope: str | None) -> None:
    assert check("model.py", *TINY, "--write-baseline", "base.json").exit_code == 0
    kept = json.loads(Path("base.json").read_text())
    (variant,) = kept["variants"]
    variant["slopes"] = [{**one, "slope": float("nan")} for one in variant["slopes"] if slope]
    Path("base.json").write_text(json.dumps(kept))
    done = check("model.py", *TINY, "--baseline", "base.json")
    assert done.exit_code == 2, done.output
    said = "no baseline of this version" if slope else "no slope that could be compared"
    assert said in done.stderr


def test_a_model_that_ends_the_process_is_a_sentence_and_no_pass(folder: Path) -> None:
    write_model(folder, "import os; os._exit(0)")
    done = check("model.py", *TINY, "--fail-on", "grows", "--traceback")
    assert done.exit_code == 2
    assert "build raised at width 16: it ended the program (exit 0)" in done.stderr
    assert "SystemExit: 0" in done.stderr
    (folder / "at_import.py").write_text("import os\nos._exit(0)\n")
    assert check("at_import.py", *TINY).exit_code == 2


def test_what_could_not_be_judged_is_an_error_in_the_files_too(folder: Path) -> None:
    write_model(folder, "raise RuntimeError('broken <today>')")
    done = check("model.py", *TINY, "--junit", "junit.xml", "--markdown", "summary.md")
    assert done.exit_code == 2
    root = ElementTree.parse("junit.xml").getroot()
    assert_is_junit(root)
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert "RuntimeError: broken <today>" in error.get("message", "")
    assert "could not be judged: build raised at width 16" in Path("summary.md").read_text()


def test_a_model_in_a_file_of_another_name_is_compared_all_the_same(folder: Path) -> None:
    assert check("model.py", *TINY, "--write-baseline", "base.json").exit_code == 0
    (folder / "model.py").rename(folder / "renamed.py")
    kept = json.loads(Path("base.json").read_text())
    kept["settings"]["target"] = "\x1b[2Jmodel.py"
    Path("base.json").write_text(json.dumps(kept))
    done = check("renamed.py", *TINY, "--baseline", "base.json")
    assert done.exit_code == 0, done.output
    assert "[2Jmodel.py → renamed.py" in done.stderr
    assert "\x1b" not in done.stderr, "what would steer the terminal"


def test_on_github_failures_are_annotations_at_the_function(folder: Path) -> None:
    done = check(
        "model.py",
        *TINY,
        "--fail-on",
        "grows",
        "--markdown",
        "summary.md",
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY="summary.md",
    )
    assert done.exit_code == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("::error ")]
    assert lines
    assert lines[0].startswith("::error file=model.py,line=4,title=muscope · model.py · its own")


def test_a_fault_can_be_planted_in_a_study(folder: Path) -> None:
    done = check("small.yaml", "--fault", "nothing_like_it")
    assert done.exit_code == 2
    assert "unknown fault 'nothing_like_it'; --fault knows " in done.stderr
    name = done.stderr.rpartition("--fault knows ")[2].split(",")[0].strip()
    done = check("small.yaml", "--fault", name, "--json")
    assert done.exit_code == 0, done.output
    labels = [verdict["label"] for verdict in json.loads(done.stdout)["verdicts"]]
    assert all("broken: " in label for label in labels)


def test_the_recipe_of_gpt_2_fails_as_the_facts_say() -> None:
    """Facts 5.2: with one std logits and residual stream grow from step 0 on."""
    target = f"{EXAMPLES}/gate/my_gpt.py:build_gpt2"
    small = ("--widths", "64,128,256", "--seeds", "3", "--steps", "1", "--threads", "1")
    done = check(target, *small, "--fail-on", "grows", "--json")
    assert done.exit_code == 1, done.output
    (verdict,) = json.loads(done.stdout)["verdicts"]
    grows = {tensor["tensor"] for tensor in verdict["tensors"] if tensor["verdict"] == "grows"}
    assert {"blocks.0.attention.out", "blocks.1", "loss input"} <= grows


NANOTRON = """\
name: nanotron's rule under AdamW
arms:
  - model: {name: gpt, batch_size: 8}
    optimizers: [{name: adamw, learning_rate: 3e-3}]
parametrizations: [{name: nanotron}]
widths: [64, 128, 256]
depths: [2]
seeds: 3
steps: 1
"""


def test_the_rule_of_nanotron_fails_under_adamw(folder: Path) -> None:
    """Facts 2: its learning rates are those of SGD."""
    (folder / "nanotron.yaml").write_text(NANOTRON)
    done = check("nanotron.yaml", "--fail-on", "grows", "--junit", "junit.xml")
    assert done.exit_code == 1, done.output
    assert_is_junit(ElementTree.parse("junit.xml").getroot())


def test_the_mlp_of_mup_s_own_example_passes() -> None:
    needs.package("mup", "pip install --no-deps mup==1.0.0")
    done = check(f"{EXAMPLES}/mup_model/my_model.py", *SMALL, "--fail-on", "grows,shrinks,diverged")
    assert done.exit_code == 0, done.output


def yaml_of_the_how_to() -> dict[str, dict[str, Any]]:
    """The builds of the how-to by the word before them."""
    text = (ROOT / "docs" / "how-to" / "check-in-ci.md").read_text()
    found = re.findall(r"^## (GitHub Actions|GitLab)$.*?```yaml\n(.*?)```", text, re.M | re.S)
    return {name: yaml.safe_load(written) for name, written in found}


def commands(build: dict[str, Any]) -> list[str]:
    """Every line of the build that a shell runs."""
    if "jobs" in build:
        steps = [step for job in build["jobs"].values() for step in job["steps"]]
        lines = [step["run"] for step in steps if "run" in step]
    else:
        jobs = [job for job in build.values() if isinstance(job, dict) and "script" in job]
        lines = [line for job in jobs for line in job["script"]]
    return [line for text in lines for line in text.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("name", ["GitHub Actions", "GitLab"])
def test_the_builds_of_the_how_to_run_as_they_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With a smaller grid: the options and files are those of the page."""
    (line,) = [c for c in commands(yaml_of_the_how_to()[name]) if c.startswith("muscope check")]
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    words = shlex.split(line.replace("$GITHUB_STEP_SUMMARY", "summary.md"))
    assert words[2] == "my_model.py:build"
    given = [word for word in words[3:] if word != "64,128,256"]
    given.remove("--widths")
    done = check("model.py:build", *given, *TINY, "--parametrize", "mup", "--optimizer", "adamw")
    assert done.exit_code == 0, done.output
    uploaded = re.findall(
        r"[\w./-]+\.(?:xml|html)", str(yaml_of_the_how_to()[name]).replace("\\n", " ")
    )
    assert uploaded
    assert [path for path in uploaded if not (folder / path).is_file()] == []
