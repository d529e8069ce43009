"""From an escalated object through an artist's mesh to a sample."""

import io
import json
import uuid
import zipfile
from types import SimpleNamespace

import pytest

from backend import storage
from backend.accounts.access import ApiError
from backend.annotation.models import Assignment, Task
from backend.art3do import services
from backend.art3do.models import ArtSubmission
from backend.datasets.models import Sample
from backend.datasets.services import collect
from backend.models import Job
from backend.proposals.models import Candidate
from tests.backend.art3do.cases import checked, claimed, escalated, sent
from tests.backend.datasets.rows import PLAIN, World

pytestmark = pytest.mark.django_db


def test_curating_takes_evenly_from_every_reason(people: SimpleNamespace) -> None:
    world = World()
    for reason in ("occlusion", "occlusion", "occlusion", "transparency"):
        escalated(world, reason)
    batch, cases = services.curate(world.batch, name="hard", count=2)
    assert cases == 2 and batch.kind == "art3do"
    assert sorted(batch.tasks.values_list("reason", flat=True)) == ["occlusion", "transparency"]


def test_an_object_is_an_art_case_once(people: SimpleNamespace) -> None:
    world = World()
    escalated(world)
    services.curate(world.batch, name="hard")
    with pytest.raises(ApiError, match="No escalated object"):
        services.curate(world.batch, name="harder")


def test_the_artist_starts_from_what_people_rated_highest(people: SimpleNamespace) -> None:
    world = World()
    target = world.target()
    world.bracket(target, [("right", 0, 1), ("left", 1, 2)], winner=1, r=0.3)
    Task.objects.filter(stage="compare").update(state="escalated", reason="below alpha")
    batch, _ = services.curate(world.batch, name="hard")
    assert batch.tasks.get().candidate == target.candidates[1]


def test_sending_twice_with_one_key_is_one_submission(people: SimpleNamespace) -> None:
    case, key = claimed(people.art), uuid.uuid4()
    assert sent(people.art, case.assignment, key) == sent(people.art, case.assignment, key)
    assert Job.objects.filter(kind="check_submission").count() == 1


def test_a_zombie_fence_is_a_lost_lease(people: SimpleNamespace) -> None:
    case = claimed(people.art)
    case.assignment.fence += 1
    with pytest.raises(ApiError) as refusal:
        sent(people.art, case.assignment)
    assert refusal.value.code == "lease_lost"


def test_a_better_version_replaces_the_one_in_review(people: SimpleNamespace) -> None:
    case = claimed(people.art)
    first, second = (checked(sent(people.art, case.assignment)) for _ in range(2))
    first.refresh_from_db()
    assert (first.state, second.state, second.version) == ("returned", "in_review", 2)


def test_a_returned_mesh_leaves_the_case_with_the_artist(people: SimpleNamespace) -> None:
    case = claimed(people.art)
    row = services.judge(
        people.rev, checked(sent(people.art, case.assignment)).pk, verdict="return", note="close the base"
    )
    assert row.state == "returned"
    assert Task.objects.get(pk=row.task_id).note == "close the base"
    assert sent(people.art, case.assignment).version == 2


def test_an_approved_mesh_becomes_a_candidate_to_align(people: SimpleNamespace) -> None:
    case = claimed(people.art, asks_alignment=True)
    services.judge(people.rev, checked(sent(people.art, case.assignment)).pk, verdict="approve", note="")
    candidate = Candidate.objects.get(batch=case.batch)
    assert candidate.proposer.kind == "artist" and not candidate.proposer.active
    assert storage.store().size(storage.view_name(candidate.key, ".glb"))
    align = Task.objects.get(batch=case.batch, stage="align")
    assert align.state == "open" and align.candidate == candidate
    art = Task.objects.get(batch=case.batch, stage="art")
    assert (art.state, art.n_leased, art.n_done) == ("done", 0, 1)


def test_an_approved_mesh_is_a_sample_with_full_rating(people: SimpleNamespace) -> None:
    case = claimed(people.art, asks_alignment=False)
    services.judge(people.rev, checked(sent(people.art, case.assignment)).pk, verdict="approve", note="")
    collect([case.batch])
    assert Sample.objects.get().r == 1


def test_approving_twice_makes_one_candidate(people: SimpleNamespace) -> None:
    case = claimed(people.art)
    row = checked(sent(people.art, case.assignment))
    for _ in range(2):
        services.judge(people.rev, row.pk, verdict="approve", note="")
    assert Candidate.objects.filter(batch=case.batch).count() == 1


def test_a_mesh_of_a_lapsed_lease_can_still_be_approved(people: SimpleNamespace) -> None:
    case = claimed(people.art)
    row = checked(sent(people.art, case.assignment))
    Assignment.objects.filter(pk=case.assignment.pk).update(state="expired")
    Task.objects.filter(pk=case.assignment.task_id).update(n_leased=0)
    services.judge(people.rev, row.pk, verdict="approve", note="")
    assert Task.objects.get(pk=row.task_id).state == "done"


def test_a_refused_mesh_cannot_be_approved(people: SimpleNamespace) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment), ok=False)
    with pytest.raises(ApiError, match="refused"):
        services.judge(people.rev, row.pk, verdict="approve", note="")


def test_nobody_judges_the_own_mesh(people: SimpleNamespace) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    with pytest.raises(ApiError, match="Somebody else"):
        services.judge(people.art, row.pk, verdict="approve", note="")


def test_the_starter_zip_holds_what_an_artist_needs(people: SimpleNamespace) -> None:
    world = World()
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(services.starter(target.row))))
    assert archive.testzip() is None
    assert archive.read("candidate.glb") == storage.read(target.candidates[0].mesh.blob)
    assert json.loads(archive.read("camera.json"))["candidate_pose"]["t"] == [0, 0, 2]
    assert {"photo.jpg", "mask.png", "pointmap.npz"} < set(archive.namelist())


def test_checking_twice_reports_once(people: SimpleNamespace) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    services.conclude(row, ok=False, findings=[], figures={}, mesh=None)
    assert ArtSubmission.objects.get().state == "in_review"
