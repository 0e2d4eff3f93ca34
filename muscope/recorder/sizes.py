"""Sizes of an array of any framework that has `abs` and `mean`: numpy, jax, torch, cupy, mlx."""

from typing import Any


def sizes(array: Any, first: Any = None) -> dict[str, float]:
    """l1 and rms, and with the array of step 0 the change, all computed in float32."""
    wide = as_float32(array)
    found = {"l1": float(abs(wide).mean()), "rms": float((wide * wide).mean()) ** 0.5}
    if first is not None:
        found["change"] = float(abs(wide - first).mean())
    return found


def as_float32(array: Any) -> Any:
    """The array in float32, detached where it belongs to a graph; half precision overflows."""
    if hasattr(array, "detach"):
        return array.detach().float()
    if not hasattr(array, "astype"):
        raise ValueError(f"an array is needed, with abs() and mean(); got {type(array).__name__}")
    return array.astype("float32")
