"""What every part of a spec is: strict, frozen, with one way to be written and a digest."""

import hashlib
import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

Value = TypeVar("Value")


class Frozen(BaseModel):
    """Strict and frozen: unknown fields, numbers in quotes and infinities are refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def silent(default: Value) -> Value:
    """A field that came later: at its default it is left out, so that digests stay (ADR 17)."""
    field: Value = Field(default=default, exclude_if=lambda value: value == default)
    return field


def fill(model: Frozen, **values: object) -> None:
    """Fill in, while a model is validated, what its other fields decide."""
    for name, value in values.items():
        object.__setattr__(model, name, value)


def canonical_json(model: BaseModel) -> str:
    """The one way a spec is written: sorted keys, no spaces, so that equal specs are equal text."""
    data = model.model_dump(mode="json")
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(model: BaseModel) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(model).encode()).hexdigest()
