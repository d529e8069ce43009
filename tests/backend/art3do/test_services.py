"""From an escalated object through an artist's mesh to a sample."""

import uuid
from types import SimpleNamespace

import pytest

from backend import storage
from backend.accounts.access import ApiError
from backend.annotation.models import Assignment, Task
from backend.art3do import services
from backend.art3do.models import ArtSubmission, Pin
from backend.datasets.models import Sample
from backend.datasets.services import collect
from backend.models import Job
from backend.proposals.models import Candidate
from tests.backend.art3do.cases import checked, claimed, escalated, sent
from tests.backend.datasets.rows import World

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
    assert first.note == "replaced by version 2"  # what the art page knows it by


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


def test_checking_twice_reports_once(people: SimpleNamespace) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    services.conclude(row, ok=False, findings=[], figures={}, mesh=None)
    assert ArtSubmission.objects.get().state == "in_review"


def test_a_repair_asked_twice_with_one_key_is_one_version(people: SimpleNamespace) -> None:
    row, key = checked(sent(people.art, claimed(people.art).assignment)), uuid.uuid4()
    made = [services.repair(people.art, row.pk, fixes=["merge_vertices"], key=key) for _ in range(2)]
    assert made[0] == made[1] and (made[0].version, made[0].fixes) == (2, ["merge_vertices"])
    assert made[0].repaired_from == row and made[0].state == "checking"
    assert Job.objects.get(kind="repair_submission").queue == "interactive"


def test_a_refused_version_can_be_repaired_and_one_being_checked_cannot(people: SimpleNamespace) -> None:
    row = sent(people.art, claimed(people.art).assignment)
    with pytest.raises(ApiError, match="still being checked"):
        services.repair(people.art, row.pk, fixes=["merge_vertices"], key=uuid.uuid4())
    checked(row, ok=False)
    assert services.repair(people.art, row.pk, fixes=["merge_vertices"], key=uuid.uuid4()).version == 2


def test_only_the_artist_who_holds_the_case_repairs(people: SimpleNamespace) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    with pytest.raises(ApiError, match="no such submission"):
        services.repair(people.leo, row.pk, fixes=["merge_vertices"], key=uuid.uuid4())
    Assignment.objects.update(state="expired")
    with pytest.raises(ApiError) as refusal:
        services.repair(people.art, row.pk, fixes=["merge_vertices"], key=uuid.uuid4())
    assert refusal.value.code == "lease_lost"


def test_a_return_pins_its_remarks_once(people: SimpleNamespace) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    pins = [{"text": "too thin here", "point": [0.1, 0.2, 0.3]}, {"text": "good otherwise", "point": None}]
    for _ in range(2):
        services.judge(people.rev, row.pk, verdict="return", note="thin", pins=pins)
    assert list(Pin.objects.order_by("id").values_list("text", "point")) == [
        ("too thin here", [0.1, 0.2, 0.3]),
        ("good otherwise", None),
    ]


def test_a_version_carries_so_many_pins_and_no_more(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_PINS", 1)
    row = checked(sent(people.art, claimed(people.art).assignment))
    services.pin(people.rev, row, key=uuid.uuid4(), text="one")
    with pytest.raises(ApiError, match="at most 1"):
        services.pin(people.rev, row, key=uuid.uuid4(), text="two")
