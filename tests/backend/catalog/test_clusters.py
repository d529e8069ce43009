"""Near-duplicates are found whatever the order, share one side, and never go from train to validation."""

import random
import threading
from typing import Any

import pytest
from django.db import connection

from backend.catalog import clusters
from backend.catalog.clusters import Seen, settle, side_of
from backend.catalog.models import Image
from backend.models import Blob
from model_zoo.build import kinds

TRAIN, VALIDATION = "1" * 8, "0" * 8  # beginnings of hashes of either side


def photo(number: int, side: str = TRAIN) -> Image:
    blob = Blob.objects.create(sha256=f"{side}{number:056x}", size=1, media_type="image/png")
    return Image.objects.create(blob=blob, display=blob, width=1, height=1, name=str(number))


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def flipped(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def see(image: Image, signature: int, *, fresh: bool = True) -> Image:
    settle([Seen(image.pk, signed(signature), {})], [], distance=6, fresh=fresh)
    image.refresh_from_db()
    return image


def sides() -> dict[str, tuple[int | None, str | None]]:
    return {row.name: (row.cluster, row.side) for row in Image.objects.order_by("pk")}


def test_built_data_sets_and_releases_put_a_file_on_the_same_side() -> None:
    hashes = [f"{random.Random(number).getrandbits(256):064x}" for number in range(500)]
    assert [side_of(one) for one in hashes] == [kinds.side_of(one) for one in hashes]
    assert {side_of(one) for one in hashes} == {"train", "validation"}


@pytest.mark.django_db
def test_a_photo_alone_is_its_own_cluster_on_the_side_of_its_bytes() -> None:
    one, two = see(photo(1), 0), see(photo(2, VALIDATION), 2**64 - 1)
    assert (one.cluster, one.side, two.cluster, two.side) == (one.pk, "train", two.pk, "validation")
    assert (side_of(one.blob_id), side_of(two.blob_id)) == ("train", "validation")


@pytest.mark.django_db
def test_a_near_duplicate_joins_the_side_of_the_first_whatever_its_own_bytes() -> None:
    base = random.Random(1).getrandbits(64)
    first = see(photo(1, VALIDATION), base)
    second = see(photo(2), flipped(base, 0, 13, 26, 39, 52, 63))
    third = see(photo(3), flipped(base, *range(7)))
    assert (second.cluster, second.side) == (first.pk, "validation")
    assert (third.cluster, third.side) == (third.pk, "train"), "seven bits are too far"


@pytest.mark.django_db
def test_train_wins_where_clusters_of_both_sides_become_one() -> None:
    first = see(photo(1, VALIDATION), 0)
    third = see(photo(2), flipped(0, *range(10)))
    bridge = see(photo(3, VALIDATION), flipped(0, *range(5)))
    assert sides() == dict.fromkeys("123", (first.pk, "train"))
    assert third.pk > bridge.cluster


@pytest.mark.django_db
def test_a_photo_that_was_there_before_keeps_the_side_it_may_have_been_released_with() -> None:
    see(photo(1, VALIDATION), 0)
    before = see(photo(2), 1, fresh=False)
    assert before.side == "train" and {side for _, side in sides().values()} == {"train"}


@pytest.mark.django_db
def test_looking_again_changes_nothing_and_what_cannot_be_read_stays_apart() -> None:
    broken = photo(3)
    for _ in range(2):
        see(photo(1), 0) if not Image.objects.filter(name="1") else see(Image.objects.get(name="1"), 0)
        settle([Seen(broken.pk, None, {})], [], distance=6, fresh=True)
    broken.refresh_from_db()
    assert (broken.cluster, broken.side, broken.looks) == (None, None, {})


@pytest.mark.django_db
def test_clusters_are_those_of_every_pair_compared() -> None:
    dice = random.Random(3)
    roots = [dice.getrandbits(64) for _ in range(6)]
    values = [flipped(dice.choice(roots), *dice.sample(range(64), dice.randrange(8))) for _ in range(60)]
    images = [photo(number) for number in range(60)]
    for start in range(0, 60, 7):
        part = zip(images[start : start + 7], values[start : start + 7])
        settle([Seen(image.pk, signed(value), {}) for image, value in part], [], distance=6, fresh=True)
    label = list(range(60))
    for _ in range(60):
        for a in range(60):
            for b in range(a):
                if (values[a] ^ values[b]).bit_count() <= 6:
                    label[a] = label[b] = min(label[a], label[b])
    found = dict(Image.objects.values_list("name", "cluster"))
    assert [found[str(number)] for number in range(60)] == [images[first].pk for first in label]


@pytest.mark.django_db
def test_near_duplicates_are_found_by_the_indexes_of_their_bands() -> None:
    dice = random.Random(4)
    blobs = Blob.objects.bulk_create(
        Blob(sha256=f"{number:064x}", size=1, media_type="image/png") for number in range(5000)
    )
    Image.objects.bulk_create(
        Image(blob=blob, display=blob, width=1, height=1, signature=signed(dice.getrandbits(64)))
        for blob in blobs
    )
    image = see(photo(1), 5)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_image")
        cursor.execute("EXPLAIN " + clusters.LINKS, {"ids": [image.pk], "distance": 6})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert all(f"image_band_{shift}" in plan for shift in (0, 16, 32, 48))


@pytest.mark.django_db(transaction=True)
def test_imports_at_the_same_time_find_each_other() -> None:
    images, gate = [photo(number) for number in range(6)], threading.Barrier(6, timeout=30)

    def work(image: Image) -> None:
        gate.wait()
        see(image, flipped(0, image.pk % 7))
        connection.close()

    threads: list[Any] = [threading.Thread(target=work, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {cluster for cluster, _ in sides().values()} == {min(image.pk for image in images)}
