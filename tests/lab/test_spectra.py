"""Spectral norms by block Lanczos searches against singular values in float64."""

from collections.abc import Collection

import pytest
import torch
from torch import Tensor

from muscope.catalogue import WeightEntry, WeightKind
from muscope.lab import probes
from muscope.lab.optimizers.muon import orthogonalize
from muscope.lab.spectra import Matrix, Spectra
from muscope.vocabulary import Role, Statistic, TensorKind

FROM_BELOW = 0.0005
"""A random matrix has many singular values close to its largest, which eight rounds do not quite
tell apart: measured 0.03 % at these sizes, 0.5 % at width 2048."""
FLOAT32 = 1e-6
"""What is left of an error when a search has converged."""


def matrix(rows: int, columns: int) -> WeightEntry:
    return WeightEntry("w", Role.HIDDEN, columns, rows, rows * columns)


def statistics(
    spectra: Spectra, entry: WeightEntry, values: Tensor, far: Collection[str] = ()
) -> dict[Statistic, Tensor]:
    largest = torch.maximum(values.amax((1, 2)), -values.amin((1, 2)))
    one = Matrix(entry, values, largest.double(), probes.rms(values))
    return spectra.statistics(TensorKind.WEIGHT, [one], far)[entry.name]


def measured(spectra: Spectra, values: Tensor, far: Collection[str] = ()) -> tuple[Tensor, Tensor]:
    found = statistics(spectra, matrix(*values.shape[1:]), values, far)
    return found[Statistic.SPECTRAL], found[Statistic.STABLE_RANK]


def exact(values: Tensor) -> tuple[Tensor, Tensor]:
    norm = torch.linalg.svdvals(values.double())[:, 0]
    stable_rank = values.double().square().sum((1, 2)) / norm.square()
    return norm / (values.shape[1] / values.shape[2]) ** 0.5, stable_rank


@pytest.mark.parametrize("shape", [(2, 256, 256), (3, 512, 64), (2, 10, 300), (1, 1, 40)])
def test_norm_and_stable_rank_of_random_matrices(shape: tuple[int, int, int]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    (norm, rank), (true_norm, true_rank) = measured(Spectra(), values), exact(values)
    assert (norm / true_norm - 1).abs().max() < FROM_BELOW
    assert (norm <= true_norm * (1 + 1e-6)).all()  # float32
    assert (rank / true_rank - 1).abs().max() < 2.1 * FROM_BELOW  # the norm is squared


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e25])
def test_numbers_whose_squares_float32_cannot_hold(size: float) -> None:
    values = size * torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(4))
    (norm, rank), (true_norm, true_rank) = measured(Spectra(), values), exact(values)
    assert norm.tolist() == pytest.approx(true_norm.tolist(), rel=FROM_BELOW)
    assert rank.tolist() == pytest.approx(true_rank.tolist(), rel=2.1 * FROM_BELOW)
    table = WeightEntry("w", Role.EMBEDDING, 1, 64, 64 * 64, kind=WeightKind.TABLE)
    row = statistics(Spectra(), table, values)[Statistic.SPECTRAL]
    largest = values.double().square().mean(2).sqrt().amax(1)
    assert row.tolist() == pytest.approx(largest.tolist(), rel=1e-6)


def test_of_nearly_equal_singular_values_the_largest_is_missed_by_less_than_a_twentieth() -> None:
    """Muon's updates: singular values of 0.7 to 1.2 (facts 3), here all at once a new matrix."""
    spectra, draw = Spectra(), torch.Generator().manual_seed(6)
    errors = []
    for _ in range(4):
        update = orthogonalize(torch.randn(2, 128, 128, generator=draw))
        errors.append(1 - measured(spectra, update, far="w")[0] / exact(update)[0])
    assert torch.stack(errors).max() < 0.05  # measured 0.026, at full rank, the worst case


def test_an_update_of_rank_one_is_exact() -> None:
    left, right = (torch.randn(2, 200, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    values = left[:, :, None] * right[:, None, :]
    (norm, rank), (true_norm, _) = measured(Spectra(), values), exact(values)
    assert norm.tolist() == pytest.approx(true_norm.tolist(), rel=1e-5)  # float32 norms
    assert rank.tolist() == pytest.approx([1.0, 1.0], rel=1e-5)


def test_every_step_comes_closer_from_where_the_last_one_ended() -> None:
    values = torch.randn(1, 300, 300, generator=torch.Generator().manual_seed(2))
    spectra, (true_norm, _) = Spectra(), exact(values)
    errors = [float(1 - measured(spectra, values)[0] / true_norm) for _ in range(8)]
    assert errors[-1] < FLOAT32
    away = [error for error in errors if error > FLOAT32]
    assert errors[: len(away)] == sorted(away, reverse=True)
    assert len(away) > 2


def test_a_weight_that_is_trained_is_followed() -> None:
    """By two rounds each step, while updates of low rank overtake its first singular values."""
    draw, spectra = torch.Generator().manual_seed(10), Spectra()
    values = torch.randn(2, 256, 256, generator=draw)
    kept = torch.randn(2, 256, 2, generator=draw)
    errors = []
    for _ in range(8):
        values = values + 0.3 * (kept @ torch.randn(2, 2, 256, generator=draw)).sign()
        errors.append(1 - measured(spectra, values)[0] / exact(values)[0])
    assert torch.stack(errors).max() < 0.005  # what docs/statistics.md says


@pytest.mark.parametrize("rank", [1, 2, 10])
def test_where_nothing_is_left_to_find_the_norm_is_not_lost(rank: int) -> None:
    """Of matrices of low rank in few of their entries, one after the other."""
    spectra, draw = Spectra(), torch.Generator().manual_seed(7)
    for _ in range(4):
        values = torch.zeros(2, 80, 90)
        values[:, :rank, :rank] = torch.diag(torch.rand(rank, generator=draw) + 1).expand(2, -1, -1)
        norm, true_norm = measured(spectra, values)[0], exact(values)[0]
        assert norm.tolist() == pytest.approx(true_norm.tolist(), rel=0.05)  # new diagonals each
        for _ in range(3):
            norm = measured(spectra, values)[0]
        assert norm.tolist() == pytest.approx(true_norm.tolist(), rel=1e-3)


def test_zeros_have_no_norm_and_no_stable_rank_and_are_searched_again() -> None:
    spectra, values = Spectra(), torch.zeros(2, 8, 8)
    values[1] = torch.eye(8)
    norm, rank = measured(spectra, values)
    assert norm.tolist() == pytest.approx([0.0, 1.0], rel=1e-6)
    assert rank[0].isnan()
    assert rank[1] == pytest.approx(8.0, rel=1e-6)
    assert measured(spectra, torch.eye(8).expand(2, -1, -1))[0].tolist() == pytest.approx([1, 1])


def test_a_member_that_was_zeros_is_searched_as_if_it_were_new() -> None:
    """And its neighbours go on from where they were."""
    spectra, neighbour, draw = Spectra(), Spectra(), torch.Generator().manual_seed(8)
    values = torch.randn(2, 300, 300, generator=draw)
    zeros = values.clone()
    zeros[0] = 0
    assert measured(spectra, zeros)[0][0] == 0
    measured(neighbour, values[1:])
    norm = measured(spectra, values)[0]
    for found, alone in zip(norm, (Spectra(), neighbour), strict=True):
        place = 0 if alone is not neighbour else 1
        expected = measured(alone, values[place : place + 1])[0]
        assert float(found) == pytest.approx(float(expected), rel=FLOAT32)


def test_matrices_of_one_shape_do_not_notice_each_other() -> None:
    draw = torch.Generator().manual_seed(9)
    several = {name: torch.randn(2, 90, 80, generator=draw) for name in "abc"}
    entries = {name: WeightEntry(name, Role.HIDDEN, 80, 90, 90 * 80) for name in several}
    matrices = [
        Matrix(entries[name], values, values.abs().amax((1, 2)).double(), probes.rms(values))
        for name, values in several.items()
    ]
    together, alone = Spectra(), {name: Spectra() for name in several}
    for _ in range(2):
        found = together.statistics(TensorKind.WEIGHT, matrices)
        for matrix in matrices:
            name = matrix.entry.name
            (expected,) = alone[name].statistics(TensorKind.WEIGHT, [matrix]).values()
            for statistic, values in expected.items():
                assert found[name][statistic].tolist() == pytest.approx(values.tolist(), rel=1e-5)


def test_a_member_that_diverged_disturbs_no_other() -> None:
    values = torch.randn(2, 20, 20, generator=torch.Generator().manual_seed(3))
    alone = measured(Spectra(), values[1:])[0]
    values[0, 0, 0] = torch.inf
    norm = measured(Spectra(), values)[0]
    assert not norm[0].isfinite()
    assert norm[1] == pytest.approx(float(alone[0]), rel=1e-6)


def test_a_table_has_the_largest_row_instead() -> None:
    entry = WeightEntry("w", Role.EMBEDDING, 1, 4, 12, kind=WeightKind.TABLE)
    values = torch.tensor([[[1.0, 1, 1, 1], [0, 0, 0, -4], [2, 0, 0, 0]]])
    found = statistics(Spectra(), entry, values)
    assert {name: value.tolist() for name, value in found.items()} == {Statistic.SPECTRAL: [2.0]}
