"""Laws of work that is done side by side: as one by one, but at the same time."""

import multiprocessing
import threading

import pytest
import torch

from muscope.lab import side_by_side


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


def squared(number: int) -> int:
    return number * number


def test_results_come_in_the_order_of_the_items() -> None:
    assert side_by_side.each(squared, range(7)) == [0, 1, 4, 9, 16, 25, 36]


def test_two_work_at_the_same_time_with_a_thread_each() -> None:
    both = threading.Barrier(2, timeout=60)

    def work(_: int) -> int:
        both.wait()  # alone it would break
        return torch.get_num_threads()

    assert side_by_side.each(work, range(2)) == [1, 1]
    assert torch.get_num_threads() == 2


def test_one_alone_has_all_threads() -> None:
    assert side_by_side.each(lambda _: torch.get_num_threads(), [0]) == [2]


def test_an_error_is_raised_when_the_others_have_ended() -> None:
    ended = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("the first fails")
        ended.append(number)

    with pytest.raises(ValueError, match="the first fails"):
        side_by_side.each(work, range(5))
    assert sorted(ended) == [1, 2, 3, 4]
    assert torch.get_num_threads() == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    side_by_side.each(squared, range(2))
    child = multiprocessing.get_context("fork").Process(
        target=side_by_side.each, args=(squared, range(2))
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
