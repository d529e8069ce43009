"""A person asks for a fit: the job gives back a better pose, and stores nothing."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from backend import jobs, storage
from backend.annotation.models import Alignment, Assignment, Task
from backend.catalog.models import Batch, Image, Mesh, Pointmap, TargetObject
from backend.models import Job
from backend.proposals.models import Candidate, Proposer
from model_zoo.io.depth import Camera, encode_pointmap
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.images import encode_jpeg, encode_png
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.render import intrinsics, render, view_rotation
from workers import fitting
from workers.proposing import pose_json

pytestmark = pytest.mark.django_db
SIZE = (200, 160)
K = intrinsics(50, SIZE)
MESH = make("teapot", 2)
TRUTH = Pose(R=view_rotation(30, 25), t=np.array([0.03, 0.05, 0.9]), s=np.full(3, 1.3))
NEAR = Pose(R=view_rotation(40, 20), t=TRUTH.t + [0.03, -0.02, 0.05], s=TRUTH.s * 1.1)
ASTRAY = Pose(R=view_rotation(170, 60), t=TRUTH.t, s=TRUTH.s)


@pytest.fixture
def case(people: SimpleNamespace) -> SimpleNamespace:
    """A teapot seen by a sensor, its own mesh as the chosen candidate, and Ada at the align task."""
    view = render(MESH, TRUTH, K, SIZE)
    camera = Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2], *SIZE)
    photo = storage.put(encode_jpeg(view.rgb), "image/jpeg")
    image = Image.objects.create(blob=photo, display=photo, width=SIZE[0], height=SIZE[1])
    points = storage.put(encode_pointmap(view.points(K), camera), "application/x-npz")
    Pointmap.objects.create(image=image, blob=points, source="sensor", camera={})
    outline = storage.put(encode_png(view.mask.astype(np.uint8) * 255), "image/png")
    target = TargetObject.objects.create(image=image, mask=outline, name="teapot", category="teapot")
    batch = Batch.objects.create(name="kitchen")
    glb = storage.put(export_glb(MESH), "model/gltf-binary")
    mesh = Mesh.objects.create(blob=glb, source="proposer", triangles=len(MESH.faces), extents=[1, 1, 1])
    candidate = Candidate.objects.create(
        batch=batch,
        object=target,
        proposer=Proposer.objects.create(name="retrieval", kind="retrieval"),
        seed=0,
        mesh=mesh,
        viewer=glb,
        thumbnail=photo,
        **pose_json(NEAR),
    )
    task = Task.objects.create(batch=batch, object=target, stage="align", state="open", candidate=candidate)
    assignment = Assignment.objects.create(
        task=task, user=people.ada, batch=batch, stage="align", lease_until=timezone.now()
    )
    return SimpleNamespace(target=target, candidate=candidate, task=task, assignment=assignment)


def asked(case: SimpleNamespace, pose: Any, **args: Any) -> Job:
    """The job of this request, run to its end."""
    args = {"assignment": case.assignment.pk, "pose": pose, **args}
    job = Job.objects.create(kind="fit", queue="interactive", key=f"fit:{Job.objects.count()}", args=args)
    jobs.run(job.pk, fitting.fit_job)
    job.refresh_from_db()
    return job


def off(job: Job) -> float:
    """Largest difference to the true pose as a matrix."""
    return float(abs(fitting.pose_of(job.result["pose"]).matrix() - TRUTH.matrix()).max())


def test_a_fit_comes_to_the_truth_and_stores_nothing(case: SimpleNamespace) -> None:
    job = asked(case, pose_json(NEAR), start=pose_json(NEAR))
    assert job.state == "done" and off(job) < 0.02
    assert job.result["iou"] > 0.95 and job.result["depth_error"] < 0.01 and 0 < job.result["seconds"] < 30
    assert not Alignment.objects.exists()


def test_a_pose_led_astray_is_saved_by_the_candidates_own(case: SimpleNamespace) -> None:
    assert off(asked(case, pose_json(ASTRAY), start=pose_json(NEAR))) < 0.02
    assert off(asked(case, pose_json(ASTRAY))) < 0.02


def test_a_bad_start_does_not_spoil_a_good_pose(case: SimpleNamespace) -> None:
    assert off(asked(case, pose_json(NEAR), start=pose_json(ASTRAY))) < 0.02


def test_a_second_fit_reads_no_file(case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(case, pose_json(NEAR))
    monkeypatch.setattr(storage, "read", lambda blob: pytest.fail("a file was read"))
    assert asked(case, pose_json(NEAR)).state == "done"


def test_a_mask_drawn_anew_is_heeded(case: SimpleNamespace) -> None:
    asked(case, pose_json(NEAR))
    empty = storage.put(encode_png(np.zeros(SIZE[::-1], np.uint8)), "image/png")
    TargetObject.objects.filter(pk=case.target.pk).update(mask=empty)
    job = asked(case, pose_json(NEAR))
    assert job.state == "failed" and "mask" in job.error


@pytest.mark.parametrize(
    ("pose", "reason"),
    [
        ({"R": [1, 0, 0, 0, 1, 0, 0, 0, -1], "t": [0, 0, 1], "s": [1, 1, 1]}, "R is not a rotation"),
        ({"R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t": [0, 0, 1], "s": [1, 0, 1]}, "scale s must be positive"),
        ({"t": [0, 0, 1], "s": [1, 1, 1]}, 'field "R" is missing'),
        ("here", "expected an object"),
    ],
)
def test_a_pose_that_is_none_is_refused_with_the_reason(
    case: SimpleNamespace, pose: Any, reason: str
) -> None:
    job = asked(case, pose)
    assert job.state == "failed" and reason in job.error and "\n" not in job.error


def test_an_object_without_pointmap_cannot_be_fitted(case: SimpleNamespace) -> None:
    Pointmap.objects.all().delete()
    job = asked(case, pose_json(NEAR))
    assert job.state == "failed" and "no pointmap" in job.error


def test_a_task_without_mesh_or_an_assignment_that_is_gone_is_told_so(case: SimpleNamespace) -> None:
    Task.objects.filter(pk=case.task.pk).update(candidate=None)
    assert "no mesh to fit" in asked(case, pose_json(NEAR)).error
    Assignment.objects.all().delete()
    assert "no mesh to fit" in asked(case, pose_json(NEAR)).error
