"""FlexiCubes: equal to the reference in values and order, closed surfaces, and one clear line for what has none."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from safetensors.torch import load_file

from model_zoo.extract import tables
from model_zoo.extract.flexicubes import CHANNELS, extract_surface
from model_zoo.io.errors import BadInput

REF = Path(os.environ.get("MAQUETTE_PARITY", Path(__file__).parents[3] / ".." / "shared" / "parity")) / "ref"
RESOLUTION = 24


def sampled(sdf, coords, resolution=RESOLUTION):
    """Features (M,101) of cubes (M,3) whose corners hold sdf(points), all else 0."""
    corners = (coords[:, None] + torch.tensor(tables.CORNERS)) / resolution - 0.5
    features = torch.zeros(len(coords), CHANNELS)
    features[:, :8] = sdf(corners) + 1 / resolution
    return features


def grid(low=0, high=RESOLUTION):
    return torch.cartesian_prod(*[torch.arange(low, high)] * 3)


def as_mesh(surface):
    return trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy(), process=False)


@pytest.fixture(scope="module")
def reference():
    path = REF / "slat_decoder_mesh.safetensors"
    if not path.exists():
        pytest.skip("parity tensors are not here")
    return load_file(path)


def test_vertices_faces_and_attributes_equal_the_reference_in_order(reference):
    surface = extract_surface(reference["mid.coords"][:, 1:], reference["mid.raw"], 64)
    assert (surface.vertices - reference["out.vertices"]).abs().max() < 1e-6
    assert (surface.attributes - reference["out.vertex_attrs"]).abs().max() < 1e-6
    assert torch.equal(surface.faces, reference["out.faces"])


def ball(p):
    return p.norm(dim=-1) - 0.3


def test_a_ball_comes_out_closed_and_of_its_radius():
    mesh = as_mesh(extract_surface(grid(), sampled(ball, grid()), RESOLUTION))
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.03)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.3, abs=0.004)


def test_where_the_active_band_ends_inside_there_is_an_inner_wall():
    coords = grid()
    coords = coords[ball((coords + 0.5) / RESOLUTION - 0.5).abs() < 2 / RESOLUTION]
    outer, inner = as_mesh(extract_surface(coords, sampled(ball, coords), RESOLUTION)).split()
    assert outer.is_watertight and outer.volume > 0 and inner.is_watertight and inner.volume < 0


def test_the_tables_are_those_that_were_compared_with_the_reference():
    both = b"".join(table.tobytes() for table in (tables.slots(), tables.rims(), tables.twins()))
    assert hashlib.sha256(both).hexdigest().startswith("bd3db0def24c6c2a")
    assert int(tables.twins().any(1).sum()) == 36  # 24 of C16, 12 of C19


def test_every_case_and_every_pair_of_ambiguous_neighbours_gives_a_manifold():
    torch.manual_seed(0)
    coords, signs = grid(1, 13), torch.rand(13, 13, 13) - 0.5
    surface = extract_surface(
        coords,
        sampled(lambda p: signs[tuple(((p + 0.5) * 14).round().long().sub(1).unbind(-1))], coords, 14),
        14,
    )
    edges = np.sort(as_mesh(surface).edges, axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    directed = as_mesh(surface).edges
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_halo_cubes_that_are_not_active_close_the_surface():
    coords = torch.tensor([[5, 5, 5]])
    mesh = as_mesh(extract_surface(coords, sampled(lambda p: -torch.ones(p.shape[:-1]), coords, 16), 16))
    assert mesh.is_watertight and mesh.volume > 0
    assert mesh.bounds.mean(0) == pytest.approx([5.5 / 16 - 0.5] * 3, abs=1e-6)


def test_the_order_of_the_cubes_does_not_matter():
    coords = grid(4, 20)
    features = sampled(lambda p: p.abs().amax(-1) - 0.2, coords)
    features[:, 8:] = torch.randn(len(coords), CHANNELS - 8)
    one, shuffle = extract_surface(coords, features, RESOLUTION), torch.randperm(len(coords))
    other = extract_surface(coords[shuffle], features[shuffle], RESOLUTION)
    assert torch.equal(one.faces, other.faces)
    assert torch.allclose(one.vertices, other.vertices, atol=1e-6)


@pytest.mark.gpu
def test_on_a_gpu_it_is_the_same_surface_on_every_run():
    coords = grid(4, 20)
    features = sampled(lambda p: p.abs().amax(-1) - 0.2, coords)
    features[:, 8:] = torch.randn(len(coords), CHANNELS - 8)
    here = extract_surface(coords, features, RESOLUTION)
    one, other = (extract_surface(coords.cuda(), features.cuda(), RESOLUTION) for _ in range(2))
    assert torch.equal(one.faces.cpu(), here.faces)
    assert torch.allclose(one.vertices.cpu(), here.vertices, atol=1e-6)
    assert torch.equal(one.vertices, other.vertices) and torch.equal(one.attributes, other.attributes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, f: (c, f.index_fill(1, torch.arange(8), 1.0)), "no surface"),
        (lambda c, f: (c, f * torch.nan), "not finite"),
        (lambda c, f: (c, f[:, :100]), "must be"),
        (lambda c, f: (c[:0], f[:0]), "no active cubes"),
        (lambda c, f: (c + 20, f), "beyond the grid"),
        (lambda c, f: (torch.cat([c, c[:1]]), torch.cat([f, f[:1]])), "given twice"),
    ],
)
def test_what_has_no_surface_is_refused_in_one_line(change, words):
    coords = grid(8, 12)
    with pytest.raises(BadInput, match=words):
        extract_surface(*change(coords, sampled(lambda p: p.norm(dim=-1) - 0.05, coords)), RESOLUTION)


def test_a_value_that_is_not_finite_is_found_in_any_channel():
    coords = grid(8, 16)
    for channel in (20, 40, 60):
        features = sampled(lambda p: p.norm(dim=-1) - 0.1, coords)
        features[:, channel] = torch.nan
        with pytest.raises(BadInput, match="not finite"):
            extract_surface(coords, features, RESOLUTION)
