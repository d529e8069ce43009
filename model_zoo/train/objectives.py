"""What a training step computes for each objective: batches of examples to a loss. Shared by the stages."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from model_zoo import flow, losses
from model_zoo.examples import Example, Pair
from model_zoo.geometry import pose
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.occupancy import to_tokens
from model_zoo.geometry.transformer import KeysValues, Latents

Figures = Mapping[str, Tensor]
FLAT_SHARE = 0.3


def moved(views: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {n: v.to(device) for n, v in views.items()}


def mirrored(batch: Example, flip: Tensor) -> Example:
    """Mirrors left and right in the rows where flip (B,) is true: picture, pointmap, shape and pose alike."""
    pick = flip.view(-1, 1, 1, 1)
    views = {}
    for name, value in batch.views.items():
        turned = value.flip(-1)
        if "pointmap" in name:
            turned = turned * turned.new_tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
        views[name] = torch.where(pick, turned, value)
    occupancy = torch.where(flip.view(-1, 1, 1, 1, 1), batch.occupancy.flip(2), batch.occupancy)
    across = torch.diag(torch.tensor([-1.0, 1.0, 1.0], device=flip.device))
    rotation = pose.rotation_of(batch.layout["6drotation_normalized"])
    turned_layout = dict(batch.layout)
    turned_layout["6drotation_normalized"] = pose.code_of(across @ rotation @ across)
    turned_layout["translation"] = batch.layout["translation"] @ across
    layout = {n: torch.where(flip.view(-1, 1, 1), v, batch.layout[n]) for n, v in turned_layout.items()}
    return Example(views, occupancy, layout, batch.layout_weight)


def augmented(batch: Example, generator: torch.Generator) -> Example:
    """Random mirror, colour gains common to both views, pointmap noise with holes, and objects flattened in depth.

    A flat object is what the geometric fallback gives for a photo without depth.
    """
    size = len(batch.occupancy)
    batch = mirrored(batch, torch.rand(size, generator=generator) < 0.5)
    gain = 0.6 + 0.8 * torch.rand(size, 1, 1, 1, generator=generator)
    tint = 0.85 + 0.3 * torch.rand(size, 3, 1, 1, generator=generator)
    grey = (torch.rand(size, 1, 1, 1, generator=generator) < 0.15).float()
    views = dict(batch.views)
    for name in ("image", "rgb_image"):
        image = (views[name] * gain * tint).clamp(0, 1)
        views[name] = image + grey * (image.mean(1, keepdim=True) - image)
    flat = (torch.rand(size, 1, 1, 1, generator=generator) < FLAT_SHARE).float()
    for name, mask in (("pointmap", "mask"), ("rgb_pointmap", "rgb_image_mask")):
        points = views[name]
        inside = flat * nearest_resized(views[mask], points.shape[-1])
        points = torch.cat([points[:, :2], torch.where(inside > 0, 0.0, points[:, 2:])], 1)
        noisy = points + 0.02 * torch.rand(size, 1, 1, 1, generator=generator) * torch.randn(
            points.shape, generator=generator
        )
        holes = torch.rand(points.shape[0], 1, *points.shape[2:], generator=generator) < 0.05
        views[name] = noisy.masked_fill(holes, float("nan"))
    return batch._replace(views=views)


def nearest_resized(x: Tensor, side: int) -> Tensor:
    """(B, C, S, S) -> (B, C, side, side)."""
    return F.interpolate(x, (side, side), mode="nearest")


def condition(
    model: GeometryModel,
    views: Mapping[str, Tensor],
    generator: torch.Generator,
    drop: float,
    drop_pointmap: float,
) -> KeysValues:
    """Keys and values of the condition, whole rows zeroed with probability `drop`, pointmaps with `drop_pointmap`."""
    device, size = views["image"].device, len(views["image"])
    keep_points = (torch.rand(size, generator=generator) >= drop_pointmap).float().to(device)
    keep = (torch.rand(size, generator=generator) >= drop).float().to(device)
    return model.transformer.keys_values(model.embedder(views, keep_points) * keep.view(-1, 1, 1))


def targets(model: GeometryModel, batch: Example, device: torch.device) -> Latents:
    """Clean latents x1 of a batch: encoded shape and layout."""
    with torch.no_grad():
        shape = model.encode_shape(batch.occupancy.to(device)).float()
    return {"shape": shape, **{n: v.to(device) for n, v in batch.layout.items()}}


def flow_matching(
    model: GeometryModel, batch: Example, generator: torch.Generator, *, weights: Mapping[str, float],
    draws: int, drop: float = 0.1, drop_pointmap: float = 0.1,
) -> tuple[Tensor, Figures]:  # fmt: skip
    """Conditional flow matching with `draws` times and noises per object, which share its keys and values."""
    device = next(model.parameters()).device
    kv = condition(model, moved(batch.views, device), generator, drop, drop_pointmap)
    x1 = {n: v.repeat_interleave(draws, 0) for n, v in targets(model, batch, device).items()}
    size = len(x1["shape"])
    x0 = {
        n: v.to(device)
        for n, v in flow.draw_noise(model.config.transformer.latent_shapes, size, generator).items()
    }
    tau = flow.logit_normal_times(size, generator).to(device)
    x_tau = {n: flow.interpolate(x0[n], x1[n], tau) for n in x1}
    predicted = model.velocity(x_tau, tau, kv)
    wanted = {n: flow.velocity(x0[n], x1[n]) for n in x1}
    known = {n: w.to(device).repeat_interleave(draws, 0) for n, w in batch.layout_weight.items()}
    return losses.flow_matching(predicted, wanted, weights, known)


def occupancy_codec(
    model: GeometryModel, batch: Tensor, generator: torch.Generator, kl_weight: float
) -> tuple[Tensor, Figures]:
    """The occupancy VAE on grids (B, 1, G, G, G); figure: voxel IoU."""
    occupancy = batch.to(next(model.parameters()).device)
    mean, logvar = model.encoder(occupancy)
    mean, logvar = mean.float(), logvar.float().clamp(-12, 6)
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    logits = model.decoder(mean + noise * (0.5 * logvar).exp())
    loss, kl = losses.occupancy_vae(logits, occupancy, mean, logvar, kl_weight)
    full = logits.detach() > 0
    both, either = (full & (occupancy > 0.5)).sum(), (full | (occupancy > 0.5)).sum()
    return loss, {"kl": kl.detach(), "iou": both / either.clamp_min(1)}


def preference(
    model: GeometryModel, reference: GeometryModel, batch: Pair, generator: torch.Generator, *,
    beta: float, draws: int, anchor: float,
) -> tuple[Tensor, Figures]:  # fmt: skip
    """Flow-DPO on the shape latent; winner and loser share tau and x0, and the layout stream is not run."""
    device = next(model.parameters()).device
    views = moved(batch.views, device)
    kv = condition(model, views, generator, 0.0, 0.0)
    with torch.no_grad():
        kv_ref = condition(reference, views, generator, 0.0, 0.0)
    size = len(batch.chosen) * draws
    x0 = torch.randn(size, *model.config.transformer.latent_shapes["shape"], generator=generator).to(device)
    tau = torch.rand(size, generator=generator).to(device)
    errors = {}
    for side, grid in (("winner", batch.chosen), ("loser", batch.rejected)):
        with torch.no_grad():
            y = to_tokens(reference.encoder(grid.to(device))[0]).float().repeat_interleave(draws, 0)
            x_tau = flow.interpolate(x0, y, tau)
            held = reference.velocity({"shape": x_tau}, tau, kv_ref)["shape"]
            errors[f"{side}_ref"] = losses.velocity_error(held, y - x0)
        moving = model.velocity({"shape": x_tau}, tau, kv)["shape"]
        errors[side] = losses.velocity_error(moving, y - x0)
    weights = batch.weight.to(device).repeat_interleave(draws, 0)
    result = losses.flow_dpo(**errors, beta=beta, anchor=anchor, weights=weights)
    return result.loss, {
        n: getattr(result, n).detach() for n in ("delta", "winner_change", "loser_change", "accuracy")
    }


def shortcut(
    model: GeometryModel, teacher: GeometryModel, batch: Example, generator: torch.Generator, *,
    weights: Mapping[str, float], strength: float,
) -> tuple[Tensor, Figures]:  # fmt: skip
    """Self-consistency: one jump of 2d must equal two guided jumps of d by the averaged teacher (training.md 1.6)."""
    device = next(model.parameters()).device
    views = moved(batch.views, device)
    kv = condition(model, views, generator, 0.0, 0.0)
    with torch.no_grad():
        kv_teacher = teacher.transformer.keys_values(teacher.embedder(views))
    x1 = targets(model, batch, device)
    size = len(x1["shape"])
    x0 = {
        n: v.to(device)
        for n, v in flow.draw_noise(model.config.transformer.latent_shapes, size, generator).items()
    }
    jump = 2.0 ** -torch.randint(0, 7, (size,), generator=generator).float()  # 2d in {1, 1/2, ... 1/64}
    tau = (
        torch.rand(size, generator=generator) / jump
    ).floor() * jump  # on the grid of the big jump: tau + 2d <= 1
    tau, d = tau.to(device), (jump / 2).to(device)

    def field(x: Latents, at: Tensor, step: Tensor) -> Latents:
        v, u = teacher.velocity(x, at, kv_teacher, step), teacher.velocity(x, at, None, step)
        return {n: flow.guided(v[n], u[n], strength) for n in v}

    x_tau = {n: flow.interpolate(x0[n], x1[n], tau) for n in x1}
    wanted = flow.shortcut_target(field, x_tau, tau, d)
    return losses.flow_matching(model.velocity(x_tau, tau, kv, 2 * d), wanted, weights)
