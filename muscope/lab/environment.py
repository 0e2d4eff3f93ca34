"""What the lab runs on, as it is written beside the results."""

from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True, slots=True)
class Environment:
    """The version of torch, the device and how much memory it has."""

    torch_version: str
    device: str
    memory_bytes: int


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe() -> Environment:
    """This machine; the thread count is part of the device, as digests depend on it."""
    if device().type == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return Environment(torch.__version__, properties.name, properties.total_memory)
    name = f"CPU, {torch.get_num_threads()} threads"
    return Environment(torch.__version__, name, psutil.virtual_memory().total)
