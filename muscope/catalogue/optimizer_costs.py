"""What an update of one weight costs: floating-point operations, and numbers kept between steps.

Only what grows faster than the weight is counted as operations: products of matrices, and the
decompositions of the matrix optimizers at the usual leading orders (Golub & Van Loan 2013, tables
of chapters 5 and 8: 4/3 n^3 for QR and as much for its Q, 9 n^3 for symmetric eigenvectors).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options, with_defaults
from muscope.vocabulary import Role

NEWTON_SCHULZ_STEPS = 5
EIGENVECTORS, QR = 9.0, 8 / 3


@dataclass(frozen=True, slots=True)
class UpdateCost:
    """Of one weight of one run: operations per update, numbers of state, numbers at hand.

    At hand is what an update holds at once beside weight, gradient and state: the new state and
    weight, and what is between.
    """

    flops: float
    state: int
    at_hand: int


def update_cost(optimizer: str, role: Role, shape: tuple[int, int], options: Options) -> UpdateCost:
    """The cost of a weight of that role and shape (rows, columns)."""
    entry = OPTIMIZERS[optimizer]
    complete, name = with_defaults(options, entry.options), entry.for_role(role)
    if entry.cost_of and name == entry.name:
        return UpdateCost(*entry.cost_of(*shape, complete))
    return _COSTS[name](*shape, complete)


def curvature_estimates(optimizer: str, updates: int, options: Options) -> int:
    """How many more gradients that many updates take, of labels that the model draws: Sophia's.

    Each costs as much as the gradient of an update.
    """
    entry = OPTIMIZERS[optimizer]
    if not entry.draws_labels:
        return 0
    frequency = int(with_defaults(options, entry.options)["hessian_frequency"])
    return math.ceil(updates / frequency)


_Cost = Callable[[int, int, Options], UpdateCost]


def _copies(count: int, at_hand: int) -> _Cost:
    """So many numbers per number of the weight kept and at hand, and no products."""
    return lambda rows, columns, options: UpdateCost(
        0.0, count * rows * columns, at_hand * rows * columns
    )


def _sgd(rows: int, columns: int, options: Options) -> UpdateCost:
    size = rows * columns
    return UpdateCost(0.0, size if options["momentum"] else 0, 3 * size)


def _muon(rows: int, columns: int, options: Options) -> UpdateCost:
    """Per step of Newton-Schulz: X X^T, its square, and their sum times X."""
    few, many = sorted((rows, columns))
    step = 2 * few**2 * many + 2 * few**3 + 2 * few**2 * many
    at_hand = (
        4 * rows * columns + 3 * few**2
    )  # momentum, direction, X twice; X X^T, two of its sums
    return UpdateCost(float(NEWTON_SCHULZ_STEPS * step), rows * columns, at_hand)


def _shampoo(rows: int, columns: int, options: Options) -> UpdateCost:
    """Two statistics, two roots from eigenvectors, two products with the momentum."""
    products = 2 * _both_sides(rows, columns)
    roots = (EIGENVECTORS + 2) * (rows**3 + columns**3)
    state = rows * columns + rows**2 + columns**2
    return UpdateCost(products + roots, state, state + _decomposing(rows, columns))


def _soap(rows: int, columns: int, options: Options) -> UpdateCost:
    """Two statistics, three changes of basis, and now and then a power iteration with QR."""
    turning = (2 + QR) * (rows**3 + columns**3) / int(options["precondition_frequency"])
    state = 2 * rows * columns + 2 * (rows**2 + columns**2)
    at_hand = state + 3 * rows * columns
    return UpdateCost(4 * _both_sides(rows, columns) + turning, state, at_hand)


def _decomposing(rows: int, columns: int) -> int:
    """Numbers of float32 at hand: the statistics of a side, its vectors, each twice in float64.

    LAPACK's divide and conquer works in as much as two more such matrices.
    """
    return 2 * 6 * max(rows, columns) ** 2


def _both_sides(rows: int, columns: int) -> float:
    """A matrix multiplied from the left and from the right by square ones."""
    return 2.0 * rows * columns * (rows + columns)


_COSTS: Mapping[str, _Cost] = {
    "adafactor": lambda rows, columns, options: UpdateCost(0.0, rows + columns, 4 * rows * columns),
    "adam": _copies(2, 5),
    "adamw": _copies(2, 4),
    "adamw_independent": _copies(2, 5),
    "adopt": _copies(2, 6),
    "lamb": _copies(2, 6),
    "lion": _copies(1, 5),
    "muon": _muon,
    "muon_match_rms": _muon,
    "sgd": _sgd,
    "shampoo": _shampoo,
    "soap": _soap,
    "sophia": _copies(2, 6),
}
