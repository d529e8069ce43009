"""Layout latents and poses: there and back, and the border to the stored convention."""

import numpy as np
import torch

from model_zoo.geometry import pose
from model_zoo.io.poses import pose_from_model


def random_rotation(seed, batch=4):
    q = torch.randn(batch, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return pose.matrix_of(q / q.norm(dim=-1, keepdim=True))


def test_decoding_inverts_encoding():
    scale, shift = torch.full((4, 3), 2.5).double(), torch.randn(4, 3).double()
    known = pose.ModelPose(random_rotation(0), torch.randn(4, 3).double(), torch.full((4, 3), 0.3).double())
    back = pose.decode(pose.encode(known, scale, shift), scale, shift)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(known, back, strict=True))


def test_quaternions_survive_every_branch():
    R = torch.cat(
        [
            random_rotation(1, 64),
            torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]])).double(),
        ]
    )
    q = pose.quaternion_of(R)
    assert torch.allclose(pose.matrix_of(q), R, atol=1e-9) and (q[:, 0] >= 0).all()


def test_stored_pose_moves_mesh_points_like_the_model_pose():
    stored = pose.StoredPose(random_rotation(2), torch.randn(4, 3).double(), torch.rand(4, 3).double() + 0.5)
    centre, side = torch.randn(4, 3).double(), torch.rand(4, 1).double() + 0.5
    unit = torch.rand(4, 10, 3).double() - 0.5
    glb = centre[:, None] + side[:, None] * unit
    camera = (stored.s[:, None] * glb) @ stored.R.transpose(1, 2) + stored.t[:, None]
    model = pose.from_stored(stored, centre, side)
    z_up = torch.stack([unit[..., 0], -unit[..., 2], unit[..., 1]], -1)
    ours = (z_up * model.scale[:, None]) @ model.rotation + model.translation[:, None]
    assert torch.allclose(ours * torch.tensor([-1.0, -1.0, 1.0]), camera, atol=1e-9)


def test_the_stored_border_is_its_own_inverse():
    stored = pose.StoredPose(random_rotation(3), torch.randn(4, 3).double(), torch.full((4, 3), 0.7).double())
    back = pose.to_stored(pose.from_stored(stored, torch.zeros(4, 3).double(), torch.ones(4, 1).double()))
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(stored, back, strict=True))


def test_codes_matrices_and_quaternions_tell_the_same_rotation():
    R = random_rotation(4, 200)
    assert torch.allclose(pose.rotation_of(pose.code_of(R)), R, atol=1e-9)
    for rotation in (
        R,
        pose.matrix_of(pose.quaternion_of(R)),
        pose.rotation_of(torch.randn(200, 6).double()),
    ):
        assert torch.allclose(torch.linalg.det(rotation), torch.ones(200).double())
        assert torch.allclose(rotation @ rotation.mT, torch.eye(3).double().expand(200, 3, 3), atol=1e-9)


def test_a_pose_survives_latents_and_both_frames_under_any_pointmap():
    for seed in range(20):
        dice = torch.Generator().manual_seed(seed)
        scale = (torch.rand(4, 1, generator=dice) * 9 + 0.1).double().expand(4, 3)
        shift, t = torch.randn(2, 4, 3, generator=dice).double() * 5
        size = (torch.rand(4, 1, generator=dice) + 0.05).double().expand(4, 3)
        known = pose.ModelPose(random_rotation(100 + seed), t, size)
        stored = pose.to_stored(pose.decode(pose.encode(known, scale, shift), scale, shift))
        back = pose.from_stored(stored, torch.zeros(4, 3).double(), torch.ones(4, 1).double())
        assert all(torch.allclose(a, b, atol=1e-8) for a, b in zip(known, back, strict=True))
        assert torch.allclose(torch.linalg.det(stored.R), torch.ones(4).double())


def test_batches_and_single_poses_cross_the_border_alike():
    known = pose.ModelPose(random_rotation(5), torch.randn(4, 3).double(), torch.rand(4, 3).double() + 0.1)
    stored = pose.to_stored(known)
    for i, (R, t, s) in enumerate(zip(*known, strict=True)):
        one = pose_from_model(R.numpy(), t.numpy(), s.numpy())
        assert np.allclose(one.R, stored.R[i]) and np.allclose(one.t, stored.t[i])
        assert np.allclose(one.s, stored.s[i])
