"""The practice set from objects with known truth: real meshes, finished alike, made once, and never handed out."""

import io
from types import SimpleNamespace

import pytest
import trimesh

from backend import jobs, storage
from backend.annotation import services
from backend.annotation.models import GoldPair
from backend.catalog.models import Batch, Truth
from backend.models import Job
from model_zoo.finish.gold import LESSONS
from tests.annotator_ui import desk
from workers.practice import chosen, make_practice_job

pytestmark = pytest.mark.django_db


def test_six_pairs_are_made_once_in_a_batch_that_nobody_claims(people: SimpleNamespace) -> None:
    desk.make_practice()
    pairs = list(GoldPair.objects.order_by("place").select_related("better__viewer", "worse__viewer", "better__mesh__blob"))
    assert [(pair.place, pair.lesson) for pair in pairs] == list(enumerate(LESSONS, 1))
    assert len({pair.better.object_id for pair in pairs}) == 6
    for pair in pairs:
        assert (pair.better.R, pair.better.t, pair.better.s) == (pair.worse.R, pair.worse.t, pair.worse.s)
        shape = trimesh.load(io.BytesIO(storage.read(pair.better.mesh.blob)), file_type="glb", force="mesh")
        assert shape.extents == pytest.approx(Truth.objects.get(object=pair.better.object).mesh.extents, rel=0.02)
        assert storage.read(pair.worse.viewer)[:4] == storage.read(pair.better.viewer)[:4] == b"glTF"
    assert (Batch.objects.get().kind, Batch.objects.get().state) == ("practice", "closed")
    assert services.claim(people.ada) is None
    assert make_practice_job(Job.objects.get()) == {"pairs": 6, "made": 0}


def test_without_known_truth_the_job_says_what_is_missing(db: None) -> None:
    with pytest.raises(jobs.UserError, match="known truth"):
        make_practice_job(Job(kind="make_practice", args={}))
    assert not Batch.objects.exists()


def test_objects_of_different_kinds_come_first(people: SimpleNamespace) -> None:
    desk.make_practice()
    Truth.objects.filter(object__category="box").update(measured=False)
    names = [truth.object.category for truth in chosen(6)]
    assert len(set(names)) == 6 and names[-1] == "box"
