"""Splats keep their place: with their mesh under a pose, in a scene, and through a file."""

import numpy as np
import pytest
import torch

from model_zoo.extract.splats import LEAST_KERNEL, composed, export_ply, import_ply, posed, to_opencv
from model_zoo.geometry.pose import ModelPose, matrix_of, to_stored
from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from tests.model_zoo.extract.test_splat_render import cloud

Y_UP = torch.tensor(frames.between("model", "gltf"), dtype=torch.float32)


def pose(seed=1):
    torch.manual_seed(seed)
    turn = matrix_of(torch.nn.functional.normalize(torch.randn(1, 4), dim=1))
    return ModelPose(turn, torch.tensor([[0.3, -0.2, 2.0]]), torch.full((1, 3), 0.7))


def covariance(splats):
    root = matrix_of(splats.rotation) * splats.scaling[:, None]
    return root @ root.transpose(-1, -2)


def test_a_pose_moves_splats_as_it_moves_the_delivered_mesh():
    splats, stored = cloud(), to_stored(pose())
    moved = to_opencv(posed(splats, pose()))
    glb = splats.xyz @ Y_UP.T
    expected = (glb * stored.s[0]) @ stored.R[0].T + stored.t[0]
    assert torch.allclose(moved.xyz, expected, atol=1e-5)
    linear = stored.s[0, 0] * stored.R[0] @ Y_UP
    assert torch.allclose(covariance(moved), linear @ covariance(splats) @ linear.T, atol=1e-6)


def test_a_scene_holds_all_objects_with_no_splat_too_thin():
    thin = cloud()._replace(scaling=torch.full((40, 3), 1e-5))
    scene = composed([(cloud(), pose()), (thin, pose(2))])
    assert len(scene.xyz) == 80
    assert torch.allclose(scene.scaling[40:], torch.tensor(0.7 * 1.1 * LEAST_KERNEL))
    assert torch.allclose(scene.scaling[:40], cloud().scaling * 0.7)
    with pytest.raises(BadInput, match="at least one object"):
        composed([])


def test_a_scale_that_differs_between_axes_is_refused():
    with pytest.raises(BadInput, match="same scale"):
        posed(cloud(), pose()._replace(scale=torch.tensor([[1.0, 1, 2]])))


def test_a_file_brings_back_what_was_written():
    back = import_ply(export_ply(cloud()))
    for name, one, other in zip(cloud()._fields, cloud(), back):
        assert torch.allclose(one, other, atol=1e-5), name


def test_the_file_has_the_layout_of_splat_viewers():
    splats = cloud(3)
    head, rows = export_ply(splats).split(b"end_header\n", 1)
    names = [line.split()[-1].decode() for line in head.splitlines() if line.startswith(b"property")]
    table = np.frombuffer(rows, "<f4").reshape(3, 17)
    assert names[:6] == ["x", "y", "z", "nx", "ny", "nz"] and names[-1] == "rot_3"
    assert table[:, names.index("scale_1")] == pytest.approx(splats.scaling[:, 1].log().numpy(), abs=1e-5)
    logit = torch.logit(splats.opacity[:, 0]).numpy()
    assert table[:, names.index("opacity")] == pytest.approx(logit, abs=1e-4)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d[:-5], "truncated|exceeds"),
        (lambda d: d.replace(b"f_dc_0", b"gggg_0"), "f_dc_0 is missing"),
        (lambda d: d[:-4] + np.float32(np.nan).tobytes(), "splat 39 has a value that is not finite"),
        (lambda d: d[:-16] + bytes(16), "rotation of length 0"),
        (lambda d: b"ply\nnonsense", "end_header"),
    ],
)
def test_a_spoilt_file_is_refused_in_one_line(spoil, words):
    with pytest.raises(BadInput, match=words):
        import_ply(spoil(export_ply(cloud())))


def test_splats_that_are_not_finite_are_not_written():
    with pytest.raises(BadInput, match="not finite"):
        export_ply(cloud()._replace(scaling=torch.zeros(40, 3)))
