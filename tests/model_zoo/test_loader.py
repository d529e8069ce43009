"""Releases as training examples."""

import json

import numpy as np
import pytest
import torch

from model_zoo.geometry import pose
from model_zoo.geometry.recipes import tiny
from model_zoo.io.errors import BadInput
from model_zoo.loader import Release, ReleasePairs, ReleaseSamples
from tests.model_zoo.releases import dpo_release, sft_release, targets


def test_a_sample_has_every_view_at_the_recipes_size(sft):
    example = ReleaseSamples(sft, tiny())[0]
    assert {n: v.shape[-1] for n, v in example.views.items()} == dict.fromkeys(example.views, 48)
    assert len(example.views) == 6 and example.occupancy.shape == (1, 16, 16, 16)


def test_the_shape_and_pose_that_went_in_come_out(sft):
    (target, shape), example = targets(4)[1], ReleaseSamples(sft, tiny())[1]
    agreement = (example.occupancy[0].numpy() > 0.5) == shape.occupancy
    assert agreement.mean() > 0.99
    decoded = pose.decode(
        {n: v[None] for n, v in example.layout.items()}, torch.ones(1, 3), torch.zeros(1, 3)
    )
    assert np.allclose(pose.to_stored(decoded).R[0], target.pose.R, atol=1e-4)


def test_a_row_without_a_pose_has_no_layout_weight(tmp_path):
    example = ReleaseSamples(sft_release(tmp_path / "r", 1, pose=False), tiny())[0]
    assert float(example.layout_weight) == 0 and all(v.isfinite().all() for v in example.layout.values())


def test_splits_are_kept_apart(sft):
    assert len(ReleaseSamples(sft, tiny(), "validation")) == 0 and len(ReleaseSamples(sft, tiny(), None)) == 4


def test_pairs_hold_two_shapes_of_one_photo(tmp_path):
    pair = ReleasePairs(dpo_release(tmp_path / "r", 1), tiny())[0]
    assert pair.chosen.shape == pair.rejected.shape and not torch.equal(pair.chosen, pair.rejected)


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is not a release"):
        Release(tmp_path)


def test_the_wrong_kind_is_refused(sft):
    with pytest.raises(BadInput, match="kind 'sft'"):
        ReleasePairs(sft, tiny())


def test_a_cut_shard_is_refused(tmp_path):
    folder = sft_release(tmp_path / "r", 1)
    shard = next((folder / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(BadInput, match="ends before"):
        ReleaseSamples(folder, tiny())[0]


def test_a_shard_name_cannot_leave_the_release(tmp_path):
    release = Release(sft_release(tmp_path / "r", 1))
    assert json.loads((release.folder / "manifest.json").read_text())["kind"] == "sft"
    with pytest.raises(BadInput, match="missing"):
        release.member({"x_shard": "../../manifest.json", "x_offset": 0, "x_length": 2}, "x")
