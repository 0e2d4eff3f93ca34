"""Several stacks at once on a CPU, each on a thread of its own.

An operation of a small stack is too short to be worth sharing between threads; the steps of whole
stacks are not, and Python's lock is free while torch computes (docs/benchmarks.md).
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

from muscope.lab.environment import device

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What the work gives every item, in their order; the cores are divided among those at once.

    All have ended when an error of one is raised.
    """
    threads = torch.get_num_threads()
    at_once = min(threads, len(items))
    if at_once < 2 or device().type != "cpu":
        return [work(item) for item in items]

    def alone(item: Item) -> Result:
        torch.set_num_threads(threads // at_once)
        return work(item)

    try:
        futures = [_pool(at_once).submit(alone, item) for item in items]
        wait(futures)
    finally:  # part of the setting is the process's, not the thread's
        torch.set_num_threads(threads)
    return [future.result() for future in futures]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="stack")


os.register_at_fork(after_in_child=_pool.cache_clear)
