"""Eigenvectors of stacked statistics, of which some may have diverged."""

import torch
from torch import Tensor


def eigenvectors(statistics: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (members, n) and eigenvectors of symmetric matrices, in float64.

    Those of a matrix with numbers that are not finite are nan: the decomposition of one such would
    fail for all members.
    """
    is_finite = statistics.isfinite().all(-1).all(-1)  # (members,)
    known = torch.where(is_finite[:, None, None], statistics.double(), 0.0)
    values, vectors = torch.linalg.eigh(known)
    return (
        torch.where(is_finite[:, None], values, torch.nan),
        torch.where(is_finite[:, None, None], vectors, torch.nan),
    )
