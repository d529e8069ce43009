"""Jobs make candidates without look-alikes; the object opens after its last job; failures are seen and can be retried."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from backend import jobs, storage
from backend.annotation.models import Task
from backend.catalog.models import Batch, Mesh
from backend.models import Job
from backend.proposals import services
from backend.proposals.models import Candidate, Proposer
from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.poses import Pose
from model_zoo.library import make
from workers import importing, proposing

pytestmark = pytest.mark.django_db


def world(
    test_data: Path, folder: Path, *, wanted: int = 2, kinds: tuple[str, ...] = ("inflation", "inflation")
) -> SimpleNamespace:
    """A batch with one object of a real photo, and proposers of these kinds; retrieval knows a library of three."""
    for name in ("mug.jpg", "mug.mask_mug.png"):
        (folder / name).write_bytes((test_data / "dev/images" / name).read_bytes())
    batch = Batch.objects.create(name="photos", n_candidates=wanted)
    importing.import_images(folder, batch)
    rows = [Proposer.objects.create(name=f"{kind}-{number}", kind=kind) for number, kind in enumerate(kinds)]
    return SimpleNamespace(batch=batch, target=batch.tasks.get().object, proposers=rows)


def fill_library(names: tuple[str, ...] = ("mug", "bottle", "bowl")) -> None:
    for name in names:
        facts = {"category": name, "licence": "CC0-1.0", "attribution": "somebody"}
        importing.take_mesh(export_glb(make(name, 1)), name=f"{name}.glb", facts=facts)


def work(**wanted: Any) -> list[Job]:
    """Run the queued proposal jobs as the worker does, in its order."""
    rows = list(Job.objects.filter(kind="propose", state="queued", **wanted).order_by("id"))
    for job in rows:
        jobs.run(job.pk, proposing.propose_job)
        proposing.settle(job.pk)
        job.refresh_from_db()
    return rows


@pytest.fixture
def photos(test_data: Path, tmp_path: Path) -> SimpleNamespace:
    made = world(test_data, tmp_path)
    services.propose(made.batch)
    return made


def test_an_object_gets_candidates_that_differ_and_opens(photos: SimpleNamespace) -> None:
    """Both proposers start with the same form, so one of them has to go on to another seed."""
    ended = work()
    assert [job.state for job in ended] == ["done", "done"], [job.error for job in ended]
    assert sum(job.result["alike"] for job in ended) >= 1
    ready = Candidate.objects.filter(state="ready")
    assert len(set(ready.values_list("mesh", flat=True))) == ready.count() == 2
    assert Task.objects.get().state == "open"


def test_a_candidate_is_a_sound_mesh_in_front_of_the_camera_with_its_copies(photos: SimpleNamespace) -> None:
    work()
    row = Candidate.objects.select_related("mesh__blob").first()
    mesh = load_mesh(storage.read(row.mesh.blob)).mesh
    placed = Pose(np.reshape(row.R, (3, 3)), np.array(row.t), np.array(row.s)).apply(mesh.vertices)
    assert len(mesh.faces) == row.mesh.triangles and (placed[:, 2] > 0).all()
    assert (row.pointmap_source, row.cost_seconds > 0) == ("fallback", True)
    glb = b"".join(storage.store().open(storage.view_name(row.key, ".glb")))
    png = b"".join(storage.store().open(storage.view_name(row.key, ".png")))
    assert glb[:4] == b"glTF" and png[:8] == b"\x89PNG\r\n\x1a\n" and b"EXT_meshopt_compression" in glb


def test_an_object_stays_closed_while_a_job_is_under_way(photos: SimpleNamespace) -> None:
    Job.objects.filter(pk=Job.objects.last().pk).update(state="running")
    work()
    assert Task.objects.get().state == "waiting"


def test_a_job_that_ran_twice_made_nothing_twice(photos: SimpleNamespace) -> None:
    work()
    before = list(Candidate.objects.order_by("pk").values_list("pk", "seed", "mesh"))
    Job.objects.update(state="queued", attempts=0)
    work()
    assert before == list(Candidate.objects.order_by("pk").values_list("pk", "seed", "mesh"))


def test_a_proposer_without_a_library_fails_in_words_and_the_others_go_on(
    test_data: Path, tmp_path: Path
) -> None:
    made = world(test_data, tmp_path, wanted=3, kinds=("inflation", "inflation", "retrieval"))
    services.propose(made.batch)
    states = {job.args["proposer"]: (job.state, job.error) for job in work()}
    assert states[made.proposers[2].pk] == (
        "failed",
        "retrieval-2: the mesh library is empty: import_meshes fills it",
    )
    assert Task.objects.get().state == "open"


def test_a_failed_job_can_be_retried_when_the_cause_is_gone(test_data: Path, tmp_path: Path) -> None:
    made = world(test_data, tmp_path, kinds=("inflation", "retrieval"))
    services.propose(made.batch)
    work()
    fill_library()
    jobs.retry(Job.objects.get(state="failed"))
    assert [job.state for job in work()] == ["done"]
    found = Candidate.objects.select_related("mesh").filter(proposer=made.proposers[1])
    assert {(one.mesh.licence, one.mesh.attribution) for one in found} == {("CC0-1.0", "somebody")}


def test_an_object_whose_last_job_died_opens_too(photos: SimpleNamespace) -> None:
    first, last = Job.objects.order_by("id")
    work(pk=first.pk)
    Job.objects.filter(pk=last.pk).update(state="running", attempts=3, lease_until="2020-01-01T00:00Z")
    proposers = proposing.dying()
    jobs.reap()
    assert [proposing.settle(pk) for pk in proposers] == [Candidate.objects.count() >= 2]


def test_the_index_describes_only_meshes_that_are_new(db: None) -> None:
    fill_library(("mug", "bottle"))
    first = proposing.library_index(proposing.library_ids())
    fill_library(("bowl",))
    second = proposing.library_index(proposing.library_ids())
    assert second.mesh_ids[:2] == first.mesh_ids and len(second.mesh_ids) == 3
    assert set(second.owner) == {0, 1, 2} and len(second.outlines) == len(second.owner)


def test_a_large_photo_is_proposed_for_at_a_smaller_size() -> None:
    rgb, mask = np.zeros((1000, 2000, 3), np.uint8), np.zeros((1000, 2000), bool)
    points = np.dstack([*np.meshgrid(np.arange(2000), np.arange(1000)), np.ones((1000, 2000))])
    small = proposing.smaller(rgb, mask, points)
    assert [part.shape[:2] for part in small] == [(334, 667)] * 3
    assert small[2][1, 1].tolist() == [3, 3, 1]


@pytest.mark.django_db(transaction=True)
def test_the_command_waits_for_a_real_worker(test_data: Path, tmp_path: Path, worker: None) -> None:
    made = world(test_data, tmp_path)
    out = io.StringIO()
    call_command("propose", "--batch", made.batch.name, "--wait", stdout=out)
    assert "every object of photos has candidates" in out.getvalue()
    assert (Task.objects.get().state, Candidate.objects.count()) == ("open", 2)


@pytest.mark.django_db(transaction=True)
def test_the_command_names_the_objects_that_stay_without_candidates(
    test_data: Path, tmp_path: Path, worker: None
) -> None:
    made = world(test_data, tmp_path, kinds=("retrieval", "retrieval"))
    err = io.StringIO()
    with pytest.raises(CommandError, match="1 objects of photos have fewer than two candidates"):
        call_command("propose", "--batch", made.batch.name, "--wait", stdout=io.StringIO(), stderr=err)
    assert "the mesh library is empty" in err.getvalue()


def test_an_unknown_batch_is_one_line() -> None:
    with pytest.raises(CommandError, match="there is no batch nothing"):
        call_command("propose", "--batch", "nothing")


def test_library_meshes_keep_what_the_manifest_says(tmp_path: Path) -> None:
    (tmp_path / "mug_01.glb").write_bytes(export_glb(make("mug", 1)))
    (tmp_path / "manifest.jsonl").write_text(
        '{"path": "mug_01.glb", "category": "mug", "licence": "CC0-1.0"}\n'
    )
    importing.import_meshes(tmp_path)
    assert Mesh.objects.values_list("name", "category", "licence").get() == ("mug_01", "mug", "CC0-1.0")
