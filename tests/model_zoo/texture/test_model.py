"""The whole second stage at `tiny`: samples from a photo and voxels, and what they decode to."""

import pytest
import torch

from model_zoo.extract.flexicubes import extract_surface
from model_zoo.texture.model import TextureModel
from model_zoo.texture.recipes import tiny
from tests.model_zoo.texture.grids import shell


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TextureModel(tiny()).eval()


@pytest.fixture(scope="module")
def views():
    names = ("image", "rgb_image", "mask", "rgb_image_mask")
    return {n: torch.rand(1, 1 if "mask" in n else 3, 48, 48) for n in names}


def test_a_sample_does_not_depend_on_its_neighbours_in_the_batch(model, views):
    coords = [shell(n).coords[:, 1:] for n in (8, 12)]
    together = model.sample(views, coords, seed=3, steps=2)
    again = model.sample(views, coords, seed=3, steps=2)
    second = model.sample(views, coords[1:], seed=4, steps=2)[0]
    assert [len(x) for x in together] == [len(c) for c in coords]
    assert all(torch.equal(a, b) for a, b in zip(together, again, strict=True))
    torch.testing.assert_close(together[1], second, rtol=1e-4, atol=1e-5)


def test_hidden_tokens_of_the_first_stage_give_the_same_sample(model, views):
    coords = [shell(8).coords[:, 1:]]
    hidden = model.embedder.encode(views)
    a, b = (model.sample(views, coords, seed=0, steps=1, hidden=h)[0] for h in (None, hidden))
    torch.testing.assert_close(a, b)


def test_objects_that_cannot_share_the_photos_are_refused(model, views):
    with pytest.raises(ValueError, match="share"):
        model.sample(views, [], seed=0)


@pytest.mark.parametrize(
    "coords", [torch.zeros(0, 3), torch.tensor([[0, 0, 16]]), torch.tensor([[-1, 0, 0]])]
)
def test_voxels_outside_the_grid_and_objects_without_any_are_refused(model, coords):
    with pytest.raises(ValueError, match="active voxels"):
        model.gaussians(coords.long(), torch.zeros(len(coords), 8))


def test_latents_become_splats_and_a_surface(model, views):
    coords = shell(10).coords[:, 1:]
    (feats,) = model.sample(views, [coords], seed=0, steps=1)
    splats, light = model.gaussians(coords, feats), model.gaussians(coords, feats, light=True)
    assert (len(splats.xyz), len(light.xyz)) == (32 * len(coords), 4 * len(coords))
    surface = extract_surface(*model.mesh(coords, feats), 64)
    assert surface.vertices.abs().max() <= 0.5 and torch.isfinite(surface.attributes).all()
