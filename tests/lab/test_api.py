"""`muscope.coordinate_check` on functions: what it gives, and what it says of bad input."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn

import muscope
from muscope.check_result import CheckResult
from muscope.gate.policy import UNSTABLE
from muscope.lab.own import conduct
from muscope.vocabulary import CellVerdict, Statistic

WIDTHS = (32, 64, 128)
PIXELS, CLASSES = 16, 4


def batch(seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    classes = torch.arange(CLASSES).repeat(10)
    centres = torch.randn(CLASSES, PIXELS, generator=random)
    return centres[classes] + 0.3 * torch.randn(40, PIXELS, generator=random), classes


def sp(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Sequential(
        nn.Linear(PIXELS, width), nn.ReLU(), nn.Linear(width, width), nn.Linear(width, CLASSES)
    )
    return model, torch.optim.Adam(model.parameters(), lr=3e-3)


def check(build: Any = sp, **options: Any) -> CheckResult:
    asked = {"widths": WIDTHS, "seeds": 3, "steps": 1, "batch": batch, "progress": False}
    return muscope.coordinate_check(build, **{**asked, **options})


@pytest.fixture(scope="module")
def result() -> CheckResult:
    return check()


def test_a_result_has_verdict_table_figure_report_and_json(
    result: CheckResult, tmp_path: Path
) -> None:
    assert result.verdict.verdict is CellVerdict.GROWS
    assert not result.passed()
    assert not result.passed(fail_on="grows")
    assert result.passed(fail_on="diverged")
    table = result.table()
    assert "sp · its own Adam   ↗ grows in" in table
    assert "note: there is no function loss" in table
    assert max(map(len, table.splitlines()[:-2])) <= 100
    assert "↗ grows" in result._repr_html_()
    assert type(result.figure(Statistic.L1)).__name__ == "Figure"
    assert "reaches the loss" in result.report(tmp_path / "report.html").read_text()
    found = json.loads(result.json())
    assert found["study"]["widths"] == [*WIDTHS]
    assert found["verdicts"][0]["verdict"] == "grows"
    assert repr(result).startswith("<CheckResult sp · its own Adam: grows in")


def test_a_rule_of_the_catalogue_a_batch_itself_and_a_loss_are_taken() -> None:
    def loss(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(given[0]), given[1])

    made = check(
        lambda width: sp(width)[0],
        batch=batch(0),
        loss=loss,
        parametrize="mup:form=table3",
        optimizer="adamw",
        lr=2e-3,
    )
    assert "µP" in made.verdict.label
    assert made.passed(fail_on=UNSTABLE)


def test_a_file_is_taken_as_the_command_line_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        "import torch\nfrom torch import nn\n"
        "def make(width):\n"
        "    model = nn.Sequential(nn.Linear(16, width), nn.Linear(width, 4))\n"
        "    return model, torch.optim.SGD(model.parameters(), lr=0.1)\n"
    )
    made = check(f"{path}:make", seeds=2)
    assert made.verdict.label.startswith("model.py:make · ")


def test_progress_is_a_line_per_width_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    check(seeds=1, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(" · ")[0] for line in err.splitlines()] == [
        *(f"building at width {width} ({n} of 3)" for n, width in enumerate(WIDTHS, 1)),
        *(f"training width {width}" for width in WIDTHS),
    ]
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": (64,)}, "widths needs two widths at least"),
        ({"widths": (64, "128")}, "widths takes whole numbers"),
        ({"widths": (64, 64)}, "each number may be there once"),
        ({"seeds": 0}, "seeds takes whole numbers from 1 to 64; got 0"),
        ({"steps": True}, "steps takes whole numbers"),
        ({"parametrize": "mup"}, "parametrize needs optimizer"),
        ({"optimizer": "nope"}, "unknown optimizer 'nope'; allowed: "),
        ({"optimizer": "adamw", "lr": -1.0}, "lr must be a positive number"),
        ({"optimizer": "adamw", "parametrize": "nope"}, "unknown parametrization 'nope'"),
        ({"depths": (2,)}, "build takes no depth"),
        ({"batch": None}, "there is no function batch"),
        ({"loss": 3}, "loss must be a function"),
        ({"build": 3}, "build must be a function of the width, or 'my_model.py:build'; got 3"),
        ({"build": "nowhere.py"}, "there is no file nowhere.py"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check(**options)


def _ends(width: int) -> object:
    if width == WIDTHS[-1]:
        os._exit(0)
    return sp(width)


def _leaves(width: int) -> object:
    if width == WIDTHS[-1]:
        sys.exit("bye")
    return sp(width)


def _prints(width: int) -> object:
    while width == WIDTHS[-1]:
        sys.stdout.write("another line\n" * 1000)
    return sp(width)


def _swallows(width: int) -> object:
    while width == WIDTHS[-1]:
        try:
            sys.stderr.write("another line\n" * 1000)
        except Exception:
            continue
    return sp(width)


def _takes_too_much(width: int) -> object:
    if width == WIDTHS[-1]:
        # never written to: without a limit the kernel may promise it
        free = psutil.virtual_memory().available
        hoard = torch.empty(int(1.2 * free) // 4)
        assert hoard.shape
    return sp(width)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (_ends, "build raised at width 128: it ended the program (exit 0)"),
        (_leaves, "build raised at width 128: it ended the program (exit bye)"),
        (_prints, "build raised at width 128: it prints without end"),
        (_swallows, "build raised at width 128: it prints without end"),
        (_takes_too_much, "width 128 needs more memory than there is"),
    ],
)
def test_one_size_that_misbehaves_is_a_sentence_and_the_others_are_judged(
    build: Callable[[int], object], sentence: str
) -> None:
    made = check(build, seeds=2)
    (failure,) = made.failures
    assert failure.sentence.startswith(sentence)
    assert failure.error.__cause__ is not None
    assert {cell.widths for cell in made.verdict.cells} == {WIDTHS[:2]}
    assert not made.passed(fail_on="diverged")  # a size that was not judged is no pass


def test_an_exception_has_the_users_own_as_its_cause() -> None:
    def build(width: int) -> object:
        raise KeyError("no such layer")

    with pytest.raises(ValueError, match="build raised at width 32: KeyError") as refused:
        check(build)
    assert isinstance(refused.value.__cause__, KeyError)


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(_Mute(), "_Mute$"), (ValueError("x" * 10**6), "ValueError: x{300}$")],
)
def test_whatever_an_exception_says_of_itself_is_a_sentence(
    error: Exception, sentence: str
) -> None:
    def build(width: int) -> object:
        raise error

    with pytest.raises(ValueError, match=sentence):
        check(build)


def test_much_that_is_printed_is_cut_and_the_check_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def build(width: int) -> object:
        sys.stdout.write("chatter " * conduct.SHOWN)
        return sp(width)

    made = check(build, widths=WIDTHS[:2], seeds=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "the model's code prints more than 100,000 characters" in err
    assert made.failures == ()


def test_a_child_that_a_model_forks_may_end_as_it_likes() -> None:
    with conduct.behaved():
        child = os.fork()
        if child == 0:
            os._exit(7)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_shapes_that_depend_on_the_data_are_said_and_nothing_measured_is_no_pass() -> None:
    class Changing(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.layer, self.calls = nn.Linear(PIXELS, width), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            out: Tensor = self.layer(x[: 10 + self.calls])
            return out.square().mean()

    def build(width: int) -> object:
        model = Changing(width)
        return model, torch.optim.SGD(model.parameters(), lr=0.1)

    made = check(build, batch=batch(0)[0], seeds=2)
    assert any("the shape depends on the data" in note for note in made.notes)
    assert made.verdict.tensors == ()
    assert not made.passed(fail_on="grows")


def test_build_that_is_not_deterministic_is_told() -> None:
    count = iter(range(10_000))

    def build(width: int) -> object:
        model, optimizer = sp(width)
        torch.nn.init.constant_(model.get_parameter("0.bias"), next(count) / 1e6)
        return model, optimizer

    assert any("build is not deterministic" in note for note in check(build, seeds=2).notes)


def test_the_package_offers_its_names_and_loads_nothing_for_it() -> None:
    program = (
        "import muscope, sys, json\n"
        "assert {'coordinate_check', 'CheckResult'} <= set(dir(muscope))\n"
        "heavy = {'torch', 'numpy', 'scipy', 'pydantic', 'rich', 'plotly', 'sqlalchemy'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
        "try: muscope.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "module 'muscope' has no attribute 'nothing'"]
