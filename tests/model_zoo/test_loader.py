"""Releases as training examples."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from model_zoo.data.reader import DataSet
from model_zoo.examples import LAYOUT
from model_zoo.geometry import pose
from model_zoo.geometry.recipes import tiny
from model_zoo.io.errors import BadInput
from model_zoo.loader import Pairs, Samples, chains
from tests.model_zoo.built import rendered_set
from tests.model_zoo.releases import dpo_release, sft_release, targets


def test_a_sample_has_every_view_at_the_recipes_size(sft):
    example = Samples(sft, tiny())[0]
    assert {n: v.shape[-1] for n, v in example.views.items()} == dict.fromkeys(example.views, 48)
    assert len(example.views) == 6 and example.occupancy.shape == (1, 16, 16, 16)


def test_the_shape_and_pose_that_went_in_come_out(sft):
    (target, shape), example = targets(4)[1], Samples(sft, tiny())[1]
    agreement = (example.occupancy[0].numpy() > 0.5) == shape.occupancy
    assert agreement.mean() > 0.99
    decoded = pose.decode(
        {n: v[None] for n, v in example.layout.items()}, torch.ones(1, 3), torch.zeros(1, 3)
    )
    assert np.allclose(pose.to_stored(decoded).R[0], target.pose.R, atol=1e-4)


def test_a_row_without_a_pose_has_no_layout_weight(tmp_path):
    example = Samples(sft_release(tmp_path / "r", 1, pose=False), tiny())[0]
    assert not any(example.layout_weight.values()) and all(
        v.isfinite().all() for v in example.layout.values()
    )


def test_splits_are_kept_apart(sft):
    assert len(Samples(sft, tiny(), "validation")) == 0 and len(Samples(sft, tiny(), None)) == 4


def test_pairs_hold_two_shapes_of_one_photo(tmp_path):
    pair = Pairs(dpo_release(tmp_path / "r", 1), tiny())[0]
    assert pair.chosen.shape == pair.rejected.shape and not torch.equal(pair.chosen, pair.rejected)
    assert float(pair.weight) == 0.75


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is not a release"):
        Samples(tmp_path, tiny())


def test_the_wrong_kind_is_refused(sft):
    with pytest.raises(BadInput, match="kind 'sft'"):
        Pairs(sft, tiny())


def test_a_cut_shard_is_refused(tmp_path):
    folder = sft_release(tmp_path / "r", 1)
    shard = next((folder / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(BadInput, match="ends before"):
        Samples(folder, tiny())[0]


def test_a_shard_name_cannot_leave_the_release(tmp_path):
    folder = sft_release(tmp_path / "r", 1)
    path = folder / "index/part-00000.parquet"
    table = pq.read_table(path)
    table = table.set_column(
        table.column_names.index("image_shard"), "image_shard", pa.array(["../../manifest.json"])
    )
    pq.write_table(table, path)
    with pytest.raises(BadInput, match="shards/manifest.json"):
        DataSet(folder).sample(0)


@pytest.mark.parametrize(
    ("variant", "learnt"),
    [("iso3do", LAYOUT[:1]), ("rp3do-fo", LAYOUT[:1]), ("rp3do-osr", LAYOUT), ("rp3do-osa", LAYOUT)],
)
def test_a_built_set_teaches_what_table_1_says(tmp_path, variant, learnt):
    samples = Samples(rendered_set(tmp_path / "set", variant, 2), tiny())
    example, (target, shape) = samples[1], targets(2)[1]
    assert {n for n, w in example.layout_weight.items() if w} == set(learnt) and samples.simulated
    assert example.occupancy.shape == (1, 16, 16, 16) and torch.equal(samples.occupancy(1), example.occupancy)
    assert np.array_equal(example.occupancy[0].numpy() > 0.5, shape.occupancy)
    assert example.views["pointmap"].isfinite().any() == (learnt == LAYOUT)
    decoded = pose.decode(
        {n: v[None] for n, v in example.layout.items()}, torch.ones(1, 3), torch.zeros(1, 3)
    )
    assert np.allclose(pose.to_stored(decoded).R[0], target.pose.R, atol=1e-4)


def test_the_layout_of_a_built_set_is_that_of_the_same_mesh_in_a_release(tmp_path):
    built = Samples(rendered_set(tmp_path / "set", "rp3do-osr", 3), tiny())
    released = Samples(sft_release(tmp_path / "r", 3), tiny())
    for a, b in zip((built[n] for n in range(3)), (released[n] for n in range(3)), strict=True):
        for name in LAYOUT:
            assert torch.allclose(a.layout[name], b.layout[name], atol=2e-3), name


def test_a_filter_chooses_the_rows(sft, tmp_path):
    built = rendered_set(tmp_path / "set", count=4)
    assert len(Samples(built, tiny(), where="r >= 0.65")) == 2
    assert len(Samples(sft, tiny(), None, where="sample_id < 3 or sample_id == 99")) == 3
    with pytest.raises(BadInput, match="no column"):
        Samples(sft, tiny(), where="quality > 1")


def test_a_filter_cannot_reach_into_the_split(sft):
    for where in (
        "sample_id < 99) or (sample_id < 99",
        "sample_id < 99 #",
        "sample_id < 99\nor sample_id > 0",
    ):
        try:
            found = len(Samples(sft, tiny(), "validation", where=where))
        except BadInput as error:
            assert error.code == "bad_filter"
        else:
            assert found == 0
    both = "sample_id < 1 or sample_id < 99"
    assert (
        len(Samples(sft, tiny(), where=both)) == 4
        and len(Samples(sft, tiny(), "validation", where=both)) == 0
    )
    first, again = (Samples(sft, tiny(), where=both).data for _ in range(2))
    assert first.identity == again.identity != Samples(sft, tiny()).data.identity


def lineages(folder, *bases):
    """Folders with manifests alone, each of a release that builds on the one of that number (None: on none)."""
    names = []
    for number, base in enumerate(bases):
        place = folder / str(number)
        place.mkdir()
        lineage = {} if base is None else {"lineage": {"base": {"hash": str(base)}}}
        (place / "manifest.json").write_text(json.dumps({"hash": str(number), **lineage}))
        names.append(str(place))
    return names


def test_a_base_among_the_data_is_read_with_what_builds_on_it(tmp_path):
    names = lineages(tmp_path, None, 0, None, 1)
    assert chains(names) == [(names[2], []), (names[3], [names[1], names[0]])]
    assert chains(names[:1]) == [(names[0], [])]


def test_two_that_build_on_the_same_release_are_refused(tmp_path):
    names = lineages(tmp_path, None, 0, 0, 1)
    for three in (names[:3], [names[0], names[1], names[3], names[2]]):
        with pytest.raises(BadInput, match="both build on .* learnt twice") as stop:
            chains(three)
        assert stop.value.code == "wrong_base"
    assert chains(names[1:3]) == [(names[1], []), (names[2], [])]  # without it they share nothing
