"""The Markov source has the entropy that it says, and nothing can do better."""

import math

import numpy as np
import pytest

from muscope.lab import data
from muscope.lab.data import markov
from tests.lab.data.specs import text

MARKOV_DIGEST = "460e048429a55d483c7ec8a0cc7b75a860333c2bfccc0eca458419e4c71a3b53"


def probabilities() -> np.ndarray:
    """The transition matrix (tokens, tokens)."""
    return np.array([np.bincount(row, minlength=64) for row in markov.transitions()]) / markov.SLOTS


def test_the_best_predictor_has_a_cross_entropy_of_the_entropy() -> None:
    tokens = markov.read().tokens
    losses = -np.log(probabilities()[tokens[:-1], tokens[1:]])
    error = losses.std() / math.sqrt(len(losses))
    assert losses.mean() == pytest.approx(data.entropy(text("markov")), abs=4 * error)
    assert error < 0.002


def test_the_entropy_is_that_of_the_matrix_and_its_stationary_distribution() -> None:
    matrix = probabilities()
    stationary = np.linalg.matrix_power(matrix, 1000)[0]
    by_row = -np.sum(matrix * np.log(np.maximum(matrix, 1e-300)), axis=1)
    assert stationary @ by_row == pytest.approx(markov.entropy(), abs=1e-12)


def test_who_forgets_the_last_token_does_worse() -> None:
    share = np.bincount(markov.read().tokens, minlength=64) / markov.LENGTH
    without_memory = -float(share @ np.log(share))
    assert markov.entropy() + 0.3 < without_memory < math.log(64)


def test_the_text_is_the_same_on_every_machine() -> None:
    assert data.digest(text("markov")) == MARKOV_DIGEST


def test_real_text_has_no_known_entropy() -> None:
    assert data.entropy(text("python_docs")) is None
