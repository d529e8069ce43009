"""Latents by tiny encoders of random weights: what each checkpoint gives, and which view a voxel learns from."""

import io

import numpy as np
import pytest
import torch

from model_zoo import checkpoint
from model_zoo.build import iso3do, latents
from model_zoo.build.kinds import Room, Settings, Work
from model_zoo.build.shapes import open_shape, shape_members
from model_zoo.geometry.active import prune
from model_zoo.io.errors import BadInput
from tests.model_zoo.build.meshes import item_of, shape_of


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    for kind in ("geometry", "texture"):
        torch.manual_seed(0)
        checkpoint.save(folder / kind, checkpoint.fresh("tiny", kind), recipe="tiny", card={})
    return folder


@pytest.fixture(scope="module")
def cow(test_data):
    return test_data / "dev/meshes/spot_cow.glb"


def arrays(data: bytes) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(data), allow_pickle=False))


def test_a_build_stores_what_the_checkpoints_can_encode(checkpoints, cow) -> None:
    item = item_of(cow)
    for folder, names in (
        (checkpoints, {"latent.npz", "slat.npz"}),
        (checkpoints / "geometry", {"latent.npz"}),
        (checkpoints / "texture", {"slat.npz"}),
    ):
        settings = Settings("iso-3do", "", size=64, views=3, encoder=str(folder))
        room = Room(
            settings,
            lambda item: open_shape(cow.read_bytes(), item),
            lambda item: None,
            latents.encoder(folder),
        )
        made = list(iso3do.build(Work(0, (item,)), room))
        assert len(made) == 3
        assert names == {n for n in shape_members(made[0].shape) if n.endswith(".npz")}


def test_the_structure_latent_is_the_encoders_own(checkpoints, cow) -> None:
    shape, model = shape_of(cow), checkpoint.load(checkpoints / "geometry").model
    found = arrays(latents.encoder(checkpoints / "geometry")(shape, ())["latent.npz"])
    grid = torch.from_numpy(latents.solid(shape.mesh, 16)).float()[None, None]
    with torch.no_grad():
        wanted = model.encode_shape(grid)[0].numpy()
    assert found["mean"].dtype == found["logvar"].dtype == np.float16
    assert np.allclose(found["mean"], wanted, atol=2e-3)


def views_of(shape, count: int) -> list:
    """Target views of a shape, as the builder makes them."""
    seen = []
    settings = Settings("iso-3do", "", size=96, views=count)
    room = Room(
        settings, lambda item: shape, lambda item: None, lambda shape, views: seen.extend(views) or {}
    )
    list(iso3do.build(Work(0, (shape.item,)), room))
    return seen


def test_structured_latents_lie_on_the_active_voxels_and_come_from_views_that_see_them(
    checkpoints, cow
) -> None:
    shape = shape_of(cow)
    found = arrays(latents.encoder(checkpoints / "texture")(shape, views_of(shape, 6))["slat.npz"])
    wanted = prune(torch.from_numpy(latents.solid(shape.mesh, 16)).nonzero()).numpy()
    assert np.array_equal(found["coords"], wanted)
    assert found["mean"].shape == found["logvar"].shape == (len(wanted), 8)
    assert found["mean"].dtype == np.float16 and np.isfinite(found["mean"]).all()
    assert 1 < found["views"].mean() < 5  # about half of the views see the same side
    assert (found["views"] > 0).mean() > 0.9


def test_a_voxel_projects_into_the_pixel_that_shows_its_surface(cow) -> None:
    shape = shape_of(cow)
    for view in views_of(shape, 2):
        points = torch.from_numpy(np.asarray(shape.mesh.vertices)[::7].copy())
        places, depths = latents._project(points, view)
        pixel = np.rint((places.numpy() + 1) / 2 * 96 - 0.5).astype(int).clip(0, 95)
        there = view.depth[pixel[:, 1], pixel[:, 0]]
        # Vertices do not lie nearer than the surface that their pixel shows, but at an outline; many lie on it.
        ahead = depths.numpy() - there
        assert np.nanquantile(ahead, 0.02) > -0.03 and (np.abs(ahead) < 0.01).mean() > 0.2


def test_a_checkpoint_without_its_encoder_or_none_at_all_is_refused(checkpoints, tmp_path) -> None:
    model = checkpoint.load(checkpoints / "geometry").model
    model.encoder = checkpoint.Absent("encoder")
    checkpoint.save(tmp_path / "bare", model, recipe="tiny", card={})
    with pytest.raises(BadInput, match="no encoder"):
        latents.encoder(tmp_path / "bare")
    with pytest.raises(BadInput, match="not a checkpoint"):
        latents.encoder(tmp_path)
