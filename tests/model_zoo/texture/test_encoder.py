"""The Depth-VAE rule: features from the views that see a voxel, a divergence that does not grow with the object."""

import torch

from model_zoo.texture.encoder import SlatEncoder, kl_per_voxel, seen, visible_features
from model_zoo.texture.model import joined
from model_zoo.texture.recipes import tiny
from tests.model_zoo.texture.grids import scattered


def test_a_voxel_behind_another_or_outside_the_picture_is_unseen():
    places = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.5, 0.5], [1.2, 0.0], [0.001, 0.0]]])
    depths = torch.tensor([[1.0, 1.5, 1.5, 1.0, 1.02]])
    assert seen(places, depths).tolist() == [[True, False, True, False, True]]


def test_a_known_surface_decides_in_the_place_of_the_voxels():
    surface = torch.tensor([[[1.0, 2.0]]])  # one row: near on the left, far on the right
    places, depths = torch.tensor([[[-0.5, 0.0], [0.5, 0.0], [0.5, 0.0]]]), torch.tensor([[1.5, 1.5, 2.5]])
    assert seen(places, depths, surface).tolist() == [[False, True, False]]


def test_features_are_the_mean_over_the_views_that_see_the_voxel():
    maps = torch.stack([torch.full((2, 4, 4), v) for v in (1.0, 3.0, 100.0)])
    visible = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])
    found = visible_features(maps, torch.zeros(3, 3, 2), visible)
    assert found.tolist() == [[2.0, 2.0], [1.0, 1.0], [0.0, 0.0]]


def test_divergence_weighs_a_large_object_as_a_small_one():
    one, two = torch.tensor([[0, 0, 0]]), scattered(1).coords[:, 1:]
    mean = torch.cat([torch.full((1, 8), 2.0), torch.zeros(len(two), 8)])
    both = kl_per_voxel(mean, torch.zeros_like(mean), joined([one, two]))
    torch.testing.assert_close(both, torch.tensor(0.5 * 8 * 4.0 / 2))


def test_encoder_gives_a_posterior_and_gradients_to_all_its_weights():
    voxels, net = scattered(1), SlatEncoder(tiny().trunk, 96)
    mean, logvar = net(torch.randn(len(voxels), 96), voxels)
    assert mean.shape == logvar.shape == (len(voxels), 8)
    kl_per_voxel(mean, logvar, voxels).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []
