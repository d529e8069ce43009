"""The geometry filter: what it refuses and what it must leave, with the values it measured."""

import numpy as np
import pytest
import trimesh
from PIL import Image

from model_zoo import library
from model_zoo.build import filters
from model_zoo.build.kinds import Unfit
from model_zoo.build.occupancy import solid
from model_zoo.build.shapes import canonical
from tests.model_zoo.build.meshes import ball, joined, plain

creation = trimesh.creation


def checked(mesh: trimesh.Trimesh) -> dict[str, float]:
    moved, _, _ = canonical(plain(mesh.vertices, mesh.faces))
    return filters.check(moved, solid(moved))


def sheet(bend: float) -> trimesh.Trimesh:
    """A square of paper, bent into a trough of depth bend / 4."""
    at = np.linspace(-0.5, 0.5, 15)
    x, z = (axis.ravel() for axis in np.meshgrid(at, at))
    row = np.arange(15 * 15).reshape(15, 15)
    a, b, c, d = row[:-1, :-1].ravel(), row[1:, :-1].ravel(), row[:-1, 1:].ravel(), row[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return plain(np.stack([x, bend * x**2, z], 1), faces)


REFUSED = {
    "needle": (creation.cylinder(0.005, 1.0), "no_volume"),
    "two points": (joined(ball(0.001), ball(0.001, (1, 0, 0))), "no_volume"),
    "paper": (sheet(0.0), "flat"),
    "paper, a little bent": (sheet(0.2), "flat"),
    "card": (creation.box((1, 0.01, 0.63)), "flat"),
    "ball with a far speck": (joined(ball(0.5), ball(0.004, (1.2, 0, 0))), "stray_fragments"),
    "ball with a very far speck": (joined(ball(0.5), ball(0.004, (4, 0, 0))), "stray_fragments"),
}
LEFT = {
    "pencil": creation.cylinder(0.02, 1.0),
    "disc": creation.cylinder(0.5, 0.02),
    "paper, much bent": sheet(1.0),
    "two balls": joined(ball(0.1), ball(0.1, (1, 0, 0))),
    "ball with a speck beside it": joined(ball(0.5), ball(0.01, (0.56, 0, 0))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    mesh, code = REFUSED[name]
    with pytest.raises(Unfit) as caught:
        checked(mesh)
    assert caught.value.code == code
    assert {"volume", "normal_spread", "stray_area", "stray_extent"} <= set(caught.value.measures)


def half_glass(mode: str, alpha: int, factor: int = 255, cutoff: float | None = None) -> trimesh.Trimesh:
    """A box of which each side's lower half has this alpha; the upper half is solid."""
    box = trimesh.creation.box()
    box.unmerge_vertices()
    pixels = np.full((64, 64, 4), 255, np.uint8)
    pixels[32:, :, 3] = alpha
    axis = np.abs(box.face_normals).argmax(1)
    around = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    corners = np.asarray(box.vertices)[np.asarray(box.faces)] + 0.5
    uv = np.take_along_axis(corners, around[:, None, :].repeat(3, 1), 2)
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(pixels),
        baseColorFactor=np.array([255, 255, 255, factor], np.uint8),
        alphaMode=mode,
        alphaCutoff=cutoff,
    )
    box.visual = trimesh.visual.TextureVisuals(uv=uv.reshape(-1, 2), material=material)
    return box


@pytest.mark.parametrize(
    ("glass", "share"),
    [
        (half_glass("BLEND", 0), 0.5),
        (half_glass("BLEND", 51), 0.4),
        (half_glass("BLEND", 255, factor=51), 0.8),
        (half_glass("MASK", 100), 0.5),
        (half_glass("MASK", 100, cutoff=0.3), 0.0),
        (half_glass("OPAQUE", 0), 0.0),
        (creation.box(), 0.0),
    ],
)
def test_how_much_of_a_surface_is_see_through_is_measured(glass: trimesh.Trimesh, share: float) -> None:
    moved, _, _ = canonical(glass)
    assert filters.check(moved, solid(moved))["see_through"] == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left(name: str) -> None:
    assert checked(LEFT[name])["volume"] >= filters.LEAST_VOLUME


@pytest.mark.parametrize(
    "family", ["chair", "table-lamp", "wrench", "plate", "flower", "saw", "castle", "spoon", "tower"]
)
def test_things_with_thin_or_loose_parts_are_left(family: str) -> None:
    checked(library.make(family, 0))


def test_the_spread_of_normals_is_that_of_known_bodies() -> None:
    assert checked(ball())["normal_spread"] == pytest.approx(2 / 3, abs=0.01)
    assert checked(creation.box((1, 1, 1)))["normal_spread"] == pytest.approx(2 / 3, abs=1e-6)


def test_a_stray_piece_is_measured_by_area_and_extent() -> None:
    values = checked(joined(ball(0.1), ball(0.1, (1, 0, 0))))
    assert values["stray_area"] == pytest.approx(0.5, abs=1e-6)
    assert values["stray_extent"] == pytest.approx(1 - 0.2 / 1.2, abs=0.01)
