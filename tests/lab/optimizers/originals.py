"""The optimizers of torch.optim and of pytorch_optimizer, stepped alone on one matrix."""

from collections.abc import Callable, Sequence

import pytorch_optimizer
import torch
from torch import Tensor

from muscope.catalogue import Options
from tests.lab.optimizers.stepping import PREDICTIONS, Member, of_drawn_labels

Original = Callable[[Tensor, Sequence[Tensor], Member, Options], Tensor]
"""The weight after all gradients, from start, gradients, scalars and options."""

Make = Callable[[list[Tensor], Member, Options], torch.optim.Optimizer]


def run(make: Make) -> Original:
    """What an optimizer with PyTorch's interface does to one weight."""

    def original(
        start: Tensor, gradients: Sequence[Tensor], member: Member, options: Options
    ) -> Tensor:
        weight = torch.nn.Parameter(start.clone())
        optimizer = make([weight], member, options)
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        return weight.detach()

    return original


def betas(options: Options) -> tuple[float, float]:
    """Both decays, as PyTorch takes them."""
    return float(options["beta1"]), float(options["beta2"])


def sgd(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """torch.optim.SGD."""
    return torch.optim.SGD(weights, lr=member.learning_rate, momentum=float(options["momentum"]))


def adam(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """torch.optim.Adam."""
    return torch.optim.Adam(
        weights,
        lr=member.learning_rate,
        betas=betas(options),
        eps=member.epsilon,
        weight_decay=member.weight_decay,
    )


def adamw(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """torch.optim.AdamW."""
    return torch.optim.AdamW(
        weights,
        lr=member.learning_rate,
        betas=betas(options),
        eps=member.epsilon,
        weight_decay=member.weight_decay,
    )


def adamw_independent(
    weights: list[Tensor], member: Member, options: Options
) -> torch.optim.Optimizer:
    """torch.optim.AdamW, its decay divided by the learning rate that it is multiplied by."""
    return torch.optim.AdamW(
        weights,
        lr=member.learning_rate,
        betas=betas(options),
        eps=member.epsilon,
        weight_decay=member.weight_decay / member.learning_rate,
    )


def adafactor(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """torch.optim.Adafactor with the paper's epsilon_1."""
    return torch.optim.Adafactor(
        weights,
        lr=member.learning_rate,
        beta2_decay=float(options["beta2_decay"]),
        eps=(1e-30, float(options["smallest_scale"])),
        weight_decay=member.weight_decay,
    )


def muon(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """torch.optim.Muon, `original`."""
    return _muon(weights, member, options, "original")


def muon_match_rms(
    weights: list[Tensor], member: Member, options: Options
) -> torch.optim.Optimizer:
    """torch.optim.Muon, `match_rms_adamw`."""
    return _muon(weights, member, options, "match_rms_adamw")


def _muon(
    weights: list[Tensor], member: Member, options: Options, adjust: str
) -> torch.optim.Optimizer:
    return torch.optim.Muon(
        weights,
        lr=member.learning_rate,
        momentum=float(options["momentum"]),
        nesterov=bool(options["nesterov"]),
        weight_decay=member.weight_decay,
        adjust_lr_fn=adjust,
    )


def lion(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """pytorch_optimizer.Lion."""
    return pytorch_optimizer.Lion(
        weights, lr=member.learning_rate, betas=betas(options), weight_decay=member.weight_decay
    )


def adopt(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """pytorch_optimizer.ADOPT without clipping."""
    return pytorch_optimizer.ADOPT(
        weights,
        lr=member.learning_rate,
        betas=betas(options),
        eps=member.epsilon,
        clip_lambda=None,  # type: ignore[arg-type]  # None is what turns it off
    )


def lamb(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """pytorch_optimizer.Lamb; by default it divides the trusted step by 1 - beta1^t once more."""
    return pytorch_optimizer.Lamb(
        weights,
        lr=member.learning_rate,
        betas=betas(options),
        eps=member.epsilon,
        adam_debias=True,
    )


def shampoo(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """pytorch_optimizer.Shampoo: sums, no momentum."""
    return pytorch_optimizer.Shampoo(
        weights,
        lr=member.learning_rate,
        matrix_eps=member.epsilon,
        weight_decay=member.weight_decay,
        weight_decouple=True,
    )


def sophia(start: Tensor, gradients: Sequence[Tensor], member: Member, options: Options) -> Tensor:
    """pytorch_optimizer.SophiaH, handed estimates of Sophia-G's kind instead of Hutchinson's.

    It clips m / max(h, epsilon) at p: with p our gamma, its rate is ours divided by gamma.
    """
    gamma, every = float(options["gamma"]), int(options["hessian_frequency"])
    weight = torch.nn.Parameter(start.clone())
    optimizer = pytorch_optimizer.SophiaH(
        [weight],
        lr=member.learning_rate / gamma,
        betas=betas(options),
        weight_decay=member.weight_decay * gamma,
        p=gamma,
        eps=member.epsilon / gamma,
        update_period=every,
    )
    for step, gradient in enumerate(gradients):
        weight.grad = gradient.clone()
        estimate = PREDICTIONS * of_drawn_labels(gradient).square()
        optimizer.step(hessian=None if step % every else [estimate])
    return weight.detach()


def soap(weights: list[Tensor], member: Member, options: Options) -> torch.optim.Optimizer:
    """pytorch_optimizer.SOAP."""
    return pytorch_optimizer.SOAP(
        weights,
        lr=member.learning_rate,
        betas=betas(options),
        eps=member.epsilon,
        weight_decay=member.weight_decay,
        precondition_frequency=int(options["precondition_frequency"]),
    )
