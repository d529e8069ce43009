"""Active voxels: what is pruned, what is halved, what is refused."""

import pytest
import torch

from model_zoo.geometry.active import active_voxels, cap, prune
from model_zoo.io.errors import BadInput


def test_the_inside_of_a_solid_block_is_dropped_and_its_border_kept():
    block = torch.ones(5, 5, 5).nonzero() + 7
    kept = prune(block)
    assert len(kept) == 125 - 27
    assert torch.equal(kept, block[((block == 7) | (block == 11)).any(1)])


def test_too_many_voxels_are_halved_about_the_middle_and_then_drawn():
    ball = (torch.ones(16, 16, 16)).nonzero()
    halved = cap(ball, most=1000)
    assert halved.factor == 2 and len(halved.coords) == 512
    assert (halved.coords.amin(0).tolist(), halved.coords.amax(0).tolist()) == ([4] * 3, [11] * 3)
    drawn = cap(ball, most=100, seed=1)
    assert len(drawn.coords) == 100 and torch.equal(drawn.coords, cap(ball, most=100, seed=1).coords)


def test_a_flat_object_can_be_halved():
    flat = torch.ones(1, 8, 8).nonzero()
    assert len(cap(flat, most=20).coords) == 16


def test_each_object_of_a_batch_gets_its_own_voxels_and_an_empty_one_is_refused():
    logits = torch.full((2, 1, 8, 8, 8), -1.0)
    logits[0, 0, 2:5, 2:5, 2:5] = 1
    logits[1, 0, 0, 0, :] = 1
    assert [len(a.coords) for a in active_voxels(logits)] == [26, 8]
    with pytest.raises(BadInput, match="no solid voxel"):
        active_voxels(-logits.abs())
