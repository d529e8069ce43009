"""Retrieval: the right mesh comes back, well posed; the index survives its file."""

import numpy as np
import pytest

from model_zoo.finish.fit import iou
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.retrieval import Index, Retrieval
from model_zoo.render import intrinsics, render, view_rotation

SIZE = (200, 160)
K = intrinsics(50, SIZE)
IDS = ["mug_01", "chair_01", "bottle_01", "dog_01", "car_01", "rocket_01"]


def load(mesh_id):
    category, number = mesh_id.rsplit("_", 1)
    return make(category, int(number))


@pytest.fixture(scope="module")
def retrieval():
    return Retrieval(Index.build((mesh_id, load(mesh_id)) for mesh_id in IDS), load)


def photographed(category, number, yaw):
    mesh = make(category, number)
    pose = Pose(R=view_rotation(yaw, 25), t=np.array([0, 0.05, 1.0]), s=np.full(3, 0.4 / mesh.extents.max()))
    view = render(mesh, pose, K, SIZE)
    return ObjectInput(view.rgb, view.mask, view.points(K))


@pytest.mark.parametrize("category", ["mug", "chair", "dog", "car"])
def test_another_mesh_of_the_same_kind_comes_first(retrieval, category):
    ranking = retrieval.ranked(photographed(category, 7, yaw=37), seed=0)
    assert ranking[0][0] == f"{category}_01"


def test_proposals_lie_on_the_mask_and_are_different_meshes(retrieval):
    obj = photographed("chair", 7, yaw=37)
    proposals = retrieval.propose(obj, seed=0, count=2)
    assert iou(proposals[0].mesh, proposals[0].pose, K, obj.mask) > 0.6
    assert proposals[0].mesh.vertices.shape != proposals[1].mesh.vertices.shape
    assert all(p.seconds > 0 for p in proposals)


def test_the_index_reads_back_from_its_file(retrieval, tmp_path):
    retrieval.index.save(tmp_path / "index.npz")
    again = Index.load(tmp_path / "index.npz")
    assert again.mesh_ids == IDS and np.array_equal(again.outlines, retrieval.index.outlines)


def test_another_file_is_refused_in_words(tmp_path):
    (tmp_path / "index.npz").write_bytes(b"not an index")
    with pytest.raises(BadInput, match="not a retrieval index"):
        Index.load(tmp_path / "index.npz")


def test_the_seed_stirs_the_ranking_but_repeats(retrieval):
    obj = photographed("bottle", 9, yaw=0)
    assert retrieval.ranked(obj, seed=4) == retrieval.ranked(obj, seed=4)
    assert retrieval.ranked(obj, seed=4)[0][1] != retrieval.ranked(obj, seed=0)[0][1]
