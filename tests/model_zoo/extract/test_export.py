"""From decoder outputs to a GLB that reads back upright, in place, with its colours."""

import numpy as np
import pytest
import torch

from model_zoo.extract import tables
from model_zoo.extract.export import coloured_glb, surface_mesh, textured_glb, tidied, with_texture
from model_zoo.extract.flexicubes import CHANNELS, Surface, extract_surface
from model_zoo.extract.splat_colours import DC
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import load_mesh
from model_zoo.render import views
from model_zoo.texture.gaussians import Gaussians

RESOLUTION = 32


@pytest.fixture(scope="module")
def surface():
    """A ball in the upper half of the object frame, red above and blue below, with an inner wall."""
    coords = torch.cartesian_prod(*[torch.arange(RESOLUTION)] * 3)
    middle = torch.tensor([0.0, 0, 0.15])
    distance = ((coords + 0.5) / RESOLUTION - 0.5 - middle).norm(dim=1) - 0.3
    coords = coords[distance.abs() < 3 / RESOLUTION]
    p = (coords[:, None] + torch.tensor(tables.CORNERS)) / RESOLUTION - 0.5
    features = torch.zeros(len(coords), CHANNELS)
    features[:, :8] = (p - middle).norm(dim=-1) - 0.3 + 1 / RESOLUTION
    above = torch.where(p[..., 2] > 0.15, 9.0, -9.0)
    colour = torch.stack([above, torch.full_like(above, -9), -above, *[torch.zeros_like(above)] * 3], -1)
    features[:, 53:] = colour.reshape(len(coords), -1)
    return extract_surface(coords, features, RESOLUTION)


def colours_seen(data):
    """Mean colours (3,) of the upper and lower rows of what is seen from the side."""
    mesh = load_mesh(data).mesh
    view = views(mesh, [(40, 0)], (96, 96))[0]
    rows = np.nonzero(view.mask)[0]
    cut = (rows.min() + rows.max()) // 2
    return mesh, [
        view.rgb[part][view.mask[part]].mean(0) for part in (slice(0, cut - 6), slice(cut + 6, None))
    ]


def test_the_delivered_mesh_is_y_up_with_vertex_colours(surface):
    mesh, (top, bottom) = colours_seen(coloured_glb(surface))
    assert len(mesh.faces) == len(surface.faces)
    assert mesh.bounds == pytest.approx(np.array([[-0.3, -0.15, -0.3], [0.3, 0.45, 0.3]]), abs=0.01)
    assert top[0] > 3 * top[2] and bottom[2] > 3 * bottom[0]


def test_the_textured_mesh_is_tidy_and_keeps_the_colours_of_its_vertices(surface):
    mesh, (top, bottom) = colours_seen(textured_glb(surface))
    assert mesh.visual.kind == "texture" and mesh.visual.material.roughnessFactor == 1.0
    assert top[0] > 3 * top[2] and bottom[2] > 3 * bottom[0]


def test_splats_decide_over_vertex_colours(surface):
    green = torch.tensor([[-0.5, 0.5, -0.5]]).expand(len(surface.vertices), 3) / DC
    turn = torch.tensor([[1.0, 0, 0, 0]]).expand(len(green), 4)
    splats = Gaussians(
        surface.vertices, green, torch.full_like(green, 0.02), turn, torch.full_like(green[:, :1], 0.9)
    )
    made = with_texture(tidied(surface_mesh(surface), most_faces=500), side=128, splats=splats)
    assert np.asarray(made.visual.material.baseColorTexture).mean((0, 1)) == pytest.approx([0, 255, 0], abs=3)


def test_tidying_leaves_one_closed_ball_of_few_faces(surface):
    mesh = tidied(surface_mesh(surface), most_faces=1000)
    assert mesh.is_watertight and len(mesh.faces) <= 1000 and mesh.body_count == 1
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.05)


def test_a_surface_that_is_not_finite_is_refused(surface):
    broken = Surface(surface.vertices * torch.nan, surface.faces, surface.attributes)
    with pytest.raises(BadInput, match="not finite"):
        coloured_glb(broken)
    with pytest.raises(BadInput, match="not finite"):
        textured_glb(broken)
    with pytest.raises(BadInput, match="no surface"):
        tidied(surface_mesh(Surface(surface.vertices, surface.faces[:0], surface.attributes)))
