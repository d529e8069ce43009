"""An empty stage for the scene modules: a page of ours with canvases instead of its content, and meshes to show on it."""

import base64
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from django.templatetags.static import static
from playwright.sync_api import Page, Route

from model_zoo.finish.viewer import viewer_copy
from model_zoo.io.poses import Pose
from model_zoo.render import RayTree

PROJECT = Path(__file__).resolve().parents[2]
GLTFPACK = PROJECT / "node_modules" / ".bin" / "gltfpack"
ARTEFACTS = Path(os.environ.get("MAQUETTE_SCREENSHOTS") or PROJECT / "var" / "screenshots")
BACKGROUND = (0x2A, 0x2D, 0x31)
MODULES = ("duel", "looks", "meshes", "overlay", "space")
BUILD = """async ({modules, width, height}) => {
  document.body.replaceChildren(...["gl", "gl2"].map((id) => {
    const canvas = document.createElement("canvas");
    canvas.id = id;
    canvas.style.cssText = `display: block; width: ${width}px; height: ${height}px; position: static`;
    return canvas;
  }));
  const loaded = await Promise.all(modules.map((url) => import(url)));
  window.stage = Object.assign({}, ...loaded);
  const half = width / 2;
  stage.halves = () => [{x: 0, y: 0, width: half, height}, {x: half, y: 0, width: half, height}];
  stage.bytes = async (name) => (await fetch(`/test-meshes/${name}.glb`)).arrayBuffer();
  stage.frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  // What a viewer draws is on its canvas only until the frame ends.
  stage.capture = (viewer) => new Promise((done) => {
    viewer.settle?.();
    viewer.draw();
    requestAnimationFrame(() => done(stage.pixels(viewer.canvas)));
  });
  stage.pixels = async (canvas) => {
    const picture = createImageBitmap(canvas);
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d");
    context.drawImage(await picture, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let text = "";
    for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
    return {width: canvas.width, height: canvas.height, data: btoa(text)};
  };
}"""


@functools.cache
def viewer_bytes(path: Path) -> bytes:
    """The viewer copy of a mesh file, made once a session."""
    return viewer_copy(trimesh.load(path, force="mesh"), GLTFPACK)


@functools.cache
def shape(path: Path) -> trimesh.Trimesh:
    """The mesh itself, for the rays."""
    return trimesh.load(path, force="mesh")


def set_up(page: Page, meshes: dict[str, bytes], width: int = 800, height: int = 400) -> None:
    """Turn the page of a signed-in person into the stage: `window.stage` holds what the scene modules export."""

    def serve(route: Route) -> None:
        # Many addresses may lead to one mesh: NAME-anything.
        name = route.request.url.rsplit("/", 1)[-1].removesuffix(".glb").split("-")[0]
        route.fulfill(body=meshes[name], content_type="model/gltf-binary")

    page.route("**/test-meshes/*", serve)
    page.goto("/review/")
    page.wait_for_load_state("networkidle")
    modules = [static(f"annotator_ui/scene/{name}.js") for name in MODULES]
    page.evaluate(BUILD, {"modules": modules, "width": width, "height": height})


def artefact(name: str) -> Path:
    """Where a screenshot of this name is kept."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS / name


def pose_json(pose: Pose) -> dict[str, Any]:
    """As the API gives it."""
    return {"R": pose.R.ravel().tolist(), "t": pose.t.tolist(), "s": pose.s.tolist()}


def seen_by(view: dict[str, Any], tree: RayTree) -> np.ndarray:
    """(H, W) bool: the silhouette by rays under a camera that a scene module says it uses."""
    camera, pose = view["camera"], view["pose"]
    K = np.array([[camera["fx"], 0, camera["cx"]], [0, camera["fy"], camera["cy"]], [0, 0, 1]])
    placed = Pose(np.array(pose["R"]).reshape(3, 3), np.array(pose["t"]), np.array(pose["s"]))
    return np.isfinite(tree.depth(placed, K, (view["width"], view["height"])))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def picture(found: dict[str, Any]) -> np.ndarray:
    """(H, W, 4) uint8 of what stage.capture gave."""
    data = np.frombuffer(base64.b64decode(found["data"]), np.uint8)
    return data.reshape(found["height"], found["width"], 4)


def drawn(rgba: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels that are not the viewers' background."""
    return np.asarray((np.abs(rgba[..., :3].astype(int) - BACKGROUND) > 3).any(-1))
