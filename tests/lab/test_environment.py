"""What is written beside the results names the machine."""

import os

import torch

from muscope.lab import engine, environment


def test_the_environment_names_torch_device_and_memory() -> None:
    here = environment.describe()
    assert here.torch_version == torch.__version__
    assert here.memory_bytes > 2**28
    assert 0 < len(here.device) <= 120


def test_the_thread_count_can_be_set() -> None:
    engine.set_threads(2)
    assert torch.get_num_threads() == 2
    engine.set_threads(0)
    assert torch.get_num_threads() == os.cpu_count()
