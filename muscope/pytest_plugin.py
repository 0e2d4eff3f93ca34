"""The pytest plugin: two fixtures and `--muscope-report`; nothing is imported until they are used.

def test_my_model_is_width_stable(width_stable):
    width_stable(build, batch=batch, widths=(64, 128, 256), seeds=5)

def test_my_model_passes_a_check_of_mine(coordinate_check):
    result = coordinate_check(build, batch=batch)
    assert result.passed(fail_on="grows,diverged")
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from muscope.api import CheckResult


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--muscope-report FOLDER`."""
    parser.getgroup("muscope").addoption(
        "--muscope-report",
        metavar="FOLDER",
        default=None,
        help="write an HTML report and the JSON of every check that a test makes into this folder",
    )


@pytest.fixture
def coordinate_check(request: pytest.FixtureRequest) -> "Callable[..., CheckResult]":
    """`muscope.coordinate_check`, whose reports `--muscope-report` keeps."""
    keep = _Keeper(request)

    def check(build: Any, **options: Any) -> "CheckResult":
        # torch takes seconds: only a test that checks something pays for it
        from muscope import api

        result = api.coordinate_check(build, **{"progress": False, **options})
        keep(result)
        return result

    return check


@pytest.fixture
def width_stable(
    coordinate_check: "Callable[..., CheckResult]",
) -> "Callable[..., CheckResult]":
    """`muscope.testing.assert_width_stable`, whose reports `--muscope-report` keeps."""

    def check(build: Any, *, allow_inconclusive: bool = False, **options: Any) -> "CheckResult":
        __tracebackhide__ = True
        from muscope import testing  # as above

        result = coordinate_check(build, **options)
        testing.assert_passed(result, allow_inconclusive=allow_inconclusive)
        return result

    return check


class _Keeper:
    """Writes the results of one test, numbered where there are several; JUnit names them."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        folder = request.config.getoption("--muscope-report")
        self._folder = Path(folder) if folder else None
        self._test, self._node = re.sub(r"[^\w.-]+", "-", request.node.nodeid), request.node
        self._count = 0

    def __call__(self, result: "CheckResult") -> None:
        """Write it, if a folder was given."""
        self._node.user_properties.append(("muscope", result.verdict.sentence()))
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._count += 1
        name = f"{self._test}-{self._count}" if self._count > 1 else self._test
        path = result.report(self._folder / f"{name}.html")
        (self._folder / f"{name}.json").write_text(result.json(), encoding="utf-8")
        self._node.user_properties.append(("muscope-report", str(path)))
