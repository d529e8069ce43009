"""The splat renderer: equal to the formula for one splat, right order and sums for several, gradients that are true."""

import numpy as np
import pytest
import torch

from model_zoo.extract import splat_render
from model_zoo.extract.splat_render import render
from model_zoo.geometry.pose import matrix_of
from model_zoo.io.errors import BadInput
from model_zoo.texture.gaussians import Gaussians

K = torch.tensor([[60.0, 0, 16], [0, 50, 12], [0, 0, 1]])
SIZE = (33, 25)


def splats(xyz, colour=None, scaling=0.05, rotation=None, opacity=0.8):
    """Splats of one size at points (N,3) in the camera; colour (N,3) in 0..1."""
    n = len(xyz)
    dc = (torch.tensor(colour if colour is not None else [[1.0, 0.5, 0.25]] * n) - 0.5) / 0.28209479177387814
    turn = torch.tensor(rotation if rotation is not None else [[1.0, 0, 0, 0]] * n)
    size = torch.as_tensor(scaling, dtype=torch.float32).expand(n, 3)
    return Gaussians(torch.tensor(xyz), dc, size, turn, torch.full((n, 1), opacity))


def test_one_splat_is_the_gaussian_of_its_projected_covariance():
    turn = torch.nn.functional.normalize(torch.tensor([[0.9, 0.3, -0.2, 0.4]]), dim=1)
    one = splats([[0.1, -0.05, 1.3]], scaling=[0.12, 0.05, 0.02], rotation=turn.tolist(), opacity=0.7)
    x, y, z = one.xyz[0].tolist()
    J = np.array([[60 / z, 0, -60 * x / z**2], [0, 50 / z, -50 * y / z**2]])
    R = matrix_of(turn)[0].numpy()
    covariance = J @ R @ np.diag(one.scaling[0].numpy() ** 2) @ R.T @ J.T + 0.3 * np.eye(2)
    v, u = np.mgrid[:25, :33]
    off = np.stack([u - (60 * x / z + 16), v - (50 * y / z + 12)], -1)
    expected = 0.7 * np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", off, np.linalg.inv(covariance), off))
    expected[expected < 1 / 255] = 0
    picture = render(one, K, SIZE)
    assert picture.alpha.numpy() == pytest.approx(expected, abs=1e-5)
    assert picture.rgb[12, 20].numpy() == pytest.approx(expected[12, 20] * np.array([1, 0.5, 0.25]), abs=1e-5)
    assert torch.isnan(picture.depth[0, 0])
    assert np.nanmax(np.abs(picture.depth.numpy() - z)) < 1e-5


def test_nearer_splats_cover_farther_ones_whatever_their_order():
    two = splats([[0.0, 0, 2], [0, 0, 1]], colour=[[0.0, 1, 0], [1, 0, 0]], opacity=0.6)
    picture = render(two, K, SIZE)
    assert picture.rgb[12, 16].tolist() == pytest.approx([0.6, 0.24, 0], abs=1e-5)
    assert float(picture.alpha[12, 16]) == pytest.approx(0.84, abs=1e-5)
    assert float(picture.depth[12, 16]) == pytest.approx((0.6 + 0.24 * 2) / 0.84, abs=1e-5)


def test_what_lies_behind_or_beside_the_camera_is_not_drawn():
    picture = render(splats([[0.0, 0, -1], [5, 0, 1], [0, 0, 0]]), K, SIZE)
    assert picture.alpha.abs().max() == 0 and torch.isnan(picture.depth).all()


def cloud(count=40, seed=0):
    torch.manual_seed(seed)
    xyz = torch.rand(count, 3) * torch.tensor([0.5, 0.4, 1.0]) + torch.tensor([-0.25, -0.2, 1.0])
    turn = torch.nn.functional.normalize(torch.randn(count, 4), dim=1)
    return Gaussians(
        xyz, torch.randn(count, 3), torch.rand(count, 3) * 0.05 + 0.01, turn, torch.rand(count, 1)
    )


def test_a_picture_made_in_bands_is_the_same(monkeypatch):
    whole = render(cloud(), K, SIZE)
    monkeypatch.setattr(splat_render, "FRAGMENTS", 200)
    for one, other in zip(whole, render(cloud(), K, SIZE)):
        assert torch.allclose(one, other, atol=1e-6, equal_nan=True)


def test_gradients_are_those_of_finite_differences():
    inputs = [part.double() for part in cloud(3)]
    inputs[1] = inputs[1].clamp(-1, 1)
    camera, small = K.double() / 3, (11, 9)
    shares = torch.rand(9, 11, 3, dtype=torch.float64)

    def mixed(*parts):
        picture = render(Gaussians(*parts), camera, small)
        return (picture.rgb * shares).sum() + (picture.alpha * shares[..., 0]).sum() + picture.depth.nansum()

    assert torch.autograd.gradcheck(mixed, [part.requires_grad_() for part in inputs], eps=1e-7, atol=1e-3)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(BadInput, match="not finite"):
        render(cloud()._replace(opacity=torch.full((40, 1), torch.nan)), K, SIZE)


@pytest.mark.gpu
def test_on_a_gpu_it_is_the_same_picture():
    here, there = render(cloud(), K, SIZE), render(Gaussians(*(p.cuda() for p in cloud())), K.cuda(), SIZE)
    for one, other in zip(here, there):
        assert torch.allclose(one, other.cpu(), atol=1e-5, equal_nan=True)
