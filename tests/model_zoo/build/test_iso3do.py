"""Iso-3DO: views whose members agree with each other and with the mesh, and refusals that stop nothing."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from model_zoo.build import encode, iso3do
from model_zoo.build.kinds import Made, Refused, Room, Settings, Work
from model_zoo.build.shapes import open_shape
from model_zoo.io.poses import Pose
from model_zoo.render import RayTree
from tests.model_zoo.build.meshes import item_of

SIZE, VIEWS = 128, 4


def built(files: list, **changes) -> list[Made | Refused]:
    items = tuple(map(item_of, files))
    data = {item.sha256: path.read_bytes() for item, path in zip(items, files, strict=True)}
    settings = Settings("iso-3do", "", size=SIZE, views=VIEWS, **changes)
    room = Room(settings, lambda item: open_shape(data[item.sha256], item), lambda item: None)
    return list(iso3do.build(Work(0, items), room))


@pytest.fixture(scope="module")
def made(test_data) -> list[Made | Refused]:
    hostile = test_data / "hostile/mesh"
    return built(
        [
            hostile / "glb_vertex_nan.glb",
            test_data / "dev/meshes/spot_cow.glb",
            hostile / "obj_two_scales.obj",
        ]
    )


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_mesh_gives_its_views_and_a_bad_one_a_refusal(made) -> None:
    assert [type(one).__name__ for one in made] == ["Refused", *["Made"] * VIEWS, "Refused"]
    assert made[0].code == "bad_vertex" and made[-1].measures
    assert [one.key for one in made[1:-1]] == [f"{made[1].shape.key}_v{n:02d}" for n in range(VIEWS)]


def test_members_have_the_size_and_the_kind_that_they_say(made) -> None:
    for one in made[1:-1]:
        shapes = {n: picture(one.members[n]).shape for n in one.members if n != "json"}
        assert shapes == {
            "image.jpg": (SIZE, SIZE, 3),
            "target.jpg": (SIZE, SIZE, 3),
            "mask.png": (SIZE, SIZE),
            "depth.png": (SIZE, SIZE),
            "normal.png": (SIZE, SIZE, 3),
        }


def test_depth_and_mask_are_those_of_a_ray_through_every_pixel(made) -> None:
    for one in made[1:-1]:
        told = json.loads(one.members["json"])
        pose = Pose(np.array(told["R"]), np.array(told["t"]), np.array(told["s"]))
        exact = RayTree(one.shape.mesh).depth(pose, np.array(told["K"]), (SIZE, SIZE))
        depth = encode.read_depth_png(one.members["depth.png"], told["near"], told["far"])
        mask = picture(one.members["mask.png"]).astype(bool)
        assert (mask != np.isfinite(exact)).sum() <= 3
        both = np.isfinite(depth) & np.isfinite(exact)
        error = np.abs(depth - exact)[both] / exact[both]
        assert np.quantile(error, 0.99) < 1e-4


def test_normals_face_the_camera_and_are_zero_outside(made) -> None:
    for one in made[1:-1]:
        normals = picture(one.members["normal.png"]).astype(float) / 127.5 - 1
        mask = picture(one.members["mask.png"]).astype(bool)
        assert np.abs(normals[~mask]).max() < 0.01
        assert np.allclose(np.linalg.norm(normals[mask], axis=1), 1, atol=0.02)
        assert (normals[mask][:, 2] < 0.3).all()  # seen at a slant, never from behind


def test_the_condition_is_lit_over_a_plain_background_and_the_target_is_not(made) -> None:
    for one in made[1:-1]:
        told = json.loads(one.members["json"])
        mask = picture(one.members["mask.png"]).astype(bool)
        outside = ~(
            mask | np.roll(mask, 2, 0) | np.roll(mask, -2, 0) | np.roll(mask, 2, 1) | np.roll(mask, -2, 1)
        )
        image, target = (picture(one.members[n]).astype(float) for n in ("image.jpg", "target.jpg"))
        assert np.abs(np.median(image[outside], 0) - told["background"]).max() <= 3
        assert np.median(target[outside]) <= 2
        assert target[mask].mean() > 60  # the cow is white
    assert (
        len({json.loads(one.members["json"])["light"]["lights"][0]["towards"][0] for one in made[1:-1]})
        == VIEWS
    )


def test_rows_fit_the_columns(made) -> None:
    names = [name for name, _ in iso3do.COLUMNS]
    rows = [one.row for one in made[1:-1]]
    assert all(list(row) == names for row in rows)
    table = pa.Table.from_pylist(rows, schema=pa.schema(iso3do.COLUMNS))
    assert table["mask_share"].to_pylist() == [
        pytest.approx(picture(one.members["mask.png"]).mean(), abs=1e-6) for one in made[1:-1]
    ]


def test_a_seed_gives_the_same_bytes_again_and_another_seed_others(made, test_data) -> None:
    cow = [test_data / "dev/meshes/spot_cow.glb"]
    again, other = built(cow), built(cow, seed=1)
    assert [one.members for one in again] == [one.members for one in made[1:-1]]
    assert all(a.members["mask.png"] != b.members["mask.png"] for a, b in zip(again, other, strict=True))
