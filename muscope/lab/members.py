"""How members of a stack are chosen: by slices, which copy nothing, or by their places."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from torch import Tensor

Chosen: TypeAlias = slice | Tensor
"""Members to go on with: neighbours, or places (n,) of which one may come twice."""

Item = TypeVar("Item")


def of_list(values: Sequence[Item], chosen: Chosen) -> list[Item]:
    """The chosen ones of what there is one of per member."""
    if isinstance(chosen, slice):
        return list(values[chosen])
    return [values[place] for place in chosen.tolist()]


def of_tensors(tensors: Mapping[str, Tensor], chosen: Chosen) -> dict[str, Tensor]:
    """The chosen members of stacked tensors; what all of them share is not copied for each."""
    return {name: of_tensor(of, chosen) for name, of in tensors.items()}


def of_tensor(of: Tensor, chosen: Chosen) -> Tensor:
    """The chosen members of one stacked tensor."""
    if of.stride(0) == 0 and not isinstance(chosen, slice):
        return of[:1].expand(len(chosen), *of.shape[1:])
    return of[chosen]
