"""The texture model in half precision."""

import torch

from model_zoo.texture.model import TextureModel
from model_zoo.texture.recipes import tiny


@torch.no_grad()
def test_a_halved_model_samples_and_decodes_near_the_whole_one():
    torch.manual_seed(0)
    model = TextureModel(tiny()).eval()
    views = {
        n: torch.rand(1, 1 if "mask" in n else 3, 48, 48)
        for n in ("image", "rgb_image", "mask", "rgb_image_mask")
    }
    coords = torch.unique(torch.randint(0, 16, (200, 3)), dim=0)
    latents = model.sample(views, [coords], seed=0, steps=3)[0]
    splats, (_, cubes) = model.gaussians(coords, latents), model.mesh(coords, latents)
    half = model.halved()
    close = half.sample(views, [coords], seed=0, steps=3)[0]
    assert close.dtype == torch.float32 and (close - latents).abs().max() < 0.1
    for mine, theirs in zip(half.gaussians(coords, latents), splats, strict=True):
        assert mine.dtype == torch.float32 and (mine - theirs).abs().max() < 0.05
    assert (half.mesh(coords, latents)[1] - cubes).abs().max() < 0.05 * cubes.abs().max()
