"""Flying Occlusions on real photos and meshes: the paper's limits, sides, limits of the work, the same bytes again."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from model_zoo.build import flying
from model_zoo.build.kinds import Made, MeshItem, PhotoItem, Refused, Room, Settings, Shape, Work, side_of
from model_zoo.build.shapes import canonical
from model_zoo.build.sheet import contact_sheet, outlined
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import scan
from model_zoo.raster import Raster

MESHES = (
    "habitat_chair",
    "ycb_banana",
    "pm_tractor",
    "plate_8in",
    "spot_cow",
    "pm_burger",
    "ycb_scissors",
    "avocado",
)
PHOTOS = ("kodak_20", "mug", "davis_goat_00000", "kodak_13_background")


def sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def source(test_data):
    """Items and what opens them; a mesh that is none is among them."""
    files = {name: (test_data / f"dev/meshes/{name}.glb").read_bytes() for name in MESHES}
    files["broken"] = b"glTF" + b"\0" * 40
    meshes = {
        sha(data): (MeshItem(name, sha(data), licence=f"licence of {name}"), data)
        for name, data in files.items()
    }
    scenes = {}
    for name in PHOTOS:
        for scene in scan(test_data / f"dev/images/{name}.jpg"):
            masks = {
                p.stem.split("mask_")[1]: p for p in (test_data / "dev/images").glob(f"{name}.mask_*.png")
            }
            scene.masks = {key: np.asarray(Image.open(path).convert("1")) for key, path in masks.items()}
            scenes[sha(scene.image_bytes)] = scene
    shapes = {}

    def shape(item):
        if item.sha256 not in shapes:
            mesh, centre, side = canonical(load_mesh(meshes[item.sha256][1], name=item.name).mesh)
            shapes[item.sha256] = Shape(
                item, mesh, centre, side, np.zeros((64,) * 3, bool), {}, np.zeros(8, np.float32)
            )
        return shapes[item.sha256]

    photos = tuple(PhotoItem(scene.name, key) for key, scene in scenes.items())
    room = Room(Settings(flying.VARIANT, "x", size=256), shape, lambda photo: scenes[photo.sha256])
    return room, Work(0, tuple(item for item, _ in meshes.values()), photos)


@pytest.fixture(scope="module", autouse=True)
def one_side():
    """All of these few files on one side, but in the test of the sides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flying, "side_of", lambda sha256: "train")
        yield


@pytest.fixture(scope="module")
def built(source):
    room, work = source
    return list(flying.build(work, room))


def opened(made, name):
    return np.asarray(Image.open(io.BytesIO(made.members[name])))


def test_every_photo_gives_its_samples_and_a_broken_mesh_one_refusal(built):
    made = [one for one in built if isinstance(one, Made)]
    assert len(made) == flying.PER_PHOTO * len(PHOTOS) and len({one.key for one in made}) == len(made)
    refused = [one for one in built if isinstance(one, Refused)]
    assert [one.name for one in refused] == ["broken"] and refused[0].reason
    assert all(set(one.members) == {"image.jpg", "mask.png", "whole.png", "json"} for one in made)
    names = {"other_signature", *(name for name, _ in flying.COLUMNS)}
    assert all(set(one.row) == names for one in made)


def test_the_shares_of_the_paper_hold_in_the_stored_masks(built):
    for one in built:
        if not isinstance(one, Made):
            continue
        mask, whole, image = (opened(one, name) for name in ("mask.png", "whole.png", "image.jpg"))
        facts = json.loads(one.members["json"])
        assert mask.dtype == bool and max(image.shape) == 256 and image.shape[:2] == mask.shape == whole.shape
        assert (mask & ~whole).sum() == 0 and mask.mean() >= 0.002
        share = mask.sum() / whole.sum()
        assert share == pytest.approx(facts["visible"]) and one.row["visible"] == facts["visible"]
        assert share == 1 if one.row["role"] == "occluder" else 0.1 <= share <= 0.9
        assert facts["other"]["sha256"] != one.shape.item.sha256
        assert one.row["other_licence"].startswith("licence of")


def test_the_stored_pose_draws_the_stored_mask(built):
    raster = Raster()
    for one in [one for one in built if isinstance(one, Made)][:6]:
        facts, whole = json.loads(one.members["json"]), opened(one, "whole.png")
        seen = raster.draw([(one.shape.mesh, Pose.from_json(facts))], np.array(facts["K"]), whole.shape[::-1])
        assert (seen.mask == whole).all()


def test_only_the_pasted_things_differ_from_the_photo(built, source):
    room, work = source
    one = next(one for one in built if isinstance(one, Made))
    photo = flying.backdrop_of(work.photos[0], room.scene(work.photos[0]), 256).rgb
    apart = np.abs(opened(one, "image.jpg").astype(int) - photo).max(2)
    mask = opened(one, "mask.png")
    assert np.median(apart[mask]) > 20 and np.median(apart[~mask]) < 4


def test_the_target_is_the_occluder_in_a_third_of_the_samples(source, monkeypatch):
    room, work = source
    backdrop = flying.backdrop_of(work.photos[0], room.scene(work.photos[0]), 64)
    roles = []
    monkeypatch.setattr(flying, "_pair", lambda *a: None)
    monkeypatch.setattr(flying, "_made", lambda b, n, pair, role, *rest: roles.append(role))
    for number in range(600):
        list(flying._sample(backdrop, number, list(work.meshes[:3]), room, None))
    assert 0.27 < np.mean(np.array(roles) == "occluder") < 0.4


def test_the_same_seed_gives_the_same_bytes_and_a_limit_is_kept(source, built):
    room, work = source
    again = list(flying.build(Work(0, work.meshes, work.photos, samples=3), room))
    before = {one.key: one.members for one in built if isinstance(one, Made)}
    made = [one for one in again if isinstance(one, Made)]
    assert len(made) == 3 and len({one.photo.name for one in made}) == min(3, len(work.photos))
    assert all(one.members == before[one.key] for one in made)


def test_a_photo_gets_meshes_of_its_own_side_only(source, monkeypatch):
    room, work = source
    monkeypatch.setattr(flying, "side_of", side_of)
    photos = (
        PhotoItem("v", "00000000" + work.photos[0].sha256[8:]),
        PhotoItem("t", "00000001" + work.photos[0].sha256[8:]),
    )
    assert [side_of(photo.sha256) for photo in photos] == ["validation", "train"]
    scene = room.scene(work.photos[0])
    sided = Room(room.settings, room.shape, lambda photo: scene)
    found = list(flying.build(Work(0, work.meshes, photos), sided))
    made = [one for one in found if isinstance(one, Made)]
    assert made
    for one in made:
        side = "validation" if one.key.startswith("p00000000") else "train"
        assert side_of(one.shape.item.sha256) == side_of(one.row["other_sha256"]) == side
    nothing = list(flying.build(Work(0, (), photos[:1]), sided))
    assert {one.code for one in nothing} == {"no_mesh"}


def test_what_cannot_be_opened_or_placed_is_refused_with_a_reason(source):
    room, work = source

    def no_scene(photo):
        raise BadInput("the photo is broken", "broken")

    refused = list(flying.build(work, Room(room.settings, room.shape, no_scene)))
    assert [one.code for one in refused] == ["broken"] * len(PHOTOS)
    least = flying.LEAST_SHARE, flying.DRAWS
    try:
        flying.LEAST_SHARE, flying.DRAWS = 2.0, 2
        refused = list(flying.build(Work(0, work.meshes[:2], work.photos[:1]), room))
    finally:
        flying.LEAST_SHARE, flying.DRAWS = least
    assert len(refused) == flying.PER_PHOTO and all("least" in one.reason or one.code for one in refused)
    assert any(one.measures.get("mask_share", 0) > 0 for one in refused)


def test_what_is_seen_of_an_occluder_that_is_the_target_is_not_too_little_either(source, monkeypatch):
    room, work = source
    monkeypatch.setattr(flying, "OCCLUDER_SHARE", 1)
    monkeypatch.setattr(flying, "LEAST_SHARE", 0.05)
    made = [one for one in flying.build(work, room) if isinstance(one, Made)]
    assert made and {one.row["role"] for one in made} == {"occluder"}
    for one in made:
        assert one.row["mask_share"] == opened(one, "mask.png").mean() >= 0.05


def test_a_sheet_shows_every_picture(built):
    made = [one for one in built if isinstance(one, Made)][:7]
    shown = [outlined(opened(one, "image.jpg"), opened(one, "mask.png")) for one in made]
    assert all((picture == [255, 60, 60]).all(2).any() for picture in shown)
    assert contact_sheet([], columns=2, side=8).shape == (2, 22, 3)
    square = [np.asarray(Image.fromarray(picture).resize((64, 64))) for picture in shown]
    sheet = contact_sheet(square, columns=3, side=64)
    assert sheet.shape == (3 * 66 + 2, 3 * 66 + 2, 3)
    cells = [sheet[r * 66 + 2 : r * 66 + 66, c * 66 + 2 : c * 66 + 66] for r in range(3) for c in range(3)]
    assert all((cell == picture).all() for cell, picture in zip(cells, square, strict=False))
    assert all((cell == 32).all() for cell in cells[7:])
    wide = contact_sheet([square[0][:20], square[1][:30], square[2]], columns=2, side=64)
    assert wide.shape == (2 + 30 + 2 + 64 + 2, 2 * 66 + 2, 3)
