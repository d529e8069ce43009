"""Batches, imports, uploads and pictures over HTTP."""

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from backend.annotation.intake import enqueue
from backend.catalog import services
from backend.catalog.models import Batch, TargetObject
from backend.models import Blob, Job

pytestmark = pytest.mark.django_db
PHOTO = b"\xff\xd8 not really a photo"


@pytest.fixture
def leo(people: SimpleNamespace, api: Any) -> Any:
    return api(people.leo)


@pytest.fixture
def cup(db: None) -> TargetObject:
    image, _ = services.store_image(
        original=PHOTO,
        media_type="image/jpeg",
        display=b"0123456789",
        display_type="image/jpeg",
        size=(4, 3),
        name="cup",
    )
    return services.store_object(image, mask=b"mask", name="cup", category="cup")[0]


def send(client: Any, url: str, **fields: Any) -> Any:
    return client.post(f"/api/v1/{url}", fields, format="multipart")


def test_a_batch_is_made_and_listed_with_counts(leo: Any, cup: TargetObject) -> None:
    made = leo.post("/api/v1/batches/", {"name": "first", "alpha": 0.7}).json()
    enqueue(Batch.objects.get(pk=made["id"]), [cup])
    row = leo.get("/api/v1/batches/").json()["results"][0]
    assert (row["name"], row["alpha"], row["counts"]["objects"], row["counts"]["waiting"]) == (
        "first",
        0.7,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "no spaces please"}, "name"),
        ({"name": "a", "alpha": 2}, "alpha"),
        ({"name": "a", "n_candidates": 1}, "n_candidates"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({}, "name"),
    ],
)
def test_a_bad_batch_is_refused_by_field(leo: Any, fields: dict[str, Any], wrong: str) -> None:
    reply = leo.post("/api/v1/batches/", fields)
    assert (reply.status_code, list(reply.json()["error"]["fields"])) == (400, [wrong])


def test_a_taken_name_is_a_conflict(leo: Any) -> None:
    leo.post("/api/v1/batches/", {"name": "first"})
    assert leo.post("/api/v1/batches/", {"name": "first"}).status_code == 409


def test_a_batch_can_be_paused(leo: Any) -> None:
    pk = leo.post("/api/v1/batches/", {"name": "first"}).json()["id"]
    assert leo.patch(f"/api/v1/batches/{pk}/", {"state": "paused"}).json()["state"] == "paused"


def test_the_list_of_batches_costs_the_same_for_many(leo: Any, django_assert_max_num_queries: Any) -> None:
    Batch.objects.bulk_create(Batch(name=f"b{number}") for number in range(30))
    with django_assert_max_num_queries(9):
        assert len(leo.get("/api/v1/batches/").json()["results"]) == 30


def test_objects_of_a_batch_show_their_stages_and_jobs(
    leo: Any, cup: TargetObject, django_assert_max_num_queries: Any
) -> None:
    batch = Batch.objects.create(name="first")
    enqueue(batch, [cup])
    Job.objects.create(
        kind="propose", queue="gpu", key="k", group=f"propose:{batch.pk}:{cup.pk}", state="failed"
    )
    with django_assert_max_num_queries(9):
        row = leo.get(f"/api/v1/batches/{batch.pk}/objects/").json()["results"][0]
    assert row["stage_states"] == {"compare": "waiting"}
    assert (row["jobs"]["failed"], row["candidates_ready"], row["category"]) == (1, 0, "cup")


def test_a_photo_becomes_one_import_job_however_often_it_is_sent(leo: Any) -> None:
    batch = Batch.objects.create(name="first")
    for _ in range(2):
        reply = send(leo, "imports/images/", file=SimpleUploadedFile("cup.jpg", PHOTO), batch=batch.pk)
    job = Job.objects.get()
    assert (reply.status_code, reply.json()["id"], job.args["filename"]) == (202, job.pk, "cup.jpg")
    assert job.args["blob"] == hashlib.sha256(PHOTO).hexdigest()


def test_an_import_needs_a_batch_that_exists(leo: Any) -> None:
    reply = send(leo, "imports/images/", file=SimpleUploadedFile("cup.jpg", PHOTO), batch=99)
    assert (reply.status_code, list(reply.json()["error"]["fields"])) == (400, ["batch"])


@pytest.mark.parametrize("fields", [{}, {"file": "text"}, {"file": SimpleUploadedFile("empty.jpg", b"")}])
def test_an_import_without_a_file_is_refused(leo: Any, fields: dict[str, Any]) -> None:
    assert send(leo, "imports/meshes/", **fields).status_code == 400


def test_a_file_over_the_limit_is_413(leo: Any, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    big = SimpleUploadedFile("big.zip", b"x" * 100_000)
    reply = send(leo, "imports/meshes/", file=big)
    assert (reply.status_code, reply.json()["error"]["code"], Blob.objects.count()) == (413, "too_large", 0)


def begin(client: Any, data: bytes, **more: Any) -> dict[str, Any]:
    reply = client.post("/api/v1/uploads/", {"filename": "a.zip", "size": len(data), **more})
    return dict(reply.json())


def put(client: Any, upload: dict[str, Any], data: bytes) -> Any:
    return client.put(upload["url"], data, content_type="application/octet-stream")


def test_an_upload_in_steps_can_be_imported(leo: Any) -> None:
    batch = Batch.objects.create(name="first")
    upload = begin(leo, PHOTO, sha256=hashlib.sha256(PHOTO).hexdigest())
    put(leo, upload, PHOTO)
    assert leo.post(f"/api/v1/uploads/{upload['id']}/finalise/").json()["state"] == "stored"
    reply = leo.post("/api/v1/imports/images/", {"upload": upload["id"], "batch": batch.pk})
    assert (reply.status_code, Job.objects.get().args["filename"]) == (202, "a.zip")


def test_finalise_may_be_repeated(leo: Any) -> None:
    upload = begin(leo, PHOTO)
    put(leo, upload, PHOTO)
    states = [leo.post(f"/api/v1/uploads/{upload['id']}/finalise/").json()["state"] for _ in range(2)]
    assert states == ["stored", "stored"]


def test_bytes_with_another_hash_are_refused(leo: Any) -> None:
    upload = begin(leo, PHOTO, sha256="0" * 64)
    put(leo, upload, PHOTO)
    reply = leo.post(f"/api/v1/uploads/{upload['id']}/finalise/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "upload_refused")


def test_fewer_bytes_than_announced_are_refused(leo: Any) -> None:
    upload = begin(leo, PHOTO)
    put(leo, upload, PHOTO[:5])
    assert leo.post(f"/api/v1/uploads/{upload['id']}/finalise/").status_code == 400


@pytest.mark.parametrize("data", [b"<html><script>", b"MZ\x90\x00\x03\x00", b"%PDF-1.7", b"#!/bin/sh"])
def test_bytes_of_a_kind_that_no_door_takes_are_refused_at_finalise(leo: Any, data: bytes) -> None:
    upload = begin(leo, data)
    put(leo, upload, data)
    reply = leo.post(f"/api/v1/uploads/{upload['id']}/finalise/")
    assert (reply.status_code, "not a photo" in reply.json()["error"]["message"]) == (400, True)


def test_more_bytes_than_announced_are_413(leo: Any) -> None:
    upload = begin(leo, PHOTO)
    assert put(leo, upload, PHOTO * 2).status_code == 413


def test_an_upload_that_was_not_finalised_cannot_be_imported(leo: Any) -> None:
    upload = begin(leo, PHOTO)
    assert leo.post("/api/v1/imports/meshes/", {"upload": upload["id"]}).status_code == 400


def test_nobody_sees_another_persons_upload(leo: Any, people: SimpleNamespace, api: Any) -> None:
    upload = begin(leo, PHOTO)
    assert put(api(people.art), upload, PHOTO).status_code == 404


def test_a_photo_is_cached_for_ever_and_never_sniffed(
    cup: TargetObject, people: SimpleNamespace, api: Any
) -> None:
    reply = api(people.ada).get(f"/api/v1/images/{cup.image_id}/photo/")
    assert b"".join(reply.streaming_content) == b"0123456789"
    assert reply["Content-Type"] == "image/jpeg" and reply["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in reply["Cache-Control"]


def test_an_object_without_points_says_so(cup: TargetObject, people: SimpleNamespace, api: Any) -> None:
    assert api(people.ada).get(f"/api/v1/objects/{cup.pk}/points.bin").status_code == 404


def test_a_mask_is_served_as_png(cup: TargetObject, people: SimpleNamespace, api: Any) -> None:
    reply = api(people.ada).get(f"/api/v1/objects/{cup.pk}/mask.png")
    assert (reply["Content-Type"], b"".join(reply.streaming_content)) == ("image/png", b"mask")
