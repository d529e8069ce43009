"""Rendering: exact depth, right way up, occlusion between meshes, colours kept."""

import numpy as np
import trimesh

from model_zoo.io.poses import Pose
from model_zoo.render import Shading, intrinsics, render, render_scene, view, view_rotation

SIZE = (96, 64)
K = intrinsics(60, SIZE)


def posed(t, scale=1.0, R=np.eye(3)):
    return Pose(R=np.asarray(R, float), t=np.asarray(t, float), s=np.full(3, scale))


def test_it_gives_exact_depth_and_mask_of_a_sphere():
    view = render(trimesh.creation.icosphere(5, radius=0.5), posed([0, 0, 3]), K, SIZE)
    assert abs(np.nanmin(view.depth) - 2.5) < 1e-2
    distances = np.linalg.norm(view.points(K)[view.mask] - [0, 0, 3], axis=1)
    assert np.abs(distances - 0.5).max() < 2e-3
    assert np.isnan(view.depth[~view.mask]).all() and (view.rgb[~view.mask] == 255).all()


def test_a_y_up_mesh_stands_upright_and_positive_z_faces_the_camera():
    R = view_rotation(0, 0)
    assert np.allclose(R @ [0, 1, 0], [0, -1, 0]) and np.allclose(R @ [0, 0, 1], [0, 0, -1])
    above = view_rotation(0, 30) @ [0, 1, 0]
    assert above[2] < 0  # seen from above, the top leans towards the camera


def test_the_nearer_mesh_hides_the_farther_one():
    box = trimesh.creation.box()
    view = render_scene([(box, posed([0, 0, 5])), (box, posed([0, 0, 3], 0.3))], K, SIZE)
    assert view.instance[32, 48] == 1 and set(np.unique(view.instance)) == {-1, 0, 1}


def test_it_shows_face_colours_and_greys_them_on_request():
    box = trimesh.creation.box()
    box.visual.face_colors = [200, 30, 30, 255]
    coloured = render(box, posed([0, 0, 3]), K, SIZE).rgb[32, 48].astype(int)
    grey = render(box, posed([0, 0, 3]), K, SIZE, Shading(grey=True)).rgb[32, 48]
    assert coloured[0] > 3 * coloured[1] and len(set(grey.tolist())) == 1


def test_a_framed_view_holds_the_whole_mesh():
    mask = view(trimesh.creation.box([1, 3, 1]), (64, 64), 30, 20).mask
    assert mask.any() and not mask[[0, -1]].any() and not mask[:, [0, -1]].any()
