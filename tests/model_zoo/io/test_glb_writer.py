"""The GLB writer: the same bytes every time, nothing that tells where a mesh came from, valid by the Khronos tool."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import export_glb, load_mesh
from tests.model_zoo.io.makers import photo

ROOT = Path(__file__).resolve().parents[3]
VALIDATE = """
import fs from 'node:fs'; import validator from 'gltf-validator';
for (const file of process.argv.slice(1)) {
  const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)));
  console.log(JSON.stringify([report.issues.numErrors, report.issues.numWarnings, report.issues.messages]));
}
"""


def with_texture() -> trimesh.Trimesh:
    mesh = trimesh.creation.box()
    material = PBRMaterial(baseColorTexture=Image.fromarray(photo()))
    mesh.visual = TextureVisuals(uv=mesh.vertices[:, :2] + 0.5, material=material)
    return mesh


def with_colours() -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.visual.vertex_colors = np.arange(len(mesh.vertices) * 4).reshape(-1, 4) % 256
    return mesh


def with_degenerates() -> trimesh.Trimesh:
    mesh = trimesh.creation.box()
    return trimesh.Trimesh(
        np.vstack([mesh.vertices, [[9, 9, 9]]]),
        np.vstack([mesh.faces, [[0, 0, 1], [8, 8, 8]]]),
        process=False,
    )


MESHES = {
    "texture": with_texture,
    "colours": with_colours,
    "degenerates": with_degenerates,
    "plain": trimesh.creation.torus,
}


def make(name: str) -> trimesh.Trimesh:
    return MESHES[name](1.0, 0.3) if name == "plain" else MESHES[name]()


@pytest.mark.parametrize("name", MESHES)
def test_the_same_mesh_gives_the_same_bytes_whatever_was_looked_at_before(name: str) -> None:
    first, second = make(name), make(name)
    _ = (second.vertex_normals, second.face_adjacency, second.bounds)
    assert export_glb(first) == export_glb(second)


@pytest.mark.parametrize("name", MESHES)
def test_an_exported_mesh_reads_back_with_its_surface_and_colours(name: str) -> None:
    mesh = make(name)
    again = load_mesh(export_glb(mesh)).mesh
    assert again.area == pytest.approx(mesh.area, rel=1e-5)
    if name == "colours":
        assert np.array_equal(again.visual.vertex_colors, mesh.visual.vertex_colors)
    if name == "texture":
        assert np.array_equal(np.asarray(again.visual.material.baseColorTexture), photo())
        assert np.allclose(again.visual.uv, mesh.visual.uv, atol=1e-6)


def test_maps_are_written_only_where_they_are_asked_for() -> None:
    plain, mapped = with_texture(), with_texture()
    mapped.visual.material.normalTexture = Image.fromarray(photo()[::-1])
    assert export_glb(mapped) == export_glb(plain) != export_glb(mapped, maps=True)
    again = load_mesh(export_glb(mapped, maps=True), maps=True).mesh
    assert np.array_equal(np.asarray(again.visual.material.normalTexture), photo()[::-1])


def test_nothing_in_the_file_tells_where_it_came_from() -> None:
    mesh = with_texture()
    mesh.metadata.update(name="secret model", file_name="secret.obj")
    mesh.visual.material.name = "secret"
    data = export_glb(mesh)
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert document["asset"] == {"version": "2.0"}
    assert b"secret" not in data and b"generator" not in data and b'"name"' not in data


def test_a_mesh_without_area_is_refused() -> None:
    with pytest.raises(BadInput, match="zero area"):
        export_glb(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False))


def test_the_khronos_validator_finds_nothing_wrong(tmp_path: Path) -> None:
    if shutil.which("node") is None or not (ROOT / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("node or its package gltf-validator is not installed")
    for name in MESHES:
        (tmp_path / f"{name}.glb").write_bytes(export_glb(make(name)))
    mapped = with_texture()
    mapped.visual.material.normalTexture = mapped.visual.material.metallicRoughnessTexture = flat = Image.new(
        "RGB", (4, 4), (128, 128, 255)
    )
    mapped.visual.material.emissiveTexture, mapped.visual.material.emissiveFactor = flat, [1, 0.5, 0]
    (tmp_path / "mapped.glb").write_bytes(export_glb(mapped, maps=True))
    files = [str(path) for path in sorted(tmp_path.glob("*.glb"))]
    command = ["node", "--input-type=module", "-e", VALIDATE, *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == len(MESHES) + 1
    told = {message["code"] for _, _, messages in reports for message in messages if message["severity"] < 2}
    assert told == {"MESH_PRIMITIVE_GENERATED_TANGENT_SPACE"}, reports  # as glTF lets a normal map go
