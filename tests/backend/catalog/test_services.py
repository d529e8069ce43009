"""The catalog stores each content once."""

from types import SimpleNamespace

import pytest

from backend.catalog import services
from backend.catalog.models import Image, Mesh, TargetObject

pytestmark = pytest.mark.django_db


def image(data: bytes = b"photo") -> tuple[Image, bool]:
    return services.store_image(
        original=data,
        media_type="image/jpeg",
        display=b"clean " + data,
        display_type="image/jpeg",
        size=(40, 30),
        name="cup",
    )


def test_the_same_photo_is_one_image() -> None:
    (first, new), (second, again) = image(), image()
    assert (first, new, again) == (second, True, False)


def test_a_display_copy_may_be_shared_by_two_originals() -> None:
    first, _ = image(b"one")
    second, new = services.store_image(
        original=b"two",
        media_type="image/png",
        display=b"clean one",
        display_type="image/jpeg",
        size=(40, 30),
        name="b",
    )
    assert new and first.display == second.display


def test_an_image_has_one_object_per_mask() -> None:
    row, _ = image()
    made = [services.store_object(row, mask=mask, area=9, box=[0, 0, 3, 3]) for mask in (b"a", b"b", b"a")]
    assert [new for _, new in made] == [True, True, False]


def test_an_image_waits_for_one_mask_only_once() -> None:
    row, _ = image()
    services.store_object(row, mask=None)
    services.store_object(row, mask=None)
    assert TargetObject.objects.count() == 1


def test_the_newest_pointmap_is_the_one_to_place_on() -> None:
    row, _ = image()
    for number, source in enumerate(["fallback", "sensor"]):
        services.store_pointmap(
            row, npz=b"%d" % number, points=b"", source=source, metric=False, camera={"fx": 1}
        )
    assert services.best_pointmap(row).source == "sensor"


def test_one_mesh_may_be_in_the_library_and_be_a_truth() -> None:
    for source in ("library", "truth", "library"):
        services.store_mesh(b"glb", source=source, triangles=4, extents=[1, 1, 1])
    assert Mesh.objects.count() == 2


def test_a_truth_stays_as_it_was_first_given() -> None:
    row, _ = image()
    target, _ = services.store_object(row, mask=b"m")
    mesh, _ = services.store_mesh(b"glb", source="truth", triangles=4, extents=[1, 1, 1])
    pose = {"R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t": [0, 0, 1], "s": [1, 1, 1]}
    services.store_truth(target, mesh, **pose, measured=True)
    kept, new = services.store_truth(target, mesh, **pose | {"t": [9, 9, 9]}, measured=False)
    assert (kept.t, new) == ([0, 0, 1], False)


def test_instructions_are_kept_version_by_version(people: SimpleNamespace) -> None:
    batch = services.create_batch(name="mugs", instructions="Look at the shape.", by=people.leo)
    assert services.write_instructions(batch, "Look at the shape.").instructions_version == 1
    services.write_instructions(batch, "Look at the *handle*.", by=people.leo)
    kept = batch.instruction_versions.order_by("version").values_list("version", "text")
    assert list(kept) == [(1, "Look at the shape."), (2, "Look at the *handle*.")]
