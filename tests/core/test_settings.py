"""Every command finds the data folder the same way."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from muscope.settings import Settings


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without anything, a home, and no setting."""
    monkeypatch.delenv("MUSCOPE_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_folder_of_make_run_is_found_from_its_checkout(here: Path) -> None:
    assert Settings().data_dir == here / "home/.local/share/muscope"
    (here / ".muscope").mkdir()
    assert Settings().data_dir == here / ".muscope"


def test_the_setting_wins_and_is_told_as_an_absolute_path(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".muscope").mkdir()
    monkeypatch.setenv("MUSCOPE_DATA_DIR", "elsewhere")
    assert Settings().data_dir == here / "elsewhere"


def test_a_folder_of_somebody_else_is_not_taken(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".muscope").mkdir()
    monkeypatch.setattr("os.getuid", lambda: (here / ".muscope").stat().st_uid + 1)
    assert Settings().data_dir == here / "home/.local/share/muscope"


def test_data_files_lie_in_the_data_folder_unless_told_otherwise(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings(data_dir=here).datasets_folder == here / "datasets"
    monkeypatch.setenv("MUSCOPE_DATASETS_DIR", "elsewhere")
    assert Settings(data_dir=here).datasets_folder == here / "elsewhere"


def test_no_hugging_face_data_set_is_allowed_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().huggingface_allowed == ()
    monkeypatch.setenv("MUSCOPE_HUGGINGFACE_DATASETS", "owner/stories, imdb,")
    assert Settings().huggingface_allowed == ("owner/stories", "imdb")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checkpoint_every_s", 0),
        ("checkpoint_every_s", float("nan")),
        ("checkpoint_after_s", -1),
        ("checkpoint_after_s", float("inf")),
        ("checkpoint_gib", -0.5),
    ],
)
def test_times_and_sizes_of_checkpoints_are_checked(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


def test_checkpoints_lie_in_the_data_folder(here: Path) -> None:
    assert Settings(data_dir=here).checkpoints_folder == here / "checkpoints"
