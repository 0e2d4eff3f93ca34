"""What is written beside the results names the machine."""

import os

import pytest
import torch

from muscope.lab import cgroup, engine, environment


def test_the_environment_names_torch_device_and_memory() -> None:
    here = environment.describe()
    assert here.torch_version == torch.__version__
    assert here.memory_bytes > 2**28
    assert 0 < len(here.device) <= 120


def test_free_memory_is_a_part_of_what_there_is() -> None:
    assert 0 < environment.free_bytes() < environment.describe().memory_bytes


@pytest.mark.parametrize("left", [1, 2**62])
def test_free_memory_ends_where_the_limit_of_a_container_does(
    left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(cgroup, "free_bytes", lambda: left)
    assert environment.free_bytes() <= left
    assert (environment.free_bytes() == left) == (left == 1)


def test_the_thread_count_can_be_set() -> None:
    engine.set_threads(2)
    assert torch.get_num_threads() == 2
    engine.set_threads(0)
    assert torch.get_num_threads() == os.cpu_count()


def test_one_thread_is_one_thread_in_words_too() -> None:
    engine.set_threads(1)
    assert "1 threads" not in environment.describe().device
    engine.set_threads(0)
