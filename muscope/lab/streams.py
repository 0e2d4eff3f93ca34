"""Random numbers by the name of their stream: equal names draw the same, whatever else is drawn."""

import hashlib

import torch


def generator(stream: str) -> torch.Generator:
    """A generator on the CPU, seeded by the name, such as `init:0:readout`."""
    digest = hashlib.sha256(stream.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
