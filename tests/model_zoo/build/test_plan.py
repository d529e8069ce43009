"""Plans: from names and hashes alone, the same wherever the source lies, readable by a person."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from model_zoo.build.kinds import Away, MeshItem, PhotoItem, Refused, Settings, chance, side_of
from model_zoo.build.place import Folder
from model_zoo.build.plan import (
    PLAN,
    POOL,
    _pool,
    iso_works,
    make_plan,
    paste_works,
    read_plan,
    read_work,
    same_build,
)
from model_zoo.build.sources import Stock, open_source, open_stock
from model_zoo.io.errors import BadInput

BOX = "\n".join(
    [f"v {x} {y} {z}" for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    + ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1"]
    + [
        "f " + " ".join(f"{v}/{n}" for n, v in enumerate(quad, 1))
        for quad in ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))
    ]
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three meshes (two with equal bytes), two photos of which one has a mask, a texture beside an OBJ, a broken link."""
    folder = tmp_path / "here"
    (folder / "obj").mkdir(parents=True)
    trimesh.creation.icosphere(1).export(folder / "ball.glb")
    shutil.copy(folder / "ball.glb", folder / "copy.glb")
    trimesh.creation.box().export(folder / "obj" / "box.obj")
    rng = np.random.default_rng(0)
    for name in ("obj/wood.png", "a.jpg", "b.jpg"):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(folder / name)
    Image.fromarray(np.pad(np.full((20, 20), 255, np.uint8), ((10, 10), (20, 20)))).save(
        folder / "a.mask_cup.png"
    )
    (folder / "away.glb").symlink_to("/nowhere.glb")
    (folder / "manifest.jsonl").write_text(
        json.dumps({"path": "a.jpg", "licence": "CC0-1.0", "attribution": "somebody"}) + "\n"
    )
    return folder


def planned(settings: Settings, out: Path) -> dict[str, str]:
    """The files of a plan."""
    stock = Stock(open_source(settings.source))
    make_plan(settings, stock, stock, Folder(out))
    return {path.name: path.read_text() for path in (out / "plan").iterdir()}


def test_the_plan_is_the_same_wherever_the_source_lies(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "there", symlinks=True)
    for variant in ("iso3do", "rp3do-fo"):
        first = planned(Settings(variant, str(source), seed=3), tmp_path / f"{variant}-1")
        second = planned(Settings(variant, str(tmp_path / "there"), seed=3), tmp_path / f"{variant}-2")
        other = planned(Settings(variant, str(source), seed=4), tmp_path / f"{variant}-3")
        assert first == second != other
        assert str(tmp_path) not in "".join(first.values())


def test_a_plan_names_every_item_once_and_what_it_leaves_out(source: Path, tmp_path: Path) -> None:
    settings = Settings("rp3do-fo", str(source))
    planned(settings, tmp_path / "out")
    place = Folder(tmp_path / "out")
    summary = read_plan(place)
    assert summary is not None
    works = [read_work(place, number) for number in range(summary.shards)]
    assert sorted(photo.name for work in works for photo in work.photos) == ["a", "b"]
    assert {mesh.name for work in works for mesh in work.meshes} == {"ball.glb", "obj/box.obj"}
    photo = next(photo for work in works for photo in work.photos if photo.name == "a")
    assert photo.files["masks"] == {"cup": "a.mask_cup.png"}
    assert (photo.licence, photo.attribution) == ("CC0-1.0", "somebody")
    assert [(one["name"], one["code"]) for one in summary.refused] == [("copy.glb", "duplicate")]
    assert summary.counts == {"meshes": 2, "photos": 2, "refused": 1}


def test_another_build_in_the_same_place_is_refused(source: Path, tmp_path: Path) -> None:
    settings = Settings("iso3do", str(source), seed=1)
    planned(settings, tmp_path / "out")
    summary = read_plan(Folder(tmp_path / "out"))
    assert summary is not None
    same_build(summary, settings)
    with pytest.raises(BadInput, match="seed 1, not 2"):
        same_build(summary, Settings("iso3do", str(source), seed=2))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "maquette-plan/1"}'])
def test_a_broken_plan_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / PLAN).write_text(text)
    with pytest.raises(BadInput):
        read_plan(Folder(tmp_path))


@pytest.mark.parametrize("variant", ["iso3do", "rp3do-fo", "rp3do-osa"])
def test_nothing_to_build_is_said(variant: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stock = Stock(open_source(str(tmp_path / "empty")))
    with pytest.raises(BadInput, match="nothing to build"):
        make_plan(Settings(variant, "empty"), stock, stock, Folder(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("plan/*"))


def items(count: int) -> list[MeshItem]:
    """Mesh items with hashes of their own."""
    return [MeshItem(f"{i}.glb", chance(9, i).bytes(32).hex()) for i in range(count)]


def test_a_limit_takes_a_random_part_and_shards_share_it() -> None:
    works = list(iso_works(Settings("iso3do", "", limit=100), items(1000)))
    assert sum(len(work.meshes) for work in works) == 100
    assert len(works) == 8
    assert [int(mesh.name[:-4]) for mesh in works[0].meshes] != list(range(13))
    photos = [PhotoItem(f"{i}", f"{i:064x}") for i in range(900)]
    for limit in (3, 100, 2000, 0):
        works = list(paste_works(Settings("rp3do-fo", "", limit=limit), photos, items(200)))
        assert sum(work.samples for work in works) == limit
        assert [work.number for work in works] == list(range(len(works)))
        assert all(work.photos for work in works)


def test_the_pool_of_a_shard_has_meshes_of_both_sides_and_all_meshes_get_their_turn() -> None:
    everything = items(1000)
    sides: dict[str, list[MeshItem]] = {}
    for item in everything:
        sides.setdefault(side_of(item.sha256), []).append(item)
    pools = [_pool(sides, len(everything), number) for number in range(20)]
    for pool in pools:
        assert {side_of(item.sha256) for item in pool} == {"train", "validation"}
        assert abs(len(pool) - POOL) <= 1
        assert len(set(pool)) == len(pool)
    assert {item for pool in pools for item in pool} == set(everything)


def test_a_changed_file_is_refused_when_its_shard_is_built(source: Path) -> None:
    stock = Stock(open_source(str(source)))
    ball = next(item for item in stock.meshes() if isinstance(item, MeshItem) and item.name == "ball.glb")
    trimesh.creation.icosphere(2).export(source / "ball.glb")
    with pytest.raises(BadInput, match="not the file that the plan"):
        stock.mesh_bytes(ball)


@pytest.mark.parametrize("code", ["s3", "unreadable"])
@pytest.mark.parametrize("name", ["ball.glb", "a.jpg", "a.mask_cup.png"])
def test_a_file_that_cannot_be_read_now_is_not_refused(
    code: str, name: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = Stock(open_source(str(source)))
    ball = next(item for item in stock.meshes() if isinstance(item, MeshItem) and item.name == "ball.glb")
    photo = next(item for item in stock.photos() if isinstance(item, PhotoItem) and item.name == "a")
    read = stock.files.read

    def slow_down(asked: str) -> bytes:
        if asked == name:
            raise BadInput(f"{name}: 503 SlowDown", code)
        return read(asked)

    monkeypatch.setattr(stock.files, "read", slow_down)
    with pytest.raises(Away, match="SlowDown"):
        stock.shape(ball) if name == "ball.glb" else stock.scene(photo)
    if code == "s3" and name != "a.mask_cup.png":  # which the plan does not read
        with pytest.raises(BadInput, match="SlowDown"):
            list(stock.meshes() if name == "ball.glb" else stock.photos())


def test_a_name_that_is_not_utf_8_is_refused_alone(source: Path, tmp_path: Path) -> None:
    for name in ("ball.glb", "a.jpg", "a.mask_cup.png"):
        stem, _, end = name.partition(".")
        shutil.copy(source / name, os.fsencode(source / stem) + b"\xff." + end.encode())
    shutil.copy(source / "a.mask_cup.png", os.fsencode(source / "a.mask_") + b"\xff.png")
    wanted = {
        "iso3do": {"ball\\udcff.glb"},
        "rp3do-fo": {"a\\udcff.jpg", "a\\udcff.mask_cup.png", "a.mask_\\udcff.png"},
    }
    wanted["rp3do-fo"] |= wanted["iso3do"]
    for variant, names in wanted.items():
        place = Folder(tmp_path / variant)
        planned(Settings(variant, str(source)), place.root)
        summary = read_plan(place)
        assert summary is not None
        assert {one["name"] for one in summary.refused if one["code"] == "bad_name"} == names
        assert len(summary.refused) == len(names) + 1 and summary.counts["meshes"] == 2
    photos = [photo for number in range(summary.shards) for photo in read_work(place, number).photos]
    assert {photo.name: photo.files["masks"] for photo in photos} == {"a": {"cup": "a.mask_cup.png"}, "b": {}}


def test_bad_lines_of_a_manifest_are_told_once_and_the_others_count(source: Path, tmp_path: Path) -> None:
    rows = [
        json.dumps({"path": "ball.glb", "sha256": "z" * 64, "licence": "CC-BY-4.0"}),
        "{not json",
        json.dumps({"path": "a.jpg", "sha256": "z" * 64, "licence": "CC0-1.0"}),
        json.dumps(
            {"path": "b.jpg", "sha256": hashlib.sha256((source / "b.jpg").read_bytes()).hexdigest().upper()}
        ),
        json.dumps({"path": "obj/box.obj", "licence": "CC0-1.0"})[:-1],
    ]
    (source / "manifest.jsonl").write_text("\n".join(rows))
    planned(Settings("rp3do-fo", str(source)), tmp_path / "out")
    place = Folder(tmp_path / "out")
    summary = read_plan(place)
    assert summary is not None
    refused = [one for one in summary.refused if one["name"] == "manifest.jsonl"]
    assert [one["code"] for one in refused] == ["bad_line"]
    assert [line.partition(":")[0] for line in refused[0]["reason"].split("; ")] == [
        f"line {n}" for n in (2, 5, 1, 3)
    ]
    works = [read_work(place, number) for number in range(summary.shards)]
    licences = {mesh.name: mesh.licence for work in works for mesh in work.meshes}
    assert licences == {"ball.glb": "CC-BY-4.0", "obj/box.obj": ""}
    assert {photo.name: photo.licence for work in works for photo in work.photos} == {"a": "CC0-1.0", "b": ""}
    stock = Stock(open_source(str(source)))
    for item in (item for work in works for item in (*work.meshes, *work.photos)):
        assert side_of(item.sha256) in ("train", "validation")
        stock.scene(item) if isinstance(item, PhotoItem) else stock.mesh_bytes(item)


def test_a_manifest_that_is_no_text_is_told_once(source: Path, tmp_path: Path) -> None:
    (source / "manifest.jsonl").write_bytes(b"\xff\xfe\n" * 20)
    planned(Settings("iso3do", str(source)), tmp_path / "out")
    summary = read_plan(Folder(tmp_path / "out"))
    assert summary is not None and summary.counts["meshes"] == 2
    assert summary.refused[0]["reason"].endswith("; and 12 more")


def test_a_mask_that_is_gone_is_noted_and_a_photo_that_is_gone_is_away(source: Path) -> None:
    stock = Stock(open_source(str(source)))
    photo = next(item for item in stock.photos() if isinstance(item, PhotoItem) and item.name == "a")
    noted: list[Refused] = []
    (source / "a.mask_cup.png").unlink()
    assert not stock.scene(photo, noted.append).masks
    assert [(one.name, one.code) for one in noted] == [("a.mask_cup.png", "beside_photo")]
    (source / "a.jpg").unlink()
    with pytest.raises(Away, match="not in the folder"):
        stock.scene(photo)


def test_a_mesh_finds_its_materials_and_textures_beside_it_and_never_outside(source: Path) -> None:
    folder = source / "painted"
    folder.mkdir()
    (folder / "box.obj").write_text("mtllib box.mtl\nusemtl wood\n" + BOX)
    (folder / "box.mtl").write_text("newmtl wood\nmap_Kd ../obj/wood.png\n")
    (folder / "away.obj").write_text("mtllib away.mtl\nusemtl wood\n" + BOX)
    (folder / "away.mtl").write_text("newmtl wood\nmap_Kd ../../../wood.png\n")
    (folder / "bare.obj").write_text("mtllib gone.mtl\nusemtl wood\n" + BOX)
    stock = Stock(open_source(str(source)))
    items = {item.name: item for item in stock.meshes() if isinstance(item, MeshItem)}
    shape = stock.shape(items["painted/box.obj"])
    assert shape.mesh.visual.kind == "texture"
    with pytest.raises(BadInput, match="outside the mesh's own"):
        stock.shape(items["painted/away.obj"])
    with pytest.raises(BadInput, match=r"gone\.mtl"):
        stock.shape(items["painted/bare.obj"])


def test_a_manifest_of_somebody_elses_is_no_data_set_and_a_release_of_pairs_no_source(source: Path) -> None:
    manifest = source / "manifest.json"
    manifest.write_text('{"name": "my meshes"}')
    assert any(isinstance(item, MeshItem) for item in open_stock(str(source)).meshes())
    manifest.write_text('{"format": "maquette-release/2", "kind": "dpo"}')
    with pytest.raises(BadInput, match="a data set of kind dpo"):
        open_stock(str(source))
