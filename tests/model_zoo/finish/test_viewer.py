"""Viewer copies: the same surface, and nothing that tells one proposer from another."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from model_zoo.finish.viewer import BUCKET, COARSE, TRIANGLES, alike, viewer_copy
from model_zoo.library import make
from model_zoo.render import view

TOOL = Path(__file__).parents[3] / "node_modules" / ".bin" / "gltfpack"


def coloured_ball():
    ball = trimesh.creation.icosphere(3)
    ball.visual.vertex_colors = np.clip(ball.vertices * 100 + 128, 0, 255).astype(np.uint8)
    return ball


def plain_box():
    return trimesh.creation.box([1, 2, 3])


SOURCES = {"textured": lambda: make("mug", 1), "coloured": coloured_ball, "plain": plain_box}


@pytest.fixture(scope="module")
def copies():
    return {name: viewer_copy(source(), TOOL) for name, source in SOURCES.items()}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_surface_is_the_same_with_even_triangles(source):
    mesh, shown = source(), alike(source())
    assert TRIANGLES - 2 <= len(shown.faces) <= TRIANGLES
    assert np.allclose(shown.bounds, mesh.bounds) and np.isclose(shown.area, mesh.area, rtol=1e-6)


def test_the_coarse_copy_has_the_same_outline():
    mesh = make("teapot", 2)
    coarse = alike(mesh, COARSE)
    assert COARSE - 2 <= len(coarse.faces) <= COARSE
    for yaw in (0, 60, 120):
        full, few = (view(each, (256, 256), yaw, 20).mask for each in (mesh, coarse))
        assert (full & few).sum() / (full | few).sum() > 0.99


def test_sharp_edges_stay_sharp():
    normals = alike(plain_box()).vertex_normals
    assert np.allclose(np.abs(normals).max(1), 1)


def test_copies_of_all_sources_have_one_layout_one_size_and_no_names(copies):
    layouts = set()
    for data in copies.values():
        document = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
        assert "generator" not in document["asset"]
        assert [node["name"] for node in document["nodes"]] == ["full", "coarse"]
        assert json.dumps(document).count('"name"') == 2
        assert len(data) == BUCKET and struct.unpack("<I", data[8:12])[0] == len(data)
        primitives = [mesh["primitives"][0] for mesh in document["meshes"]]
        layouts.add(
            json.dumps(
                [
                    [sorted(primitive["attributes"]) for primitive in primitives],
                    document["nodes"],
                    document["materials"],
                    document["extensionsUsed"],
                ]
            )
        )
    assert len(layouts) == 1


def test_the_same_mesh_gives_the_same_bytes(copies):
    assert viewer_copy(plain_box(), TOOL) == copies["plain"]


def test_a_missing_tool_says_what_to_do(tmp_path):
    with pytest.raises(RuntimeError, match="npm ci"):
        viewer_copy(plain_box(), tmp_path / "gltfpack")
