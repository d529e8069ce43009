"""Objectives of the training stages as pure functions of tensors (training.md section 1, paper section C)."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

FLOW_WEIGHTS = {
    "shape": 1.0,
    "6drotation_normalized": 0.1,
    "translation": 1.0,
    "scale": 0.1,
    "translation_scale": 0.0,
}


def velocity_error(predicted: Tensor, target: Tensor) -> Tensor:
    """e = mean over elements of || v_theta - v* ||^2 for each row: (B, tokens, channels) -> (B,)."""
    return (predicted.float() - target).square().flatten(1).mean(1)


def flow_matching(
    predicted: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    weights: Mapping[str, float],
    row_weights: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """L_CFM = sum_m lambda_m E || v_theta^m(x_tau, c, tau) - v*^m ||^2 over the modalities m (paper eq. C.2).

    row_weights: modality -> (B,), 0 for rows of which it may not be learnt, 1 for others; one that is not named counts.
    Returns the loss and each modality's own mean error.
    """
    total, parts = torch.zeros(()), {}
    for name, weight in weights.items():
        if name not in predicted:
            continue
        errors = velocity_error(predicted[name], target[name])
        if row_weights is not None and name in row_weights:
            errors = errors * row_weights[name]
        parts[name] = errors.mean()
        total = total + weight * parts[name]
    return total, parts


class Preference(NamedTuple):
    """What one Flow-DPO batch says: `loss` to minimise, and the health figures of training.md 1.4."""

    loss: Tensor
    delta: Tensor
    winner_change: Tensor
    loser_change: Tensor
    accuracy: Tensor


def flow_dpo(
    winner: Tensor,
    winner_ref: Tensor,
    loser: Tensor,
    loser_ref: Tensor,
    beta: float,
    omega: float = 1.0,
    anchor: float = 0.0,
    weights: Tensor | None = None,
) -> Preference:
    """Flow-DPO on per-row velocity errors e_y = mean || v(x_tau^y, c, tau) - (y - x0) ||^2, each (B,).

    Delta = [e_w(theta) - e_w(ref)] - [e_l(theta) - e_l(ref)]
    L = - E log sigmoid( - (beta / 2) omega Delta ) + anchor E e_w(theta)          (paper eq. C.3, training.md 1.4)
    tau and x0 are the same for winner and loser; errors are means over elements, so beta does not depend on size.
    weights (B,): how sure each pair is, its posterior; the first expectation is the weighted mean, so that pairs of one
    weight give the paper's loss whatever it is.
    """
    dw, dl = winner - winner_ref, loser - loser_ref
    delta = dw - dl
    each = -F.logsigmoid(-0.5 * beta * omega * delta)
    first = each.mean() if weights is None else (weights * each).sum() / weights.sum()
    loss = first + anchor * winner.mean()
    return Preference(loss, delta.mean(), dw.mean(), dl.mean(), (delta < 0).float().mean())


def occupancy_vae(
    logits: Tensor, occupancy: Tensor, mean: Tensor, logvar: Tensor, kl_weight: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of voxels plus kl_weight KL(q || N(0, I)), both means over elements; returns (loss, kl).

    KL = 1/2 (mean^2 + exp(logvar) - 1 - logvar) (Kingma and Welling 2014, appendix B).
    """
    entropy = F.binary_cross_entropy_with_logits(logits.float(), occupancy)
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return entropy + kl_weight * kl, kl
