"""scripts/setup.sh says in one sentence what a machine lacks, and needs nothing but POSIX."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "awk", "cat", "cksum", "df", "dirname", "uname", "grep", "env")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout on a machine that has the usual tools and no Python."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} on this machine"))
    add_tool(tools, "uname", "echo Linux")
    return tmp_path


def add_tool(folder: Path, name: str, script: str) -> None:
    """Put a shell script where the machine looks for commands."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def setup_says(machine: Path) -> str:
    """Run the set-up, which must fail, and give its sentence."""
    done = subprocess.run(
        ["sh", machine / "scripts" / "setup.sh", "run"],
        env={"PATH": str(machine / "bin"), "HOME": str(machine)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.splitlines()[-1]


def test_a_machine_without_python_is_told_what_to_install(machine: Path) -> None:
    sentence = setup_says(machine)
    assert "Python 3.11 or newer" in sentence
    assert "apt-get install python3.11 python3.11-venv" in sentence


def test_an_old_python_is_named(machine: Path) -> None:
    add_tool(
        machine / "bin", "python3", '[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1'
    )
    assert "this machine has Python 3.9.2" in setup_says(machine)


def test_a_python_without_venv_is_told_the_package(machine: Path) -> None:
    python = f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"'
    add_tool(machine / "bin", "python3", python)
    version = f"python3.{sys.version_info.minor}"
    assert f"apt-get install {version}-venv" in setup_says(machine)


def test_a_full_disk_is_named_with_its_figures(machine: Path) -> None:
    add_tool(machine / "bin", "df", "echo head\necho /dev/sda 9 9 120000 99% /")
    sentence = setup_says(machine)
    assert "120 MB free" in sentence
    assert "needs 3000 MB" in sentence


def test_what_it_installs_is_installed_again_only_when_what_it_depends_on_changed(
    machine: Path,
) -> None:
    """A stamp of the files that say what to install; `mup` is said in the script alone."""
    python = machine / ".venv" / "bin"
    python.mkdir(parents=True)
    (machine / ".venv" / "pyvenv.cfg").touch()
    add_tool(python, "python", f'echo "$@" >>{machine}/called')
    add_tool(machine / "bin", "chromium", "")
    add_tool(machine / "bin", "df", "echo head\necho /dev/sda 9 9 9000000 1% /")
    assert "--no-deps mup==1.0.0" in calls_of_python(machine)
    assert calls_of_python(machine) == ""
    with (machine / "scripts" / "setup.sh").open("a") as script:
        script.write("# one more original\n")
    assert "--no-deps mup==1.0.0" in calls_of_python(machine)


def calls_of_python(machine: Path) -> str:
    """Set up for tests, and give what the environment's Python was called with."""
    called = machine / "called"
    called.write_text("")
    script = machine / "scripts" / "setup.sh"
    environment = {"PATH": str(machine / "bin"), "HOME": str(machine)}
    subprocess.run(["sh", script, "test"], env=environment, stdin=subprocess.DEVNULL, check=True)
    return called.read_text()
