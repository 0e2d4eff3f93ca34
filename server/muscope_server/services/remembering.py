"""Answers kept until their question changes: a page and each of its figures ask the same."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Found = TypeVar("Found")


@dataclass
class _Answer(Generic[Found]):
    lock: Lock = field(default_factory=Lock)
    found: Found | None = None


class Remembered(Generic[Found]):
    """The answers to the latest questions; who asks while one is thought about waits for it.

    A question says the state of all that its answer depends on, so that no answer is ever old.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._answers: OrderedDict[Hashable, _Answer[Found]] = OrderedDict()

    def get(self, question: Hashable, think: Callable[[], Found]) -> Found:
        """The answer; an error is not remembered."""
        with self._lock:
            answer = self._answers.setdefault(question, _Answer())
            self._answers.move_to_end(question)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        with answer.lock:
            if answer.found is None:
                answer.found = think()
            return answer.found
