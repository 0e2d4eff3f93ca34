"""Names lead into the operator's folder and nowhere else; what is missing says where to put it."""

import os
from pathlib import Path

import pytest

from muscope.catalogue import DatasetUnavailable
from muscope.lab import data
from muscope.lab.data.places import find
from tests.lab.data.specs import images, text


def refusal(dataset: str, name: str) -> str:
    with pytest.raises(DatasetUnavailable) as raised:
        find(dataset, name)
    return str(raised.value)


def test_without_a_folder_the_setting_is_named() -> None:
    data.use(data.Places())
    assert "set MUSCOPE_DATASETS_DIR" in refusal("text_file", "a.txt")


def test_a_missing_file_says_where_to_put_it(folder: Path) -> None:
    assert f"needs {folder}/a.txt, which is not there; put the file there" in refusal(
        "text_file", "a.txt"
    )


def test_missing_cifar_says_where_it_comes_from_and_where_it_goes(folder: Path) -> None:
    with pytest.raises(DatasetUnavailable) as raised:
        data.batch(images("cifar10"))
    assert f"{folder}/cifar-10-batches-bin/data_batch_1.bin, which is not there" in str(
        raised.value
    )
    assert "cifar-10-binary.tar.gz" in str(raised.value)


@pytest.mark.parametrize(
    "name", ["../a.txt", "/etc/passwd", "a/../../b", "", "a\n", "~/a", "a" * 101]
)
def test_a_path_is_no_name(folder: Path, name: str) -> None:
    (folder.parent / "a.txt").write_text("secret" * 100)
    assert "leads out of the datasets folder" in refusal("text_file", name)


@pytest.mark.parametrize("name", ["link.txt", "away/a.txt"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "a.txt").write_text("secret" * 100)
    (folder / "link.txt").symlink_to("../a.txt")
    (folder / "away").symlink_to("..")
    assert "leads out of the datasets folder" in refusal("text_file", name)


def test_a_link_to_itself_is_no_file(folder: Path) -> None:
    """Until Python 3.13 it cannot even be resolved; then it is a link that leads nowhere."""
    (folder / "loop").symlink_to("loop")
    words = refusal("text_file", "loop")
    assert "cannot be looked at" in words or "is not there" in words


def test_a_file_that_may_not_be_looked_at_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", forbidden)
    assert "which cannot be looked at" in refusal("text_file", "a.txt")


def test_only_files_are_read(folder: Path) -> None:
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    for name in ("sub", "pipe"):
        assert "which is no file" in refusal("text_file", name)


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    (folder / "a.txt").write_text("x" * 100)
    link = folder.parent / "link"
    link.symlink_to(folder)
    data.use(data.Places(link))
    assert data.batch(text("text_file", dataset_name="a.txt")).inputs.shape == (4, 16)
