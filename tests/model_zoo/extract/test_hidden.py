"""The unseen inside goes, what can be seen stays, and what was cut open is closed."""

import numpy as np
import pytest
import torch
import trimesh

from model_zoo.extract import tables
from model_zoo.extract.directions import spread
from model_zoo.extract.flexicubes import CHANNELS, extract_surface
from model_zoo.extract.hidden import exposure, without_hidden
from model_zoo.report.subject import Subject


def shell(hole, resolution=40):
    """A ball whose active band ends inside, so that it has an inner wall; a bore of this radius joins the two."""
    coords = torch.cartesian_prod(*[torch.arange(resolution)] * 3)
    distance = ((coords + 0.5) / resolution - 0.5).norm(dim=1) - 0.4
    coords = coords[distance.abs() < 2 / resolution]
    p = (coords[:, None] + torch.tensor(tables.CORNERS)) / resolution - 0.5
    bored = torch.maximum(p.norm(dim=-1) - 0.4, hole - p[..., :2].norm(dim=-1))
    features = torch.zeros(len(coords), CHANNELS)
    features[:, :8] = torch.where(p[..., 2] > 0, bored, p.norm(dim=-1) - 0.4) + 1 / resolution
    surface = extract_surface(coords, features, resolution)
    return trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy(), process=False)


@pytest.mark.parametrize("hole", [-1.0, 0.06])
def test_an_inner_wall_goes_and_the_opening_to_it_is_closed(hole):
    mesh = shell(hole)
    kept = without_hidden(mesh)
    assert kept.is_watertight and len(kept.faces) < 0.65 * len(mesh.faces)
    assert kept.volume == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=0.04)


def test_the_inside_of_a_wide_open_bowl_stays():
    mesh = shell(0.25)
    assert without_hidden(mesh) is mesh


def test_colours_stay_with_what_is_kept():
    mesh = shell(-1.0)
    shade = ((np.asarray(mesh.vertices) + 0.5) * 255).astype(np.uint8)
    mesh.visual.vertex_colors = np.column_stack([shade, np.full(len(shade), 255)])
    kept = without_hidden(mesh)
    expected = ((np.asarray(kept.vertices) + 0.5) * 255).astype(np.uint8)
    assert (np.asarray(kept.visual.vertex_colors)[:, :3] == expected).all()


def test_a_body_is_seen_from_half_of_all_directions_and_a_sheet_from_all():
    assert exposure(Subject(trimesh.creation.icosphere(2))).mean() == pytest.approx(0.5, abs=0.02)
    sheet = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    assert exposure(Subject(sheet)) == pytest.approx(1.0)


def test_directions_are_spread_evenly():
    points = spread(200)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1)
    assert np.abs(points.mean(0)).max() < 0.01
    assert points.T @ points / 200 == pytest.approx(np.eye(3) / 3, abs=0.01)
