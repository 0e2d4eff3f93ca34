"""The wheel, built once and installed beside the checkout's environment.

One fresh environment serves both questions. First it gets the wheel without extras, so that torch,
numpy and scipy are absent, and `tests/server` pass in it. Then the heavy third-party packages of
the worker extra are lent to it from this environment by a path file (installing torch anew takes a
minute and a gigabyte; `make setup` installs the extra for real), and `muscope check` runs from `/`.
Both times muscope itself comes from the wheel, never from the checkout.
"""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).resolve().parents[2]
PYTHON_FOLDER = f"python{sys.version_info.major}.{sys.version_info.minor}"
TEST_TOOLS = ("pytest", "pytest-timeout", "httpx")
TINY = """\
name: tiny
arms:
  - model: {name: mlp, batch_size: 16}
    optimizers: [{name: adamw, learning_rate: 0.003}]
parametrizations: [{name: mup}]
widths: [64, 128]
seeds: 2
steps: 1
"""

pytestmark = pytest.mark.packaging


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without the checkout on its path."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def server_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, without extras, and what its tests need."""
    folder = tmp_path_factory.mktemp("server-only")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    pins = ("-c", ROOT / "constraints.txt")
    installed = run(*pip, *pins, wheel, *TEST_TOOLS, cwd=folder)
    if "connection" in installed.stderr.lower():
        needs.missing(f"the package index does not answer: {installed.stderr[-300:]}")
    assert installed.returncode == 0, installed.stderr
    return folder


def test_the_wheel_holds_pages_migrations_and_the_three_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "muscope/_frontend/templates/",
        "muscope/_frontend/static/",
        "muscope/_migrations/versions/",
        "muscope_server/app.py",
        "muscope_worker/tasks.py",
        "muscope/py.typed",
    ):
        assert any(name.startswith(part) for name in names), part
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_server_tests_pass_where_torch_is_not_installed(
    server_only: Path, tmp_path: Path
) -> None:
    python = server_only / "bin" / "python"
    for heavy in ("torch", "numpy", "scipy", "sklearn"):
        assert run(python, "-c", f"import {heavy}", cwd=tmp_path).returncode == 1
    shutil.copytree(ROOT / "tests", tmp_path / "tests")  # without the packages beside them
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    # These judge what they show, with numpy, or push what torch has trained.
    names = (
        *("compare", "grid", "joined_page", "kinds", "links", "presets", "rates_page"),
        *("pushed_check", "recipe", "recorder", "recordings", "search_page"),
    )
    judging = [f"--ignore=tests/server/test_{name}.py" for name in names]
    quick = ("-q", "-m", "not slow and not e2e", *judging, "tests/server")
    done = run(python, "-m", "pytest", "-p", "no:cacheprovider", *quick, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout.splitlines()[-1]


def test_the_command_line_checks_a_study_from_the_wheel(server_only: Path, tmp_path: Path) -> None:
    packages = Path("lib") / PYTHON_FOLDER / "site-packages"
    lent = Path(sys.prefix) / packages
    (server_only / packages / "lent.pth").write_text(f"{lent}\n")
    spec = tmp_path / "tiny.yaml"
    spec.write_text(TINY)
    done = run(server_only / "bin" / "muscope", "check", spec, "--json", cwd=Path("/"))
    assert '"variant"' in done.stdout, done.stdout + done.stderr
