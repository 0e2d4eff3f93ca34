"""Where a tensor comes from, read off the graph that its gradient will take back."""

import re
from collections.abc import Callable, Iterator

from torch import Tensor
from torch.autograd.graph import Node

MOST_NODES = 20_000
"""Of one walk: what lies between a product and the next is a handful."""

_PRODUCT = re.compile(
    r"mm|Mm|Conv|Embedding|ScaledDot|Linear|Dot|^Mv|AccumulateGrad|_?thnn|Rnn|Lstm"
)
_SAME = re.compile(
    r"^(View|UnsafeView|Reshape|ReshapeAlias|Slice|Transpose|T|Permute|Clone|ToCopy|Select|Squeeze"
    r"|Unsqueeze|Expand|Alias|Index|Contiguous|Movedim|Narrow|Unbind|Split|AsStrided|ConstantPadNd)"
    r"(Dim)?Backward\d*$"
)


def without_product(tensor: Tensor) -> Iterator[Node]:
    """Every operation that made the tensor, back to the products, which are the last to come."""
    return _back(tensor, lambda node: not _PRODUCT.search(node.name()))


def unchanged(tensor: Tensor) -> Iterator[Node]:
    """The operations that only moved, cut or copied numbers, back to the one that made them."""
    return _back(tensor, lambda node: bool(_SAME.match(node.name())))


def _back(tensor: Tensor, goes_on: Callable[[Node], bool]) -> Iterator[Node]:
    waiting = [tensor.grad_fn] if tensor.grad_fn is not None else []
    seen: set[Node] = set()
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if goes_on(node):
            waiting.extend(before for before, _ in node.next_functions if before is not None)
