"""Recipes: `full` has exactly the released tensors; `tiny` is small, complete and quick."""

import json
import os
from pathlib import Path

import pytest
import torch

from model_zoo import flow
from model_zoo.geometry.model import GeometryModel, own_names, released_names
from model_zoo.geometry.recipes import RECIPES, GeometryConfig, full, tiny

MANIFESTS = (
    Path(os.environ.get("MAQUETTE_PARITY", Path(__file__).parents[3] / ".." / "shared" / "parity"))
    / "manifests"
)


@pytest.fixture(scope="module")
def full_state():
    with torch.device("meta"):
        return released_names(GeometryModel(full()).state_dict())


def manifest(name):
    path = MANIFESTS / f"{name}_manifest.json"
    if not path.exists():
        pytest.skip("parity manifests are not here")
    return {n: tuple(row["shape"]) for n, row in json.loads(path.read_text()).items()}


def part(state, prefix):
    return {n.removeprefix(prefix): tuple(v.shape) for n, v in state.items() if n.startswith(prefix)}


def test_full_generator_and_embedder_have_the_released_tensors(full_state):
    ours = part(full_state, "_base_models.generator.") | part(full_state, "_base_models.condition_embedder.")
    theirs = {n.split(".", 2)[2]: s for n, s in manifest("ss_generator").items()}
    assert ours == theirs


@pytest.mark.parametrize("name", ["decoder", "encoder"])
def test_full_codec_has_the_released_tensors(full_state, name):
    assert part(full_state, f"_base_models.{name}.") == manifest(f"ss_{name}")


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_survives_its_json(recipe):
    config = RECIPES[recipe]()
    assert GeometryConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_tiny_fits_ten_megabytes_and_names_go_both_ways():
    state = GeometryModel(tiny()).state_dict()
    assert sum(v.numel() for v in state.values()) * 2 < 10e6
    assert set(own_names(released_names(state))) == set(state)


def test_tiny_runs_forward_and_backward_with_gradients_everywhere():
    torch.manual_seed(0)
    model = GeometryModel(tiny())
    views = {
        n: torch.rand(1, 1 if "mask" in n else 3, 64, 64)
        for n in ("image", "rgb_image", "mask", "rgb_image_mask", "pointmap", "rgb_pointmap")
    }
    views["pointmap"][:, :, :3] = float("nan")
    kv = model.transformer.keys_values(model.embedder(views))
    noise = flow.draw_noise(model.config.transformer.latent_shapes, 2, torch.Generator().manual_seed(0))
    sum(v.square().sum() for v in model.velocity(noise, torch.tensor([0.5]), kv).values()).backward()
    used = [
        n
        for n, p in model.named_parameters()
        if n[0] in "et" and not n.startswith("encoder") and p.requires_grad
    ]
    assert [n for n in used if dict(model.named_parameters())[n].grad is None] == []


@torch.no_grad()
def test_a_halved_model_samples_and_decodes_near_the_whole_one():
    torch.manual_seed(0)
    model = GeometryModel(tiny()).eval()
    views = {
        n: torch.rand(1, 1 if "mask" in n else 3, 48, 48)
        for n in ("image", "rgb_image", "mask", "rgb_image_mask", "pointmap", "rgb_pointmap")
    }
    whole = model.decode_shape(model.sample(views, seed=0, steps=2)["shape"])
    half = model.halved()
    latents = half.sample(views, seed=0, steps=2)
    assert all(v.dtype == torch.float32 for v in latents.values())
    assert (half.decode_shape(latents["shape"]) - whole).abs().mean() < 0.1 * whole.abs().mean()
