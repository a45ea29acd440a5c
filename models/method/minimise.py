"""Algorithm 1 of SM-GAN: x* = argmin ||S(x, sigma_N)||^2, from the mixed image, by Adam.

`residual(x, sigma)` stands for sigma S(x, sigma) throughout: numbers of order one at every level.
Shapes: x (B, C, H, W) in [0, 1]; norms (B,).
"""

from collections.abc import Callable

import torch
from torch import Tensor

Residual = Callable[[Tensor, float], Tensor]

BETA_1, BETA_2, EPS = 0.9, 0.999, 1e-8  # of Adam
_LOOK_EVERY = 10  # steps, on a GPU: whether all images have stopped


@torch.no_grad()
def score_norm(x: Tensor, residual: Residual, sigma_N: float) -> Tensor:
    """||sigma_N S(x, sigma_N)||^2 / D, per dimension; (B,) float32."""
    return residual(x, sigma_N).float().square().mean(dim=(1, 2, 3))


def minimise(
    x: Tensor,
    residual: Residual,
    sigma_N: float,
    *,
    steps: int,
    lr: float,
    noise: Callable[[], Tensor] | None = None,
    stop_norm: float | None = None,
    on_first_norm: Callable[[Tensor], None] = lambda norm: None,
) -> Tensor:
    """x* (B, C, H, W) after `steps` steps of Adam from `lr`, decayed linearly to 0.

    The gradient 2 J^T S is one vector-Jacobian product: with frozen weights nothing else is
    differentiated. Adam works element by element, so images do not influence each other.

    noise: draws z like x for each step, and S is then taken at x + sigma_N z
        (`score_noise: fresh`); None takes it at x itself.
    stop_norm: an image stops moving once its ||sigma_N S||^2 / D is not above this.
    on_first_norm: receives that norm (B,) of the mixed images, which the first step computes
        anyway; not called with `noise`, where the norm is another one, or without steps.
    """
    x = x.detach().clone()
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    moving = torch.ones(len(x), 1, 1, 1, dtype=torch.bool, device=x.device)
    for step in range(steps):
        # Gradient of the objective ||sigma_N S(x, sigma_N)||^2.
        gradient, norm = _gradient(x, residual, sigma_N, noise() if noise else None)
        if step == 0 and noise is None:
            on_first_norm(norm)

        # Stop the images whose norm is low enough (`stop: real`; not in the paper).
        if stop_norm is not None:
            moving &= (norm > stop_norm).reshape(-1, 1, 1, 1)
            # To look at it is to wait for a GPU; images that have stopped do not move meanwhile.
            if (x.device.type == "cpu" or step % _LOOK_EVERY == 0) and not moving.any():
                break

        # Update Adam's moments.
        first.lerp_(gradient, 1 - BETA_1)
        second.lerp_(gradient.square(), 1 - BETA_2)

        # Correct their bias, and step at the decayed rate.
        rate = lr * (1 - step / steps)
        unbiased_first = first / (1 - BETA_1 ** (step + 1))
        unbiased_second = second / (1 - BETA_2 ** (step + 1))
        change = rate * unbiased_first / (unbiased_second.sqrt() + EPS)
        x = x - change if stop_norm is None else torch.where(moving, x - change, x)
    return x


def _gradient(
    x: Tensor, residual: Residual, sigma_N: float, noise: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gradient of ||sigma_N S||^2 with respect to x, (B, C, H, W), and its value / D, (B,)."""
    with torch.enable_grad():
        point = (x if noise is None else x + sigma_N * noise).detach().requires_grad_()
        scaled_score = residual(point, sigma_N)
        objective = scaled_score.square().sum(dim=(1, 2, 3))
        (gradient,) = torch.autograd.grad(objective.sum(), point)
    return gradient, objective.detach() / x[0].numel()
