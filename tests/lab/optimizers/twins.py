"""Slow twins of the optimizers, written for reading from each paper's pseudo-code: one matrix."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from muscope.catalogue import Options
from tests.lab.optimizers.stepping import PREDICTIONS, Member, of_drawn_labels


def muon(start: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """Keller Jordan's post and code (muon.py), without bfloat16."""
    rows, columns = start.shape
    return _muon(start, gradients, member, options, scale=max(1, rows / columns) ** 0.5)


def muon_match_rms(
    start: Tensor, gradients: Sequence[Tensor], member: Member, options: Options
) -> Tensor:
    """Moonlight (Liu et al. 2025)."""
    return _muon(start, gradients, member, options, scale=0.2 * math.sqrt(max(start.shape)))


def _muon(
    w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options, scale: float
) -> Tensor:
    mu, lr, wd = float(options["momentum"]), member.learning_rate, member.weight_decay
    m = torch.zeros_like(w)
    for g in gradients:
        m = mu * m + (1 - mu) * g
        u = (1 - mu) * g + mu * m if options["nesterov"] else m
        left, singular, right = torch.linalg.svd(u, full_matrices=False)
        s = singular / singular.norm()
        for _ in range(5):  # Newton-Schulz acts on the singular values alone
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        w = (1 - lr * wd) * w - lr * scale * (left * s) @ right
    return w


def adopt(w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """Taniguchi et al. 2024, Algorithm 2, with the clipping of its later version."""
    b1, b2 = float(options["beta1"]), float(options["beta2"])
    m, v = torch.zeros_like(w), gradients[0] ** 2
    for t, g in enumerate(gradients[1:], start=1):
        ratio = g / v.sqrt().clamp(min=member.epsilon)
        if options["clip"]:
            ratio = ratio.clamp(-(t**0.25), t**0.25)
        m = b1 * m + (1 - b1) * ratio
        w = w - member.learning_rate * (m + member.weight_decay * w)
        v = b2 * v + (1 - b2) * g**2
    return w


def lamb(w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """You et al. 2020, Algorithm 2, phi the identity."""
    b1, b2 = float(options["beta1"]), float(options["beta2"])
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + member.epsilon)
        u = r + member.weight_decay * w
        w = w - member.learning_rate * w.norm() / u.norm() * u
    return w


def shampoo(w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """Gupta et al. 2018, Algorithm 1, with bias-corrected means for sums (Shi et al. 2023)."""
    b1, b2 = float(options["beta1"]), float(options["beta2"])
    m = torch.zeros_like(w)
    left, right = torch.zeros(len(w), len(w)).double(), torch.zeros(len(w.T), len(w.T)).double()
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        left = b2 * left + (1 - b2) * g @ g.T
        right = b2 * right + (1 - b2) * g.T @ g
        roots = [_root(s / (1 - b2**t), member.epsilon) for s in (left, right)]
        u = roots[0] @ (m / (1 - b1**t)) @ roots[1]
        w = (1 - member.learning_rate * member.weight_decay) * w - member.learning_rate * u
    return w


def _root(statistics: Tensor, epsilon: float) -> Tensor:
    """(S + epsilon I)^(-1/4)."""
    shifted = statistics + epsilon * torch.eye(len(statistics), dtype=torch.float64)
    left, singular, right = torch.linalg.svd(shifted)
    root: Tensor = left @ torch.diag(singular**-0.25) @ right
    return root


def soap(w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """Vyas et al. 2024, Algorithms 3 and 4; as in their code the first gradient moves nothing."""
    b1, b2, every = (float(options[name]) for name in ("beta1", "beta2", "precondition_frequency"))
    g = gradients[0]
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    left, right = (1 - b2) * g @ g.T, (1 - b2) * g.T @ g
    ql, qr = torch.linalg.eigh(left).eigenvectors, torch.linalg.eigh(right).eigenvectors
    for t, g in enumerate(gradients[1:], start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (ql.T @ g @ qr) ** 2
        n = ql.T @ m @ qr / (v.sqrt() + member.epsilon) * (1 - b2**t) ** 0.5 / (1 - b1**t)
        w = w - member.learning_rate * ql @ n @ qr.T
        w = w - member.learning_rate * member.weight_decay * w
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if t % every == 0:
            ql, rows = _followed(left, ql)
            qr, columns = _followed(right, qr)
            v = v[rows][:, columns]
    return w


def _followed(statistics: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """One power iteration and QR; directions sorted by their estimated eigenvalue."""
    eigenvalues = torch.diag(basis.T @ statistics @ basis)
    order = eigenvalues.argsort(descending=True)
    return torch.linalg.qr((statistics @ basis)[:, order]).Q, order


def sophia(w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """Liu et al. 2023, Algorithm 3 with the estimator of Algorithm 2."""
    b1, b2, gamma, k = _of_sophia(options)
    m, h = torch.zeros_like(w), torch.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        if t % k == 1 % k:
            h = b2 * h + (1 - b2) * PREDICTIONS * of_drawn_labels(g) ** 2
        w = w - member.learning_rate * member.weight_decay * w
        u = m / torch.clamp(gamma * h, min=member.epsilon)
        w = w - member.learning_rate * torch.clamp(u, -1, 1)
    return w


def sophia_code(w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """Liuhong99/Sophia at 2fc52f2: gamma is called rho, the curvature is not times B but bs is."""
    b1, b2, rho, k = _of_sophia(options)
    m, h = torch.zeros_like(w), torch.zeros_like(w)
    lr, bs = member.learning_rate, PREDICTIONS
    for t, g in enumerate(gradients):
        h = h if t % k else b2 * h + (1 - b2) * of_drawn_labels(g) ** 2
        w = w * (1 - lr * member.weight_decay)
        m = b1 * m + (1 - b1) * g
        ratio = (m.abs() / (rho * bs * h + 1e-15)).clamp(None, 1)
        w = w - lr * m.sign() * ratio
    return w


def sophia_first_code(
    w: Tensor, gradients: Sequence[Tensor], member: Member, options: Options
) -> Tensor:
    """Liuhong99/Sophia at 01af183, whose gamma is our gamma B and whose rate is ours over that."""
    b1, b2, ours, k = _of_sophia(options)
    gamma = ours * PREDICTIONS
    lr, wd = member.learning_rate / gamma, member.weight_decay * gamma
    m, h = torch.zeros_like(w), torch.zeros_like(w)
    for t, g in enumerate(gradients):
        h = h if t % k else b2 * h + (1 - b2) * of_drawn_labels(g) ** 2
        w = w * (1 - lr * wd)
        m = b1 * m + (1 - b1) * g
        ratio = (m.abs() / (h + 1e-15)).clamp(None, gamma)
        w = w - lr * m.sign() * ratio
    return w


def _of_sophia(options: Options) -> tuple[float, float, float, int]:
    """beta1, beta2, gamma, k."""
    betas = float(options["beta1"]), float(options["beta2"])
    return *betas, float(options["gamma"]), int(options["hessian_frequency"])
