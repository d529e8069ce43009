"""Our own model as a proposer on a composed scene, with weights that were never trained and with those that ship."""

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.pipeline import Sam3D, Sampling
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.sam3d import SHIPPED, Sam3DProposer
from tests.model_zoo.releases import targets


@pytest.fixture(scope="module")
def seen():
    target, _ = targets(1)[0]
    return ObjectInput(target.rgb, target.mask, target.pointmap)


def test_candidates_are_closed_coloured_and_ordered(start, seen):
    found = Sam3DProposer(Sam3D(start), Sampling(steps=2)).propose(seen, seed=1, count=2)
    assert 1 <= len(found) <= 2 and found[0].score >= found[-1].score
    for proposal in found:
        assert proposal.mesh.is_watertight and proposal.mesh.visual.kind == "vertex"
        assert np.isfinite(proposal.pose.t).all() and proposal.seconds > 0


def test_the_same_seed_gives_the_same_mesh(start, seen):
    a, b = (Sam3DProposer(Sam3D(start), Sampling(steps=2)).propose(seen, seed=4, count=1)[0] for _ in range(2))
    assert np.array_equal(a.mesh.vertices, b.mesh.vertices) and np.array_equal(a.pose.t, b.pose.t)


def test_an_empty_mask_is_refused(start, seen):
    with pytest.raises(BadInput):
        Sam3DProposer(Sam3D(start)).propose(
            ObjectInput(seen.rgb, np.zeros_like(seen.mask), seen.pointmap), seed=0, count=1
        )


@pytest.mark.skipif(not SHIPPED.exists(), reason="the shipped checkpoint is not here")
def test_the_shipped_checkpoint_covers_the_object_in_the_photo(seen):
    assert Sam3DProposer(Sam3D(SHIPPED)).propose(seen, seed=0, count=2)[0].score > 0.6
