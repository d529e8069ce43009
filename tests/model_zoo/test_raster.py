"""The rasteriser: exact depth and masks, colours as the texture has them, soft edges, both backends alike."""

import functools
import gc
import os

import numpy as np
import pytest
import trimesh
from PIL import Image

from model_zoo import raster_gl
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose
from model_zoo.io.textures import linear_from_srgb
from model_zoo.raster import AMBIENT, Light, Lighting, Raster
from model_zoo.render import Framing, intrinsics, render_scene

SIZE = (160, 128)
K, SMALL = intrinsics(50, SIZE), intrinsics(50, (16, 16))
SUN = Lighting((Light((-0.5, -0.7, -0.5), (1.5, 1.4, 1.2)),), (0.2, 0.2, 0.25), (0.2, 0.25, 0.3))
REAL = (
    "pm_guitar",
    "ycb_003_cracker_box",
    "flight_helmet",
    "pm_sci_fi_crate",
    "gso_can_opener",
    "pm_croissant",
)


@pytest.fixture(scope="module", params=["gl", "embree"])
def raster(request):
    return Raster(backend=request.param)


@pytest.fixture(scope="module")
def mesh(test_data):
    return functools.cache(lambda name: load_mesh((test_data / f"dev/meshes/{name}.glb").read_bytes()).mesh)


def posed(t, scale=1.0, R=np.eye(3)):
    return Pose(R=np.asarray(R, float), t=np.asarray(t, float), s=np.full(3, scale))


def painted(image, side=1.0):
    """A square facing the camera at z = 0 that shows the picture (H,W,3) once."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * side / 2
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(image), metallicFactor=0.0, roughnessFactor=1.0
    )
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], float)  # v grows upwards, y of the camera downwards
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


@pytest.mark.parametrize("name", REAL)
def test_depth_mask_and_normals_equal_an_exact_ray_cast(raster, mesh, name):
    item = (mesh(name), Framing(mesh(name), 40, 20))
    K = intrinsics(30, SIZE)
    seen, exact = raster.draw([item], K, SIZE, SUN), render_scene([item], K, SIZE)
    both = seen.mask & exact.mask
    assert both.sum() / (seen.mask | exact.mask).sum() >= 0.999
    relative = abs(seen.depth - exact.depth)[both] / exact.depth[both]
    assert np.percentile(relative, 99) < 1e-4
    assert np.percentile(np.einsum("ij,ij->i", seen.normals[both], exact.normals[both]), 1) > 0.9999
    assert np.isnan(seen.depth[~seen.mask]).all() and not seen.normals[~seen.mask].any()
    assert ((seen.instance == 0) == seen.mask).all() and (seen.alpha[seen.mask] > 0).all()


@pytest.mark.parametrize("name", REAL)
def test_both_backends_give_the_same_pixels(mesh, name):
    item = (mesh(name), Framing(mesh(name), 200, -10))
    K = intrinsics(30, SIZE)
    a, b = (Raster(backend=backend).draw([item], K, SIZE, SUN) for backend in ("gl", "embree"))
    there = (a.alpha > 0) & (b.alpha > 0)
    for left, right in ((a.rgb, b.rgb), (a.base, b.base)):
        apart = abs(left.astype(int) - right)[there].max(1)
        assert np.percentile(apart, 98) <= 1 and apart.mean() < 0.6
    assert abs(a.alpha.astype(int) - b.alpha).mean() < 0.1


def test_base_is_the_texture_itself_whatever_the_light(raster):
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), 16, 0), 16, 1)
    square = painted(image)
    K = np.array([[64.0, 0, 31.5], [0, 64, 31.5], [0, 0, 1]])
    for lighting in (AMBIENT, SUN):
        seen = raster.draw([(square, posed([0, 0, 1]))], K, (64, 64), lighting)
        assert seen.mask.all() and abs(seen.base.astype(int) - image)[8::16, 8::16].max() <= 1
    assert (raster.draw([(square, posed([0, 0, 1]))], K, (64, 64)).rgb == seen.base).all()


def test_a_minified_texture_is_its_mean_in_linear_light(raster):
    image = np.zeros((256, 256, 3), np.uint8)
    image[::2] = 255
    seen = raster.draw([(painted(image), posed([0, 0, 8]))], K, SIZE)
    solid = seen.alpha == 255
    assert solid.sum() > 100 and abs(seen.base[solid].astype(int) - 188).max() <= 2  # sRGB of half the light


def test_edges_are_soft_in_alpha_and_do_not_darken(raster):
    image = np.full((8, 8, 3), 200, np.uint8)
    turned = trimesh.transformations.rotation_matrix(0.3, [0, 0, 1])[:3, :3]
    seen = raster.draw([(painted(image), posed([0, 0, 2], R=turned))], K, SIZE)
    soft = (seen.alpha > 0) & (seen.alpha < 255)
    assert len(np.unique(seen.alpha[soft])) == 4
    assert abs(seen.rgb[soft].astype(int) - 200).max() <= 1
    area = (K[0, 0] / 2) ** 2
    assert abs(seen.alpha.sum() / 255 / area - 1) < 2e-3


def test_light_adds_up_in_linear_light(raster):
    square = painted(np.full((4, 4, 3), 120, np.uint8))
    facing = (0.0, 0.0, -1.0)
    half = Lighting((Light(facing, (0.25, 0.25, 0.25)),), (0.25, 0.25, 0.25))
    seen = raster.draw([(square, posed([0, 0, 1.5]))], K, SIZE, half)
    lit = linear_from_srgb(seen.rgb[64, 80] / 255) / linear_from_srgb(np.full(3, 120 / 255))
    assert np.allclose(lit, 0.513, atol=0.02)  # half, and a little gloss
    away = Lighting((Light((0, 0, 1), (9, 9, 9)),), (0.5, 0.5, 0.5))
    dark = raster.draw([(square, posed([0, 0, 1.5]))], K, SIZE, away).rgb[64, 80]
    assert np.allclose(linear_from_srgb(dark / 255) / linear_from_srgb(np.full(3, 120 / 255)), 0.5, atol=0.02)


def mapped(mirrored=False, metallic=1.0, roughness=1.0, **maps):
    """A grey painted square with further maps (H,W,3) by their names in trimesh; mirrored: its u runs leftwards."""
    square = painted(np.full((8, 8, 3), 120, np.uint8))
    square.faces = square.faces[:, ::-1]  # its front to the camera
    material = square.visual.material
    material.metallicFactor, material.roughnessFactor = metallic, roughness
    for name, pixels in maps.items():
        setattr(material, name, Image.fromarray(np.asarray(pixels, np.uint8)))
    if mirrored:
        square.visual.uv[:, 0] = 1 - square.visual.uv[:, 0]
    return square


def linear_at(raster, item, lighting, where=(64, 80), field="rgb"):
    return linear_from_srgb(getattr(raster.draw([item], K, SIZE, lighting), field)[where] / 255)


@pytest.mark.parametrize("R", [np.eye(3), np.diag([-1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, -1.0])])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("lean", [(0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.3, -0.4)])
def test_a_normal_map_leans_the_surface_as_gltf_has_it(raster, lean, mirrored, R):
    """x to the picture's right, y to its top; from behind (the last R) a bump is a dent."""
    out = np.sqrt(1 - np.dot(lean, lean))
    square = mapped(mirrored, 0.0, normalTexture=np.tile(127.5 * (np.array([*lean, out]) + 1), (8, 8, 1)))
    normal = R @ [-lean[0] if mirrored else lean[0], -lean[1], -out] * R[2, 2]
    for towards in ((0.6, 0.0, -0.8), (0.0, -0.6, -0.8)):
        light = Lighting((Light(towards, (0.5, 0.5, 0.5)),), (0.0, 0.0, 0.0))
        lit = linear_at(raster, (square, posed([0, 0, 2], R=R)), light)
        assert np.allclose(lit / (0.5 * linear_from_srgb(np.array(120 / 255))), normal @ towards, atol=0.06)


def test_a_normal_map_of_nonsense_leaves_no_hole(raster):
    """No length in the map, and uv along a line: there is no tangent frame, and something is drawn all the same."""
    square = mapped(metallic=0.0, normalTexture=np.zeros((8, 8, 3)))
    square.visual.uv[:] = [[0, 0], [0.5, 0.5], [1, 1], [0.25, 0.25]]
    light = Lighting((), (0.5, 0.5, 0.5))
    seen = linear_at(raster, (square, posed([0, 0, 2])), light)
    assert np.allclose(seen, 0.5 * linear_from_srgb(np.array(120 / 255)), atol=0.01)


def test_metal_and_roughness_come_from_their_map_times_the_factors(raster):
    """The left half of the map shines like the factors alone, the right half does not."""
    halves = np.zeros((8, 8, 3))
    halves[:, :4], halves[:, 4:] = (0, 64, 255), (0, 255, 0)
    light = Lighting((Light((0, 0, -1), (0.3, 0.3, 0.3)),), (0.0, 0.0, 0.0))
    pose = posed([0, 0, 2])
    both = (mapped(roughness=0.8, metallicRoughnessTexture=halves), pose)
    for column, (rough, metal) in ((65, (0.8 * 64 / 255, 1.0)), (95, (0.8, 0.0))):
        alone = linear_at(raster, (mapped(False, metal, rough), pose), light, (64, column))
        assert np.allclose(linear_at(raster, both, light, (64, column)), alone, rtol=0.03)
    assert linear_at(raster, both, light, (64, 65))[0] > 1.5 * linear_at(raster, both, light, (64, 95))[0]


def test_what_shines_by_itself_adds_to_both_pictures(raster):
    square = mapped(False, 0.0, emissiveTexture=np.full((8, 8, 3), (255, 188, 0)))
    square.visual.material.emissiveFactor = [0.5, 0.5, 1.0]
    grey = linear_from_srgb(np.full(3, 120 / 255))
    for field, light in (("base", 1.0), ("rgb", 0.25)):
        seen = linear_at(raster, (square, posed([0, 0, 2])), Lighting((), (0.25,) * 3), field=field)
        assert np.allclose(seen, light * grey + [0.5, 0.25, 0], atol=0.01)


@pytest.mark.parametrize("name", ["avocado", "flight_helmet", "yellow_bell_pepper"])
def test_both_backends_give_the_same_pixels_with_maps(test_data, name):
    mapped = load_mesh((test_data / f"dev/meshes/{name}.glb").read_bytes(), maps=True).mesh
    item, K = (mapped, Framing(mapped, 40, 20)), intrinsics(30, SIZE)
    a, b = (Raster(backend=backend).draw([item], K, SIZE, SUN) for backend in ("gl", "embree"))
    there = (a.alpha > 0) & (b.alpha > 0)
    apart = abs(a.rgb.astype(int) - b.rgb)[there].max(1)
    assert np.percentile(apart, 97) <= 1 and apart.mean() < 0.6
    plain = load_mesh((test_data / f"dev/meshes/{name}.glb").read_bytes()).mesh
    without = Raster(backend="gl").draw([(plain, item[1])], K, SIZE, SUN)
    assert (abs(a.rgb.astype(int) - without.rgb)[there].max(1) > 3).mean() > 0.1


def test_colours_of_vertices_faces_materials_and_none(raster):
    box = trimesh.creation.box()
    pose = posed([0, 0, 3])
    box.visual.face_colors = [200, 30, 40, 255]
    assert (raster.draw([(box, pose)], K, SIZE).base[64, 80] == [200, 30, 40]).all()
    box = trimesh.creation.box()
    box.visual.vertex_colors = [20, 130, 40, 255]
    assert (raster.draw([(box, pose)], K, SIZE).base[64, 80] == [20, 130, 40]).all()
    material = trimesh.visual.material.PBRMaterial(baseColorFactor=[0.5, 0.25, 1.0, 1.0])
    plain = trimesh.Trimesh(box.vertices, box.faces, visual=trimesh.visual.TextureVisuals(material=material))
    assert abs(raster.draw([(plain, pose)], K, SIZE).base[64, 80].astype(int) - [188, 137, 255]).max() <= 1
    assert (raster.draw([(trimesh.creation.icosphere(), pose)], K, SIZE).base[64, 80] == 190).all()


def test_the_nearer_mesh_hides_the_farther_one(raster):
    box = trimesh.creation.box()
    seen = raster.draw([(box, posed([0, 0, 5])), (box, posed([0.2, 0, 3], 0.3))], K, SIZE, SUN)
    exact = render_scene([(box, posed([0, 0, 5])), (box, posed([0.2, 0, 3], 0.3))], K, SIZE)
    assert (seen.instance == exact.instance).mean() > 0.999 and set(np.unique(seen.instance)) == {-1, 0, 1}


def test_the_mask_alone_is_the_mask_of_the_picture(raster, mesh):
    items = [(mesh("habitat_chair"), posed([0.1, 0, 3])), (trimesh.creation.box(), posed([1, 0.4, 4]))]
    assert (raster.mask(items, K, SIZE) == raster.draw(items, K, SIZE).mask).all()
    assert not raster.mask([], K, SIZE).any()


def test_a_picture_larger_than_a_tile_has_no_seams(raster):
    ball = trimesh.creation.icosphere(4)
    small, large = (1000, 60), (1500, 90)
    seen = [raster.draw([(ball, posed([0, 0, 1.2]))], intrinsics(80, s), s, SUN) for s in (small, large)]
    for picture in seen:
        assert picture.mask.mean() > 0.5
        assert abs(np.diff(picture.rgb[45].astype(int), axis=0)).max() < 40
        assert (np.diff(picture.mask[45].astype(int)) != 0).sum() <= 2


def test_nothing_in_front_of_the_camera_is_an_empty_picture(raster):
    box = trimesh.creation.box()
    for place in ([0, 0, -4], [100, 0, 3]):
        seen = raster.draw([(box, posed(place))], K, SIZE)
        assert not seen.mask.any() and not seen.alpha.any() and (seen.instance == -1).all()
    assert not raster.draw([], K, SIZE).mask.any()


def test_shadows_fall_where_the_light_is_hidden(raster):
    floor = painted(np.full((4, 4, 3), 200, np.uint8), 3.0)
    ball = trimesh.creation.icosphere(3, radius=0.3)
    items = [(floor, posed([0, 0, 5])), (ball, posed([0, 0, 4]))]
    light = (Light((-1.0, 0, -1.0), (0.8, 0.8, 0.8)),)
    shone, shaded = (
        raster.draw(items, K, SIZE, Lighting(light, (0.1,) * 3, shadows=on)) for on in (False, True)
    )
    changed = abs(shone.rgb.astype(int) - shaded.rgb).max(2) > 20
    y, x = np.nonzero(changed & (shaded.instance == 0))
    # The light comes from the left and the front: the shadow lies one unit to the right of the ball, at z = 5.
    u = K[0, 0] * 1.0 / 5 + K[0, 2]
    assert abs(x.mean() - u) < 1.5 and abs(y.mean() - K[1, 2]) < 2
    assert 0.9 < len(x) / (np.pi * (0.3 * K[0, 0] / 5) ** 2 * np.sqrt(2)) < 1.1


def test_a_mesh_that_reaches_behind_the_camera_is_cut_off_not_folded_over(raster):
    room = trimesh.creation.box([4, 2, 8])
    seen = raster.draw([(room, posed([0, 0, 0]))], K, SIZE)
    assert seen.mask.all() and abs(seen.depth[64, 80] - 4) < 1e-3


def test_meshes_are_kept_while_they_live_and_let_go_afterwards():
    raster = Raster(backend="gl")
    made = [trimesh.creation.icosphere(1) for _ in range(5)]
    for mesh in made:
        raster.draw([(mesh, posed([0, 0, 3]))], SMALL, (16, 16))
    held = raster_gl.engine().held
    assert len(raster._kept) == 5 and len([1 for alive, _ in held.values() if alive() is not None]) >= 5
    before = len(held)
    made.clear()
    del mesh
    gc.collect()
    raster.draw([(trimesh.creation.icosphere(1), posed([0, 0, 3]))], SMALL, (16, 16))
    raster.draw([(trimesh.creation.icosphere(1), posed([0, 0, 3]))], SMALL, (16, 16))
    assert len(raster._kept) == 2 and len(held) <= before - 3


def in_a_fork(work):
    """What work() gives, bytes, in a forked process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        given = stream.read()
    os.waitpid(child, 0)
    return given


def test_a_forked_process_draws_too(monkeypatch):
    item, size = (trimesh.creation.box(), posed([0, 0, 3])), (16, 16)
    opened = Raster()
    wanted = opened.draw([item], SMALL, size).rgb.tobytes()
    assert any(wanted)
    assert in_a_fork(lambda: opened.draw([item], SMALL, size).rgb.tobytes()) == wanted
    # Its own threads do not survive a fork: without OpenGL then, rather than waiting for ever.
    monkeypatch.setenv("LP_NUM_THREADS", "2")
    assert (
        in_a_fork(lambda: opened.draw([item], SMALL, size).rgb.tobytes() + opened.backend.encode())
        == wanted + b"embree"
    )
    assert opened.backend == "gl"


def test_it_says_once_that_it_draws_without_opengl(monkeypatch, caplog):
    def refuse():
        raise RuntimeError("no EGL here")

    monkeypatch.setattr(raster_gl, "engine", refuse)
    assert Raster().backend == "embree" and len(caplog.records) == 1 and "no EGL here" in caplog.text
    with pytest.raises(RuntimeError, match="no EGL here"):
        Raster(backend="gl")
