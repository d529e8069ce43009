"""The viewers in real Chromium with software WebGL, beside rays cast on the CPU at the same mesh and camera."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from model_zoo.io.poses import Pose
from model_zoo.render import RayTree, intrinsics
from tests.annotator_ui import stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
NAMES = ("od_skull", "spot_cow")
SIZE = (480, 360)
K = intrinsics(50, SIZE)
CAMERA = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
LIKENESS = 0.99
DUEL = """async ({poses, photo, options}) => {
  stage.shelf ??= new stage.MeshShelf(stage.bytes);
  stage.duel = new stage.Duel(document.getElementById("gl"), stage.halves, {antialias: false, still: true, ...options});
  if (photo) stage.duel.setPhoto({...photo, mask: {...photo.mask, data: Uint8Array.from(photo.mask.data)}});
  const shown = await Promise.all(Object.entries(poses).map(async ([name, pose]) => ({geometry: await stage.shelf.get(name, {textured: options.shading === "textured"}), pose})));
  stage.duel.show(...shown);
}"""
OVERLAY = """async ({name, pose, photo, points}) => {
  stage.overlay = new stage.Overlay(document.getElementById("gl2"), {antialias: false});
  stage.overlay.setCamera(photo);
  stage.overlay.setTruth({mask: {...photo.mask, data: Uint8Array.from(photo.mask.data)}, points: points && Float32Array.from(points)});
  await stage.overlay.show(await new stage.MeshShelf(stage.bytes).get(name), pose);
  return stage.overlay.proxy.index.count / 3;
}"""


class Scene:
    """The stage with two meshes, their rays, and poses in front of the photo's camera."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        paths = {name: folder / f"{name}.glb" for name in NAMES}
        self.trees = {name: RayTree(stage.shape(path)) for name, path in paths.items()}
        stage.set_up(page, {name: stage.viewer_bytes(path) for name, path in paths.items()})

    def pose(self, name: str, turn: float = 30.0, off: tuple[float, float] = (0.25, -0.1)) -> Pose:
        """The mesh about 1 m large and 2.5 m away, a little off the picture's middle, turned about its upright axis."""
        bounds = self.trees[name].bounds
        a = np.radians(turn)
        R = np.diag([1.0, -1, -1]) @ [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
        size = 1 / np.ptp(bounds, axis=0).max()
        return Pose(R, np.array([*off, 2.5]) - size * R @ bounds.mean(0), np.full(3, size))

    def photo(self, name: str, pose: Pose) -> dict[str, Any]:
        """The photo on which the mask is the mesh at this pose."""
        mask = np.isfinite(self.trees[name].depth(pose, K, SIZE))
        flat = mask.ravel().astype(int).tolist()
        size = {"width": SIZE[0], "height": SIZE[1]}
        return {"camera": CAMERA, **size, "mask": {"data": flat, **size}}

    def duel(self, *, photo: bool = True, **options: Any) -> None:
        """Both meshes as candidates for the first one's mask."""
        poses = {name: self.pose(name, 30.0 + 20 * at) for at, name in enumerate(NAMES)}
        given = self.photo(NAMES[0], poses[NAMES[0]]) if photo else None
        as_json = {name: stage.pose_json(pose) for name, pose in poses.items()}
        self.page.evaluate(DUEL, {"poses": as_json, "photo": given, "options": options})

    def capture(self, viewer: str) -> np.ndarray:
        return stage.picture(self.page.evaluate(f"stage.capture(stage.{viewer})"))

    def sides(self) -> list[float]:
        """Likeness of what each viewport shows to the rays under the camera that it names."""
        rgba = self.capture("duel")
        halves = np.split(rgba, 2, axis=1)
        views = [self.page.evaluate(f"stage.duel.viewOf({at})") for at in (0, 1)]
        return [
            stage.overlap(stage.drawn(half), stage.seen_by(view, self.trees[name]))
            for half, view, name in zip(halves, views, NAMES, strict=True)
        ]


@pytest.fixture
def scene(people: SimpleNamespace, sign_in: Callable[[str], Page], test_data: Path) -> Scene:
    return Scene(sign_in("ada"), test_data / "dev" / "meshes")


@pytest.mark.parametrize("photo", [True, False])
def test_both_viewports_show_what_rays_find(scene: Scene, photo: bool) -> None:
    scene.duel(photo=photo)
    scene.page.evaluate("stage.duel.setOutline(false)")
    found = [scene.sides()]
    for right, up in ((70, 25), (-160, -50)):
        scene.page.evaluate(f"stage.duel.orbitBy({right}, {up})")
        found.append(scene.sides())
    scene.page.evaluate("stage.duel.zoomBy(1.7)")
    found.append(scene.sides())
    assert np.min(found) >= LIKENESS, found


def test_the_photos_viewpoint_is_the_photos_own_camera(scene: Scene) -> None:
    scene.duel()
    view = scene.page.evaluate("stage.duel.viewOf(0)")
    pose = scene.pose(NAMES[0])
    assert np.allclose(view["pose"]["R"], pose.R.ravel(), atol=1e-5)
    assert np.allclose(view["pose"]["t"], pose.t, atol=1e-5)
    assert view["camera"]["fx"] / view["camera"]["fy"] == pytest.approx(CAMERA["fx"] / CAMERA["fy"])
    other = scene.page.evaluate("stage.duel.viewOf(1)")
    assert other["camera"] == view["camera"]


def test_every_shading_shows_both_meshes_in_its_own_way(scene: Scene) -> None:
    scene.duel(shading="textured")
    found = {}
    for shading in scene.page.evaluate("stage.SHADINGS"):
        scene.page.evaluate("shading => stage.duel.setShading(shading)", shading)
        found[shading] = scene.capture("duel")
        scene.page.locator("#gl").screenshot(path=stage.artefact(f"scene-duel-{shading}.png"))
        assert min(stage.drawn(half).mean() for half in np.split(found[shading], 2, axis=1)) > 0.1, shading
    pictures = list(found.values())
    for at, one in enumerate(pictures):
        for other in pictures[at + 1 :]:
            assert np.abs(one.astype(int) - other).mean() > 0.1


def test_the_outline_lies_on_the_mesh_and_fades_away_from_the_photos_viewpoint(scene: Scene) -> None:
    scene.duel()
    with_line = scene.capture("duel")
    scene.page.locator("#gl").screenshot(path=stage.artefact("scene-duel-outline.png"))
    scene.page.evaluate("stage.duel.setOutline(false)")
    bare = scene.capture("duel")
    left_with, right_with = np.split(with_line, 2, axis=1)
    left, right = np.split(bare, 2, axis=1)
    line = (left_with != left).any(-1)
    # Both viewports have the same line; on the left, whose mesh made the mask, it runs along the silhouette.
    assert stage.overlap(line, (right_with != right).any(-1)) > 0.8
    rim = stage.drawn(left)
    near = np.zeros_like(rim)
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            near |= np.roll(rim, (dy, dx), (0, 1)) != rim
    assert line.sum() > 500 and (line & ~near).sum() < 0.02 * line.sum()
    scene.page.evaluate("stage.duel.setOutline(true); stage.duel.orbitBy(15, 0)")
    turned = scene.capture("duel")
    scene.page.evaluate("stage.duel.setOutline(false)")
    assert (turned == scene.capture("duel")).all()


def overlay(scene: Scene, name: str, pose: Pose, photo: dict[str, Any]) -> float:
    """Show a mesh over the photo; the number of its proxy's triangles."""
    points = scene_points(scene, name, scene.pose(name))
    given = {"name": name, "pose": stage.pose_json(pose), "photo": photo, "points": points.ravel().tolist()}
    return float(scene.page.evaluate(OVERLAY, given))


def scene_points(scene: Scene, name: str, pose: Pose) -> np.ndarray:
    """(N, 6) points of the photo in which the mesh has this pose, thinned and coloured as the API gives them."""
    depth = scene.trees[name].depth(pose, K, SIZE)
    z = np.where(np.isfinite(depth), depth, 4.0)[::2, ::2]
    v, u = np.mgrid[: SIZE[1] : 2, : SIZE[0] : 2]
    xyz = np.stack([(u - K[0, 2]) / K[0, 0] * z, (v - K[1, 2]) / K[1, 1] * z, z], -1).reshape(-1, 3)
    return np.hstack([xyz, np.full_like(xyz, 0.5)])


def moved(rng: np.random.Generator, pose: Pose) -> Pose:
    """The pose as somebody may drag it: turned, shifted and grown a little or a lot."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = rng.uniform(0, 0.6)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return Pose(turn @ pose.R, pose.t + rng.normal(0, 0.08, 3), pose.s * rng.uniform(0.8, 1.25, 3))


@pytest.mark.parametrize("name", NAMES)
def test_the_live_measure_is_near_and_the_released_one_exact(scene: Scene, name: str) -> None:
    true = scene.pose(name)
    photo = scene.photo(name, true)
    mask = np.array(photo["mask"]["data"], bool).reshape(SIZE[1], SIZE[0])
    depth = scene.trees[name].depth(true, K, SIZE)
    assert overlay(scene, name, true, photo) <= 10_000
    rng = np.random.default_rng(5)
    live, full, rays = [], [], []
    for pose in [true, *(moved(rng, true) for _ in range(12))]:
        found = scene.page.evaluate(
            """pose => {
              stage.overlay.place(pose);
              return [stage.overlay.measure({proxy: true}), stage.overlay.measure()];
            }""",
            stage.pose_json(pose),
        )
        live.append([found[0]["iou"], found[0]["depth"]])
        full.append([found[1]["iou"], found[1]["depth"]])
        cast = scene.trees[name].depth(pose, K, SIZE)
        both = (np.isfinite(cast) & mask)[::2, ::2]
        residual = (np.abs(cast - depth) / depth)[::2, ::2][both].mean()
        rays.append([stage.overlap(np.isfinite(cast), mask), residual])
    assert np.abs(np.subtract(full, rays)).max() < 0.001
    assert np.abs(np.subtract(live, full)).max() < 0.01
    assert full[0][0] > 0.999 and min(each[0] for each in full) < 0.8
