"""The occupancy codec: voxel shuffle order, token order, latent rescaling."""

import torch

from model_zoo.geometry.occupancy import (
    OccupancyDecoder,
    OccupancyEncoder,
    rescale_latent,
    to_grid,
    to_tokens,
    voxel_shuffle,
)
from model_zoo.geometry.recipes import tiny


def test_shuffle_puts_each_channel_at_its_corner():
    x = torch.zeros(1, 16, 2, 2, 2)
    x[0, ((1 * 2 + 1) * 2 + 0) * 2 + 1, 1, 0, 1] = 1
    assert voxel_shuffle(x)[0, 1, 3, 0, 3] == 1


def test_tokens_run_with_z_fastest():
    grid = torch.arange(8 * 64).view(1, 8, 4, 4, 4).float()
    tokens = to_tokens(grid)
    assert torch.equal(tokens[0, (1 * 4 + 2) * 4 + 3], grid[0, :, 1, 2, 3]) and torch.equal(
        to_grid(tokens), grid
    )


def test_rescaling_the_latent_changes_no_reconstruction():
    torch.manual_seed(0)
    encoder, decoder = OccupancyEncoder(tiny().occupancy), OccupancyDecoder(tiny().occupancy)
    occupancy = (torch.rand(2, 1, 16, 16, 16) > 0.5).float()
    with torch.no_grad():
        before = decoder(encoder(occupancy)[0])
        std = encoder(occupancy)[0].std((0, 2, 3, 4))
        rescale_latent(encoder, decoder, std)
        latent = encoder(occupancy)[0]
        assert torch.allclose(decoder(latent), before, atol=1e-5)
    assert torch.allclose(latent.std((0, 2, 3, 4)), torch.ones(8), atol=1e-4)
