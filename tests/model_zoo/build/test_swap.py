"""Object Swap on a scene whose every surface is known, and on real ones: places, cues, pointmaps, refusals."""

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from model_zoo.build import cameras, encode, inpaint, site, swap
from model_zoo.build.kinds import Made, MeshItem, PhotoItem, Refused, Room, Settings, Shape, Work, side_of
from model_zoo.build.shapes import canonical, open_shape
from model_zoo.build.sources import open_stock
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import scan
from model_zoo.raster import Picture
from model_zoo.render import RayTree
from tests.model_zoo.build.rgbd import BOX, SIZE, WORLD, K, known, points_of, scene_of
from tests.model_zoo.releases import sft_release

MESHES = (
    "ycb_banana",
    "plate_8in",
    "spot_cow",
    "pm_burger",
    "avocado",
    "evo_bowl",
    "gso_dog_statue",
    "od_penguin",
)


@pytest.fixture(scope="module")
def seen():
    return known()


@pytest.fixture(scope="module")
def source(test_data):
    """Mesh items (one of them is no mesh), the RGB-D scenes with masks by photo item, and what opens both."""
    files = {name: (test_data / f"dev/meshes/{name}.glb").read_bytes() for name in MESHES}
    files["broken"] = b"glTF" + b"\0" * 40
    data = {hashlib.sha256(d).hexdigest(): (name, d) for name, d in files.items()}
    scenes = {}
    for scene in scan(test_data / "dev/rgbd"):
        if getattr(scene, "masks", None):
            sha256 = hashlib.sha256(scene.image_bytes).hexdigest()
            scenes[scene.name] = (PhotoItem(scene.name, sha256, licence="CC0"), scene)
    shapes = {}

    def shape(item):
        if item.sha256 not in shapes:
            mesh, centre, side = canonical(load_mesh(data[item.sha256][1], name=item.name).mesh)
            shapes[item.sha256] = Shape(
                item, mesh, centre, side, np.zeros((1,) * 3, bool), {}, np.zeros(1, np.float32)
            )
        return shapes[item.sha256]

    return [MeshItem(name, sha256) for sha256, (name, _) in data.items()], scenes, shape


def room_of(source, scene=None, **settings):
    _, scenes, shape = source
    found = {item.name: scene for item, scene in scenes.values()}
    opened = (lambda item: scene) if scene is not None else (lambda item: found[item.name])
    return Room(Settings("rp3do-osr", "x", **{"size": 256, **settings}), shape, opened)


def on_side(meshes, photo):
    """The meshes under hashes of the photo's side: so that a small source has enough on both."""
    return tuple(mesh for mesh in meshes if side_of(mesh.sha256) == side_of(photo.sha256))


def picture_of(made, name="image.jpg"):
    return np.asarray(Image.open(io.BytesIO(made.members[name])))


def facts_of(made):
    return json.loads(made.members["json"])


def pose_of(made):
    return Pose.from_json({key: facts_of(made)[key] for key in "Rts"})


def test_a_resized_view_keeps_every_point_at_its_pixel(seen):
    _, scene = scene_of(seen)
    view = site.view_of(scene, 96)
    assert view.size == (96, 72) and view.rgb.shape == (72, 96, 3)
    points = view.points(np.isfinite(view.z))
    u, v = (points @ view.K[:2].T / points[:, 2:]).T
    rows, columns = np.nonzero(np.isfinite(view.z))
    np.testing.assert_allclose([u, v], [columns, rows], atol=1e-6)
    assert np.isin(view.z, seen.z).all(), "depths are picked, never mixed over an edge"


def test_the_camera_is_fitted_where_none_fits(seen):
    _, scene = scene_of(seen)
    for camera in (None, dataclasses.replace(scene.camera, fx=3 * scene.camera.fx)):
        scene.camera = camera
        np.testing.assert_allclose(site.view_of(scene, SIZE[0]).K, K, atol=1e-3)


def test_the_box_of_a_box_is_that_box(seen):
    seen = known(post=False)
    _, scene = scene_of(seen)
    view = site.view_of(scene, SIZE[0])
    background = inpaint.without(view.rgb, view.z, seen.box)
    box = site.box_of(view, seen.box, background.plane)
    pixel = 1.2 / K[0, 0]
    np.testing.assert_allclose(box.axes[1], WORLD.R[:, 1], atol=0.01)
    # Its back is not seen: the box is taken to be as deep as it is wide, which is less than it is high.
    np.testing.assert_allclose(box.high - box.low, [BOX[0], BOX[1], BOX[0]], atol=2.5 * pixel)
    assert box.stands and box.low[1] == pytest.approx(WORLD.R[:, 1] @ WORLD.t, abs=0.006)
    middle = WORLD.apply(np.array([[0, BOX[1] / 2, (BOX[2] - BOX[0]) / 2]]))[0]
    np.testing.assert_allclose(box.axes.T @ ((box.low + box.high) / 2), middle, atol=2.5 * pixel)
    truth = points_of(seen.z)[seen.box].mean(0)
    np.testing.assert_allclose(box.centroid, truth, atol=pixel)


def test_flying_pixels_and_holes_do_not_change_the_box(seen):
    _, scene = scene_of(seen)
    view = site.view_of(scene, SIZE[0])
    rng = np.random.default_rng(0)
    z = view.z.copy()
    where = np.argwhere(seen.box)
    for row, column in where[rng.permutation(len(where))[:60]]:
        z[row, column] = rng.choice([np.nan, 0.3, 2.5, 60.0])
    plane = inpaint.without(view.rgb, view.z, seen.box, [seen.post]).plane
    clean = site.box_of(view, seen.box, plane)
    noisy = site.box_of(dataclasses.replace(view, z=z), seen.box, plane)
    np.testing.assert_allclose([noisy.low, noisy.high], [clean.low, clean.high], atol=0.015)


@pytest.mark.parametrize("stands", [True, False])
def test_a_mesh_is_as_large_as_fits_and_rests_on_the_bottom(stands):
    axes = site._upright(K, None)[0]
    box = site.Box(axes, np.array([-0.1, -0.2, 1.0]), np.array([0.2, 0.2, 1.1]), np.zeros(3), stands)
    rng = np.random.default_rng(1)
    for _ in range(20):
        vertices = rng.normal(size=(200, 3)) * [1, 0.3, 0.6]
        pose, fill = site.fitted(vertices, cameras.random_rotation(rng), box)
        along = pose.apply(vertices) @ axes.T
        room = box.high - box.low
        extent = np.ptp(along, axis=0)
        assert (along.min(0) > box.low - 1e-9).all() and (along.max(0) < box.high + 1e-9).all()
        assert (extent / room).max() == pytest.approx(1)
        assert along[:, 1].min() == pytest.approx(box.low[1])
        np.testing.assert_allclose((along.min(0) + along.max(0))[[0, 2]] / 2, [0.05, 1.05], atol=1e-9)
        assert fill == pytest.approx(np.prod((extent / room)[:2]))


def test_random_rotations_are_uniform():
    rng = np.random.default_rng(0)
    many = np.stack([cameras.random_rotation(rng) for _ in range(3000)])
    np.testing.assert_allclose(
        many @ many.transpose(0, 2, 1), np.broadcast_to(np.eye(3), many.shape), atol=1e-12
    )
    assert np.linalg.det(many).min() > 0
    # Uniform over SO(3): mean 0 and, for the trace, mean 0 and variance 1.
    trace = np.trace(many, axis1=1, axis2=2)
    assert (
        abs(many.mean(0)).max() < 0.05
        and abs(trace.mean()) < 0.08
        and trace.var() == pytest.approx(1, abs=0.1)
    )


def test_the_shares_of_the_contour():
    visible = np.zeros((60, 60), bool)
    visible[20:40, 20:40] = True
    z = np.where(visible, 1.0, np.nan)
    scene = np.full((60, 60), 2.0)
    assert site.cues_of(visible, z, scene) == site.Cues(0, 0)
    right = scene.copy()
    right[:, 40:] = 0.9  # one of four sides is hidden
    assert site.cues_of(visible, z, right) == site.Cues(0.25, 0)
    table = scene.copy()
    table[40:] = np.linspace(1.0, 0.95, 20)[:, None]  # a table that comes towards the camera
    assert site.cues_of(visible, z, table) == site.Cues(0, 1)
    unknown = np.full((60, 60), np.nan)
    assert site.cues_of(visible, z, unknown) == site.Cues(0, 0)
    edge = np.zeros((60, 60), bool)
    edge[50:, 20:40] = True  # the picture's edge is no contour: two sides of 10 and one of 20 are left
    near = np.full((60, 60), 0.5)
    assert site.cues_of(edge, np.where(edge, 1.0, np.nan), near) == site.Cues(1, 0)


def test_what_hides_a_mesh_is_told_from_noise_and_gaps():
    size = (40, 40)
    mask = np.zeros(size[::-1], bool)
    mask[10:30, 10:30] = True
    empty = Picture.empty(size)
    depth = np.where(mask, np.float32(1), np.float32(np.nan))
    picture = dataclasses.replace(
        empty, mask=mask, depth=depth, alpha=np.where(mask, 255, 0).astype(np.uint8)
    )
    scene = np.full(mask.shape, 2.0, np.float32)
    scene[:, :20] = 0.8  # a thing before its left half
    scene[15, 25], scene[20, 12] = 0.2, 3.0  # speckles
    scene[22:26, 22:26] = np.nan
    hidden = swap.hidden_part(picture, scene)
    assert (hidden[:, :19] == mask[:, :19]).all() and not hidden[:, 21:].any()
    touching = np.full(mask.shape, 0.995, np.float32)
    assert not swap.hidden_part(picture, touching).any()


def test_a_sample_is_what_its_pose_says(seen, source):
    meshes, _, _ = source
    photo, scene = scene_of(seen, box=seen.box, post=seen.post)
    assert on_side(meshes, photo), "the constructed photo has meshes of its side"
    work = Work(0, tuple(meshes), (photo,), samples=3)
    made = [m for m in swap.build_random(work, room_of(source, scene, size=SIZE[0])) if isinstance(m, Made)]
    assert len(made) >= 2 and len({m.key for m in made}) == len(made)
    for sample in made:
        facts, pose = facts_of(sample), pose_of(sample)
        camera = np.array(facts["K"])
        mask, whole = picture_of(sample, "mask.png"), picture_of(sample, "whole.png")
        depth = encode.read_depth_png(sample.members["depth.png"], facts["near"], facts["far"])
        cast = RayTree(sample.shape.mesh).depth(pose, camera, SIZE)
        assert (np.isfinite(cast) & whole).sum() / (np.isfinite(cast) | whole).sum() > 0.97
        both = mask & np.isfinite(cast)
        assert both.sum() > 0.98 * mask.sum()
        off = abs(depth / cast - 1)[both]
        assert np.quantile(off, 0.99) < 1e-3, "the pointmap in the mask is the mesh's own surface"
        assert not (mask & ~whole).any()
        assert mask.sum() / whole.sum() == pytest.approx(sample.row["visible"], abs=1e-6)
        outside = ~mask & ~inpaint.binary_dilation(seen.box | seen.post, iterations=8)
        np.testing.assert_allclose(depth[outside], seen.z[outside], rtol=1e-4)
        assert sample.row["visible"] >= 0.2
        assert sample.row["supported"] >= 0.3 or sample.row["occluded"] >= 0.1
        assert (mask & seen.post & ~seen.box).sum() < 0.05 * mask.sum() or "post" in sample.row["instance"]
        changed = abs(picture_of(sample).astype(int) - seen.rgb).max(-1) > 60
        assert changed[mask].mean() > 0.2


def test_real_scenes_give_samples_of_their_side_and_the_same_again(source):
    meshes, scenes, _ = source
    photo, _ = scenes["ycb_table_5"]
    work = Work(0, tuple(meshes), (photo,), samples=3)
    first, second = (list(swap.build_random(work, room_of(source))) for _ in range(2))
    made = [m for m in first if isinstance(m, Made)]
    assert len(made) == 3
    assert all(side_of(m.shape.item.sha256) == side_of(photo.sha256) for m in made)
    assert [m.members for m in made] == [m.members for m in second if isinstance(m, Made)]
    names = [name for name, _ in swap.COLUMNS]
    for sample in made:
        assert set(sample.members) == {"image.jpg", "mask.png", "whole.png", "depth.png", "json"}
        assert set(sample.row) <= {*names, "r"} and sample.key.startswith(f"p{photo.sha256[:16]}_")
        assert picture_of(sample).shape == (192, 256, 3)
    other = next(iter(swap.build_random(dataclasses.replace(work, samples=1), room_of(source, seed=7))))
    assert other.members["json"] != made[0].members["json"]


def test_objects_with_equal_masks_have_ids_of_their_own(seen, source):
    photo, scene = scene_of(seen, box=seen.box, crate=seen.box)
    room = room_of(source, scene, size=SIZE[0])
    found = list(swap.build_random(Work(0, tuple(source[0]), (photo,)), room))
    made = [m for m in found if isinstance(m, Made)]
    assert {m.row["instance"] for m in made} == {"box", "crate"}
    assert len({m.key for m in made}) == len(made)


def test_a_mesh_that_cannot_be_opened_is_named_once(source):
    meshes, scenes, shape = source
    photo, scene = scenes["ycb_table_5"]
    broken = [m for m in meshes if m.name == "broken"]
    good = on_side([m for m in meshes if m.name != "broken"], photo)[:2]
    # A hash of the photo's side, so that the photo may draw it.
    rename = dataclasses.replace(broken[0], sha256=photo.sha256[:8] + broken[0].sha256[8:])

    def opened(item):
        if item.name == "broken":
            raise BadInput("not a mesh", "bad_mesh")
        return shape(item)

    room = dataclasses.replace(room_of(source), shape=opened)
    found = list(swap.build_random(Work(0, (rename, *good), (photo,), samples=2), room))
    assert [f.code for f in found if isinstance(f, Refused) and f.name == "broken"] == ["bad_mesh"]
    assert sum(isinstance(f, Made) for f in found) == 2
    name, mask = next(iter(scene.masks.items()))
    room = dataclasses.replace(room, scene=lambda item: dataclasses.replace(scene, masks={name: mask}))
    only = list(swap.build_random(Work(0, (rename,), (photo,)), room))
    assert [f.code for f in only] == ["no_mesh"] * swap.PER_OBJECT + ["bad_mesh"]


def nothing(points):
    points[:] = np.nan


def far_away(points):
    points *= 1e7


def wall(points):
    points[..., :2] /= points[..., 2:]
    points[..., 2] = 1


def bent(points):
    points[..., 0] = points[..., 0] ** 2


@pytest.mark.parametrize(
    "spoil, code",
    [
        (nothing, "empty_pointmap"),
        (far_away, "bad_pointmap"),
        (wall, "flat_pointmap"),
        (bent, "bad_pointmap"),
    ],
)
def test_a_pointmap_beyond_sense_is_refused(seen, source, spoil, code):
    photo, scene = scene_of(seen)
    spoil(scene.pointmap.points)
    scene.camera = None
    for build in (swap.build_random, swap.build_annotated):
        assert [f.code for f in build(Work(0, source[0], (photo,)), room_of(source, scene))] == [code]


def test_what_else_gives_no_sample_is_refused_one_by_one(seen, source):
    photo, scene = scene_of(seen)
    speck, all_of_it = np.zeros_like(seen.box), np.ones_like(seen.box)
    speck[3, 3] = True
    scene.masks = {"1 box": seen.box, "2 speck": speck, "3 all": all_of_it, "4 none": 0 * speck}
    scene.pointmap.points[seen.box] = np.nan
    found = list(swap.build_random(Work(0, source[0], (photo,)), room_of(source, scene)))
    assert [f.code for f in found] == ["no_object_depth", "bad_mask", "bad_mask", "bad_mask"]
    assert all(len(f.reason.splitlines()) == 1 and f.reason for f in found)
    scene.pointmap = None
    assert [f.code for f in swap.build_random(Work(0, source[0], (photo,)), room_of(source, scene))] == [
        "no_pointmap"
    ]
    scene.masks = {}
    assert [f.code for f in swap.build_random(Work(0, source[0], (photo,)), room_of(source, scene))] == [
        "no_mask"
    ]


def test_a_box_that_nothing_holds_and_nothing_hides_gives_no_cue(seen, source):
    """The box hangs in the air: samples of it are dropped with what was measured, after a bounded number of draws."""
    seen = known(post=False)
    hung = np.where(seen.box, 0.6 * seen.z, seen.z)
    photo, scene = scene_of(dataclasses.replace(seen, z=hung))
    found = list(swap.build_random(Work(0, source[0], (photo,)), room_of(source, scene, size=SIZE[0])))
    assert len(found) == swap.PER_OBJECT
    assert {f.code for f in found} == {"no_cue"}
    assert all(f.measures["supported"] < 0.3 and f.measures["occluded"] < 0.1 for f in found)
    assert f"the last of {swap.DRAWS} draws" in found[0].reason


@pytest.fixture(scope="module")
def annotated(source):
    """OS-A of two real scenes with four accepted objects."""
    meshes, scenes, _ = source
    photos = tuple(scenes[name][0] for name in ("ycb_table_1", "ycb_table_5"))
    return list(swap.build_annotated(Work(0, tuple(meshes), photos), room_of(source)))


def test_every_accepted_object_is_rendered_in_place(annotated, source):
    assert len(annotated) == 4 and all(isinstance(m, Made) for m in annotated)
    _, scenes, _ = source
    photos = {item.sha256[:16]: scene for item, scene in scenes.values()}
    off = {"image.jpg": [], "target.jpg": []}
    for sample in annotated:
        scene = photos[sample.key[1:17]]
        mask, target = picture_of(sample, "mask.png"), picture_of(sample, "target.jpg")
        drawn = site.resized_mask(scene.masks[sample.row["instance"]], (256, 192))
        assert (mask & drawn).sum() / (mask | drawn).sum() == pytest.approx(sample.row["iou"], abs=1e-6)
        assert sample.row["iou"] > 0.8
        beyond = ~inpaint.binary_dilation(mask, iterations=4)
        assert target[beyond].max() < 24, "black outside, as far as JPEG knows black"
        assert target[mask].mean() > 40
        photo = site.view_of(scene, 256).rgb
        inner = inpaint.binary_dilation(~mask, iterations=3) ^ True
        for name in off:
            off[name].append(abs(picture_of(sample, name).astype(float) - photo)[inner].mean())
        assert sample.row["draws"] == 1
    lit, even = (np.mean(off[name]) for name in ("image.jpg", "target.jpg"))
    assert lit < 0.9 * even and lit < 40, (
        "in the photo's light they look like the photo, more than in even light"
    )


def test_the_accepted_pose_is_kept_for_the_canonical_mesh(annotated, source):
    _, scenes, _ = source
    photos = {item.sha256[:16]: scene for item, scene in scenes.values()}
    for sample in annotated:
        given, pose = photos[sample.key[1:17]].truths[sample.row["instance"]]
        data = given.read_bytes() if isinstance(given, Path) else given
        file_mesh = load_mesh(data).mesh
        corners = trimesh.bounds.corners(file_mesh.bounds)
        moved = (corners - sample.shape.centre) / sample.shape.side
        np.testing.assert_allclose(pose_of(sample).apply(moved), pose.apply(corners), atol=1e-6)


def test_a_pose_that_misses_the_mask_is_refused_with_the_value(source):
    _, scenes, _ = source
    photo, scene = scenes["ycb_table_5"]
    mesh, pose = scene.truths["sugar_box"]
    aside = Pose(pose.R, pose.t + [0.06, 0, 0], pose.s)
    moved = dataclasses.replace(scene, truths={"sugar_box": (mesh, aside), "cracker_box": (None, pose)})
    found = list(swap.build_annotated(Work(0, (), (photo,)), room_of(source, moved)))
    assert [f.code for f in found] == ["no_mesh", "mask_mismatch"]
    assert (
        0.2 < found[1].measures["iou"] < swap.LEAST_IOU
        and f"{found[1].measures['iou']:.2f}" in found[1].reason
    )


def test_the_light_on_a_surface_is_found_again(seen):
    """Colours made with a known light give it back."""
    rng = np.random.default_rng(0)
    shape = (60, 60)
    normals = rng.normal(size=(*shape, 3))
    normals[..., 2] = -abs(normals[..., 2])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    base = rng.integers(60, 200, (*shape, 3)).astype(np.uint8)
    towards = np.array([0.5, -0.7, -0.5]) / np.linalg.norm([0.5, -0.7, -0.5])
    level = 0.2 + 0.7 * np.maximum(normals @ towards, 0)
    linear = swap.TO_LINEAR[base] * level[..., None] * [0.9, 1.0, 0.8]
    rgb = np.rint(
        255 * np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    ).astype(np.uint8)
    picture = dataclasses.replace(Picture.empty(shape), base=base, normals=normals.astype(np.float32))
    light = swap.matched_light(rgb, picture, np.ones(shape, bool))
    assert np.array(light.lights[0].towards) @ towards > 0.95
    # Ambient, sky and the directional light may share the work differently, but what falls on the surfaces is the same.
    found = np.array(light.ambient) + (0.5 - 0.5 * normals[..., 1:2]) * light.sky
    found = found + np.maximum(normals @ light.lights[0].towards, 0)[..., None] * light.lights[0].colour
    off = (found - level[..., None] * [0.9, 1.0, 0.8]) / level.mean()
    assert np.quantile(abs(off), 0.9) < 0.1 and abs(off.mean()) < 0.02
    assert swap.matched_light(rgb, picture, np.zeros(shape, bool)) is None


def test_rows_of_a_release_are_annotated_photos(tmp_path, source):
    stock = open_stock(str(sft_release(tmp_path / "sft", 2)))
    photos = tuple(stock.photos(apart=True))
    assert [photo.r for photo in photos] == [0.75] * 2
    room = Room(Settings("rp3do-osa", "x", size=128), source[2], stock.scene)
    made = [m for m in swap.build_annotated(Work(0, (), photos), room) if isinstance(m, Made)]
    assert len(made) == 2 and len({m.key for m in made}) == 2
    assert [m.photo for m in made] == list(photos)
    assert {(m.shape.item.licence, m.shape.item.attribution) for m in made} == {("CC0-1.0", "somebody")}
    with pytest.raises(BadInput, match="has no other"):
        stock.files.read("o0.other")
    mesh = open_shape(export_glb(made[0].shape.mesh), MeshItem("again", "0" * 64))
    assert mesh.side == pytest.approx(1, abs=1e-5)
    bare = open_stock(str(sft_release(tmp_path / "bare", 2, pose=False)))
    assert not any(photo.files["objects"] for photo in bare.photos(apart=True))
