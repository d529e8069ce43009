"""Removal of a photo on request: out of the queue, out of later releases, its bytes gone where no release needs them."""

import io
import threading
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from backend import storage
from backend.accounts.access import ApiError
from backend.accounts.models import AuditEvent
from backend.annotation import answers, services
from backend.annotation.intake import enqueue
from backend.annotation.models import Assignment, Task
from backend.catalog import services as catalog
from backend.catalog.models import Image
from backend.datasets import removal
from backend.datasets.models import Release, Sample
from backend.jobs import UserError
from backend.models import Blob
from tests.backend import world as bare
from tests.backend.datasets.rows import PLAIN, World
from tests.backend.datasets.test_lineage import freeze

pytestmark = pytest.mark.django_db


def remove(image: Image, **options: Any) -> removal.Removal:
    return removal.remove(image, reason="asked by the person shown", **options)


def in_store(image: Image) -> list[bool]:
    row = Image.objects.get(pk=image.pk)
    hashes = [row.blob_id, row.targets.get().mask_id, row.pointmaps.get().blob_id]
    return [storage.store().size(storage.blob_name(sha256)) is not None for sha256 in hashes]


def test_a_removed_photo_is_handed_out_to_nobody_and_leases_end(people: SimpleNamespace) -> None:
    batch = bare.batch(overlap=2)
    gone, stays = bare.task(batch, "gone"), bare.task(batch, "stays")
    held = Assignment.objects.get(pk=services.claim(people.ada))
    assert held.task_id == gone.pk
    done = remove(gone.object.image, by=people.leo)
    assert (done.tasks, done.leases) == (1, 1)
    gone.refresh_from_db()
    held.refresh_from_db()
    assert (gone.state, gone.n_leased, gone.reason, held.state) == (
        "cancelled",
        0,
        "photo removed",
        "released",
    )
    with pytest.raises(ApiError) as lost:
        answers.compare(
            people.ada, held.pk, fence=held.fence, seq=1, answer="left", key=uuid.uuid4(), active_ms=1
        )
    assert (lost.value.status_code, lost.value.code) == (409, "lease_lost")
    for person in (people.ada, people.rev):
        assert Assignment.objects.get(pk=services.claim(person)).task_id == stays.pk
    event = AuditEvent.objects.get(verb="remove_image")
    assert (event.user, event.detail["reason"]) == (people.leo, "asked by the person shown")


def test_nothing_opens_a_task_of_it_again(people: SimpleNamespace) -> None:
    batch, other = bare.batch(), bare.batch("later")
    task = bare.task(batch, "gone")
    remove(task.object.image)
    Task.objects.filter(pk=task.pk).update(state="open")
    services.open_align(batch.pk, task.object_id, task.object.candidates.first().pk)
    enqueue(other, [task.object])
    assert set(Task.objects.values_list("state", flat=True)) == {"cancelled"}
    assert services.claim(people.ada) is None


def test_it_is_in_no_later_release_and_the_earlier_ones_are_named() -> None:
    world = World()
    gone, stays = world.target(), world.target()
    for target in (gone, stays):
        world.bracket(target, PLAIN, winner=0)
    first, pairs = freeze(world), freeze(world, "dpo")
    done = remove(gone.image)
    assert [(held.id, held.sha256, held.rows) for held in done.releases] == [
        (first.pk, first.sha256, 1),
        (pairs.pk, pairs.sha256, 2),
    ]
    assert [row.object_id for row in freeze(world).samples.all()] == [stays.row.pk]
    assert {row.object_id for row in freeze(world, "dpo").pairs.all()} == {stays.row.pk}
    assert removal.removed_in([first.pk, pairs.pk, Release.objects.latest("id").pk]) == {
        first.pk: 1,
        pairs.pk: 1,
    }
    assert first.samples.count() == 2 and Sample.objects.count() == 2, "what is frozen stays as it is"


def test_doing_it_again_keeps_the_first_reason_and_finishes_what_was_left() -> None:
    task = bare.task(bare.batch(), "gone")
    remove(task.object.image)
    assert removal.remove(task.object.image, reason="again").tasks == 0
    assert Image.objects.get().removed_reason == "asked by the person shown"


def test_erasing_deletes_what_no_other_photo_has() -> None:
    world = World()
    gone, stays = world.target(), world.target()
    stays.row.mask = gone.row.mask
    stays.row.save(update_fields=["mask"])
    assert remove(gone.image, erase=True).erased == 2
    assert in_store(gone.image) == [False, True, False] and all(in_store(stays.image))
    assert Blob.objects.filter(pk=gone.image.blob_id).exists(), (
        "the hash is kept, so that the same bytes stay out"
    )
    assert remove(gone.image, erase=True).erased == 0


def test_bytes_stay_where_a_release_in_the_store_holds_the_photo() -> None:
    world = World()
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    outside = freeze(world)
    made = freeze(world)
    Release.objects.filter(pk=made.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO datasets_releasefile (release_id, name, blob_id) VALUES (%s, 'manifest.json', %s)",
            [made.pk, made.manifest_id],
        )
    done = remove(target.image, erase=True)
    assert (done.erased, done.kept_for) == (0, [made.pk]) and all(in_store(target.image))
    assert [held.id for held in done.releases] == [outside.pk, made.pk]


def test_the_same_bytes_are_known_as_removed_and_not_stored_again() -> None:
    facts = {
        "media_type": "image/jpeg",
        "display": b"display",
        "display_type": "image/jpeg",
        "size": (4, 3),
        "name": "x",
    }
    image, _ = catalog.store_image(original=b"photo", **facts)
    remove(image, erase=True)
    again, new = catalog.store_image(original=b"photo", **facts)
    assert (again.pk, new) == (image.pk, False) and again.removed_at is not None
    assert storage.store().size(storage.blob_name(image.blob_id)) is None


@pytest.mark.parametrize(("name", "status"), [("ada", 403), ("res", 403), ("sam", 401), ("leo", 200)])
def test_only_an_admin_removes(people: SimpleNamespace, api: Any, name: str, status: int) -> None:
    image = bare.target("cup").image
    answer = api(getattr(people, name)).post(f"/api/v1/images/{image.pk}/remove/", {"reason": "asked"})
    assert answer.status_code == status
    assert Image.objects.filter(removed_at=None).exists() == (status != 200)


def test_a_removal_needs_a_reason_and_the_photo_is_shown_no_more(people: SimpleNamespace, api: Any) -> None:
    target = World().target()
    client = api(people.leo)
    url = f"/api/v1/images/{target.image.pk}"
    assert client.post(f"{url}/remove/", {"reason": " "}).status_code == 400
    assert client.get(f"{url}/photo/").status_code == 200
    assert client.post(f"{url}/remove/", {"reason": "asked"}).json()["releases"] == []
    for path in (f"{url}/photo/", f"/api/v1/objects/{target.row.pk}/mask.png", f"/api/v1/objects/{target.row.pk}/points.bin"):  # fmt: skip
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "removed")


def test_the_command_finds_a_photo_by_id_hash_or_name() -> None:
    image = bare.target("cup").image
    assert {removal.find(word).pk for word in (str(image.pk), image.blob_id[:12], "cup")} == {image.pk}
    other = bare.target("pot").image
    Image.objects.filter(pk=other.pk).update(name="cup")
    with pytest.raises(UserError, match=f"take the id: {image.pk}, {other.pk}"):
        removal.find("cup")
    said = io.StringIO()
    call_command("remove_image", str(image.pk), "--reason", "asked", "--erase", stdout=said)
    assert f"removed photo {image.pk} (cup)" in said.getvalue() and "erased 0 files" in said.getvalue()
    for words, message in (
        (["nowhere", "--reason", "x"], "no photo 'nowhere'"),
        (["cup", "--reason", " "], "say why"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("remove_image", *words)


@pytest.mark.django_db(transaction=True)
def test_people_who_claim_and_answer_meanwhile_leave_nothing_open() -> None:
    batch = bare.batch(overlap=3, asks_alignment=True, asks_rating=False)
    tasks = [bare.task(batch, f"cup {number}", n=2) for number in range(6)]
    users = [get_user_model().objects.create(username=f"p{number}", role="annotator") for number in range(3)]
    gate, stop, wrong = threading.Barrier(4, timeout=30), threading.Event(), []

    def work(user: Any) -> None:
        gate.wait()
        try:
            while not stop.is_set():
                pk = services.claim(user)
                if pk is None:
                    break
                held = Assignment.objects.get(pk=pk)
                try:
                    if held.stage == "compare":
                        answers.compare(
                            user, pk, fence=held.fence, seq=1, answer="left", key=uuid.uuid4(), active_ms=1
                        )
                    else:
                        services.end(user, pk, held.fence, state="skipped")
                except ApiError as refusal:
                    if refusal.code != "lease_lost":
                        raise
        except Exception as failure:
            wrong.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    gate.wait()
    for task in tasks[:4]:
        remove(task.object.image)
    for thread in threads:
        thread.join()
    gone = Task.objects.filter(object__in=[task.object_id for task in tasks[:4]])
    assert not wrong
    assert not gone.filter(state__in=["waiting", "open", "escalated"]).exists()
    assert not Assignment.objects.filter(task__in=gone, state="leased").exists()
    assert set(gone.values_list("n_leased", flat=True)) == {0}
