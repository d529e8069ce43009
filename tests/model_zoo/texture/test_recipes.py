"""Recipes: `full` has exactly the released tensors; `tiny` runs forward and backward within a second."""

import json
import os
import time
from pathlib import Path

import pytest
import torch

from model_zoo.texture.encoder import kl_per_voxel
from model_zoo.texture.model import PREFIXES, TextureModel
from model_zoo.texture.recipes import RECIPES, TextureConfig, full, tiny
from tests.model_zoo.texture.grids import shell

MANIFESTS = (
    Path(os.environ.get("MAQUETTE_PARITY", Path(__file__).parents[3] / ".." / "shared" / "parity"))
    / "manifests"
)
FILES = {
    "slat_decoder_gs": "gaussian_decoder",
    "slat_decoder_gs_4": "gaussian_decoder_4",
    "slat_decoder_mesh": "mesh_decoder",
}


@pytest.fixture(scope="module")
def full_model():
    with torch.device("meta"):
        return TextureModel(full())


def manifest(name):
    path = MANIFESTS / f"{name}_manifest.json"
    if not path.exists():
        pytest.skip("parity manifests are not here")
    return {n: tuple(row["shape"]) for n, row in json.loads(path.read_text()).items()}


def shapes(module, prefix=""):
    return {prefix + n: tuple(v.shape) for n, v in module.state_dict().items()}


def test_full_generator_and_embedder_have_the_released_tensors(full_model):
    ours = shapes(full_model.transformer, PREFIXES["transformer."]) | shapes(
        full_model.embedder, PREFIXES["embedder."]
    )
    assert ours == manifest("slat_generator")


@pytest.mark.parametrize("name", FILES)
def test_full_decoder_has_the_released_tensors(full_model, name):
    assert shapes(full_model.get_submodule(FILES[name])) == manifest(name)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_survives_its_json(recipe):
    config = RECIPES[recipe]()
    assert TextureConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_every_part_of_the_model_has_a_stored_name():
    with torch.device("meta"):
        model = TextureModel(tiny())
    assert {f"{n}." for n, _ in model.named_children()} == set(PREFIXES)


def test_tiny_runs_forward_and_backward_within_a_second_of_cpu_with_gradients_everywhere():
    torch.manual_seed(0)
    model, voxels = TextureModel(tiny()), shell(7)
    names = ("image", "rgb_image", "mask", "rgb_image_mask")
    views = {n: torch.rand(1, 1 if "mask" in n else 3, 48, 48) for n in names}

    def loss():
        mean, logvar = model.encoder(torch.rand(len(voxels), 96), voxels)
        kv = model.transformer.keys_values(model.embedder(views))
        v = model.transformer(mean, voxels, model.transformer.modulation(torch.tensor([400.0])), kv)
        splats = [d(mean, voxels).square().mean() for d in (model.gaussian_decoder, model.gaussian_decoder_4)]
        return v.square().mean() + kl_per_voxel(mean, logvar, voxels) + sum(splats) + model.mesh_decoder(
            mean, voxels
        )[1].square().mean()  # fmt: skip

    start = time.thread_time()
    loss().backward()
    assert time.thread_time() - start < 1
    idle = ("mask_token", "backbone.norm.")  # DINO's own training and its last norm
    missing = [n for n, p in model.named_parameters() if p.grad is None and not any(i in n for i in idle)]
    assert missing == []
