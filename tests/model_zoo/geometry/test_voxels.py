"""Voxels: solids fill, cups stay hollow, and a grid comes back as a mesh of the same place and size."""

import numpy as np
import pytest
import trimesh

from model_zoo.geometry.voxels import to_mesh, voxelise
from model_zoo.io.errors import BadInput

Y_UP = trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])


def test_a_ball_is_solid_and_centred():
    grid = voxelise(trimesh.creation.icosphere(3, radius=2.0), 16, solid=True)
    assert grid[8, 8, 8] and not grid[0, 0, 0]
    assert abs(grid.mean() - np.pi / 6) < 0.12  # grazed voxels count as full


def test_surface_voxels_leave_the_inside_empty():
    assert not voxelise(trimesh.creation.icosphere(3), 16, solid=False)[8, 8, 8]


def test_the_mesh_up_axis_is_the_last_grid_axis():
    grid = voxelise(trimesh.creation.cone(radius=0.2, height=1.0).apply_transform(Y_UP), 16, solid=True)
    assert grid[:, :, 0].sum() > grid[:, :, 14].sum()
    assert grid.any((0, 1))[:14].all()


def test_a_grid_becomes_a_closed_mesh_of_the_same_box():
    logits = np.full((16, 16, 16), -6.0)
    logits[2:14, 5:11, 0:4] = 6.0
    mesh = to_mesh(logits)
    assert mesh.is_watertight and mesh.volume > 0
    expected = np.array([[-0.375, -0.5, -0.1875], [0.375, -0.25, 0.1875]])
    assert np.abs(mesh.bounds - expected).max() < 0.03


def test_an_empty_grid_is_refused():
    with pytest.raises(BadInput, match="no solid voxel"):
        to_mesh(np.full((16, 16, 16), -3.0))
