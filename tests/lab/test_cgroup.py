"""The limit of a container is read from files, of both versions of control groups."""

from pathlib import Path

import pytest

from muscope.lab import cgroup

GIB = 2**30


def group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n")


def second(limit: str, *, used: int, inactive: int = 0) -> dict[str, str]:
    return {
        "memory.max": limit,
        "memory.current": str(used),
        "memory.stat": f"anon {used}\ninactive_file {inactive}",
    }


def free(tmp_path: Path, lines: str) -> int | None:
    own = tmp_path / "own"
    own.write_text(lines + "\n")
    return cgroup.free_bytes(tmp_path / "mount", own)


def test_a_limit_leaves_what_is_not_used_and_what_can_be_given_up(tmp_path: Path) -> None:
    group(tmp_path / "mount", second(str(4 * GIB), used=3 * GIB, inactive=GIB))
    assert free(tmp_path, "0::/") == 2 * GIB


def test_the_tightest_of_all_groups_above_counts(tmp_path: Path) -> None:
    group(tmp_path / "mount/all", second(str(2 * GIB), used=GIB))
    group(tmp_path / "mount/all/mine", second("max", used=0))
    assert free(tmp_path, "0::/all/mine") == GIB


def test_the_first_version_has_a_folder_and_words_of_its_own(tmp_path: Path) -> None:
    files = {
        "memory.limit_in_bytes": str(GIB),
        "memory.usage_in_bytes": "1000",
        "memory.stat": "inactive_file 7\ntotal_inactive_file 24",
    }
    group(tmp_path / "mount/memory", files)
    # the container does not see the path that its host knows
    assert free(tmp_path, "4:memory:/docker/1f\n3:cpu:/\n0::/") == GIB - 976


@pytest.mark.parametrize("lines", ["0::/", "1:cpu:/"])
def test_without_a_limit_nothing_is_said(tmp_path: Path, lines: str) -> None:
    group(tmp_path / "mount", second("max", used=1))
    assert free(tmp_path, lines) is None


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert cgroup.free_bytes(tmp_path, tmp_path / "absent") is None
