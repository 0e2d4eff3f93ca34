"""Hugging Face data sets come by names that the operator allows, through their own library."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from muscope.catalogue import DatasetUnavailable
from muscope.lab import data
from muscope.lab.data import huggingface
from tests.lab.data.specs import text

STORIES = text("huggingface", dataset_name="owner/stories")


class Rows(list[dict[str, str]]):
    """What the library gives: rows that know their columns."""

    column_names = ("text",)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Puts a library in place whose `load_dataset` is given."""
    huggingface._read.cache_clear()

    def put(load_dataset: Callable[..., Any]) -> None:
        module = ModuleType("datasets")
        module.load_dataset = load_dataset  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", module)

    return put


def refusal() -> str:
    with pytest.raises(DatasetUnavailable) as raised:
        data.batch(STORIES)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("owner/stories", ("owner/stories",)),
        ("owner/stories/small", ("owner/stories", "small")),
    ],
)
def test_the_texts_are_joined_as_bytes(
    folder: Path, library: Callable[..., None], name: str, asked: tuple[str, ...]
) -> None:
    def load_dataset(*given: str, split: str) -> Rows:
        assert (given, split) == (asked, "train")
        return Rows({"text": "once upon a time"} for _ in range(20))

    library(load_dataset)
    batch = data.batch(text("huggingface", dataset_name=name, batch_size=1))
    assert bytes(batch.inputs[0].tolist()) == b"once upon a time"


def test_a_name_that_is_not_allowed_is_never_loaded(
    folder: Path, library: Callable[..., None]
) -> None:
    library(lambda *given, split: pytest.fail("loaded"))
    with pytest.raises(DatasetUnavailable, match=r"'other' is not allowed here; allowed: owner/st"):
        data.batch(text("huggingface", dataset_name="other"))


def test_without_the_library_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface._read.cache_clear()
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install datasets" in refusal()


def test_without_the_network_a_sentence_says_so(folder: Path, library: Callable[..., None]) -> None:
    def load_dataset(*given: str, split: str) -> Rows:
        raise ConnectionError("no route to the hub")

    library(load_dataset)
    assert "cannot be loaded (no route to the hub); connect this machine" in refusal()


def test_without_a_column_of_text_the_columns_are_named(
    folder: Path, library: Callable[..., None]
) -> None:
    library(lambda *given, split: SimpleNamespace(column_names=["sentence", "label"]))
    assert "no column text, only sentence, label" in refusal()
