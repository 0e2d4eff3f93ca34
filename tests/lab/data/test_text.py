"""Texts: their tokens, their windows, and what is refused."""

import hashlib
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
import torch

from muscope.catalogue import DatasetUnavailable
from muscope.lab import data
from tests.lab.data.specs import text

DOCS = "\n\n".join(topics[name] for name in sorted(topics)).encode()


def test_the_text_is_english_from_the_python_documentation() -> None:
    assert b'The "if" statement is used for conditional execution' in DOCS
    assert data.digest(text("python_docs")) == hashlib.sha256(DOCS).hexdigest()


def test_the_fixed_batch_of_the_documentation_is_spread_evenly_over_it() -> None:
    batch = data.batch(text("python_docs", batch_size=8))
    starts = [row * (len(DOCS) - 16) // 8 for row in range(8)]
    assert [bytes(row) for row in batch.inputs.tolist()] == [DOCS[s : s + 16] for s in starts]
    assert [bytes(row) for row in batch.targets.tolist()] == [DOCS[s + 1 : s + 17] for s in starts]


def test_any_file_of_the_folder_is_read_as_bytes(folder: Path) -> None:
    (folder / "books").mkdir()
    (folder / "books/tale.txt").write_bytes(bytes(range(256)) * 3)
    model = text("text_file", dataset_name="books/tale.txt")
    assert data.batch(model).inputs[0].tolist() == list(range(16))
    assert data.name(model) == "text_file books/tale.txt"
    assert data.digest(model) == hashlib.sha256(bytes(range(256)) * 3).hexdigest()


def test_a_file_put_in_the_place_of_another_is_read_anew(folder: Path) -> None:
    model = text("text_file", dataset_name="tale.txt")
    (folder / "tale.txt").write_bytes(b"a" * 100)
    before = data.digest(model)
    (folder / "tale.txt").write_bytes(b"b" * 101)
    assert data.digest(model) != before


def test_tokens_are_sixteen_bit_numbers_as_nanogpt_writes_them(folder: Path) -> None:
    tokens = np.arange(50_000, 50_200, dtype=np.uint16)
    tokens.tofile(folder / "train.bin")
    model = text("tokens", dataset_name="train.bin", batch_size=1)
    assert data.batch(model).inputs[0].tolist() == list(range(50_000, 50_016))
    assert data.digest(model) == hashlib.sha256(tokens.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty (0 bytes); put a text there"),
        (b"a" * 16, "has 16 tokens; one window of a sequence_length of 16 needs 17"),
    ],
)
def test_a_text_without_a_whole_window_is_refused_with_its_size(
    folder: Path, content: bytes, sentence: str
) -> None:
    (folder / "short.txt").write_bytes(content)
    with pytest.raises(DatasetUnavailable) as refusal:
        data.batch(text("text_file", dataset_name="short.txt"))
    assert sentence in str(refusal.value)


def test_a_text_without_a_window_to_hold_out_gives_no_fresh_batches(folder: Path) -> None:
    (folder / "short.txt").write_bytes(b"a" * 100)
    model = text("text_file", dataset_name="short.txt")
    assert data.batch(model).inputs.shape == (4, 16)
    for wanted in (data.held_out, lambda model: data.fresh(model, step=0, seed=0)):
        with pytest.raises(DatasetUnavailable, match="shorter than one window"):
            wanted(model)


def test_tokens_that_the_vocabulary_lacks_are_refused_with_the_largest(folder: Path) -> None:
    np.full(200, 64, dtype=np.uint16).tofile(folder / "t.bin")
    with pytest.raises(DatasetUnavailable, match="has a token 64; a vocabulary of 64 ends at 63"):
        data.batch(text("tokens", dataset_name="t.bin", vocabulary=64))
    assert data.batch(text("tokens", dataset_name="t.bin", vocabulary=65)).inputs.max() == 64


def test_half_a_token_is_refused(folder: Path) -> None:
    (folder / "t.bin").write_bytes(bytes(101))
    with pytest.raises(DatasetUnavailable, match="101 bytes, an odd number"):
        data.batch(text("tokens", dataset_name="t.bin"))


def test_a_model_with_a_larger_vocabulary_reads_the_same_text() -> None:
    wide = data.batch(text("python_docs", vocabulary=300))
    assert torch.equal(wide.inputs, data.batch(text("python_docs")).inputs)
