"""Answers are thought of once, by one at a time, and the oldest are forgotten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from muscope_server.services.remembering import Remembered


class Thinker:
    """Counts how often it thinks about each question."""

    def __init__(self) -> None:
        self.thought: list[str] = []

    def about(self, question: str) -> Callable[[], str]:
        def think() -> str:
            self.thought.append(question)
            return question.upper()

        return think


def test_a_question_is_thought_about_once_until_it_is_forgotten() -> None:
    thinker, known = Thinker(), Remembered[str](2)
    for question in ("a", "b", "a", "c", "a", "b"):
        assert known.get(question, thinker.about(question)) == question.upper()
    # c took the place of b, which was asked longer ago than a
    assert thinker.thought == ["a", "b", "c", "b"]


def test_many_who_ask_at_once_wait_for_one_answer() -> None:
    thinker, known, start = Thinker(), Remembered[str](1), Barrier(8)

    def ask() -> str:
        start.wait()
        return known.get("a", thinker.about("a"))

    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    assert answers == ["A"] * 8
    assert thinker.thought == ["a"]


def test_an_error_is_no_answer() -> None:
    known = Remembered[int](1)
    with pytest.raises(ZeroDivisionError):
        known.get("a", lambda: 1 // 0)
    assert known.get("a", lambda: 1) == 1
