"""Whole builds by the command: resumed after a kill, into a bucket, of hostile meshes, opened by other libraries."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trimesh
import webdataset
from datasets import load_dataset
from PIL import Image

from model_zoo.build import iso3do, verify
from model_zoo.build.__main__ import main
from model_zoo.build.finish import finish
from model_zoo.build.kinds import Made, MeshItem, Refused, Room, Settings, Shape, Work
from model_zoo.build.place import TMP, Bucket, Folder
from model_zoo.build.plan import make_plan, read_work
from model_zoo.build.run import Opener, _size, run_shard
from model_zoo.build.sources import open_stock
from model_zoo.build.variants import VARIANTS
from model_zoo.data.reader import DataSet
from model_zoo.io.errors import BadInput
from tests.buckets import KEYS

SMALL = ["--size", "96", "--views", "3", "--seed", "5"]


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Meshes in four formats, two of them one shape, and files that are refused."""
    folder = tmp_path_factory.mktemp("meshes")
    ball = trimesh.creation.icosphere(3)
    ball.export(folder / "ball.glb")
    ball.apply_scale(40).export(folder / "ball_in_mm.stl")
    trimesh.creation.torus(1, 0.4).export(folder / "ring.obj")
    trimesh.creation.box((1, 2, 3)).export(folder / "box.ply")
    trimesh.creation.box((1, 1, 1e-7)).export(folder / "sheet.ply")
    far = trimesh.creation.icosphere(1)
    far.apply_translation((1e8, 0, 0))
    far.export(folder / "far.ply")
    (folder / "torn.glb").write_bytes((folder / "ball.glb").read_bytes()[:500])
    (folder / "empty.stl").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def built(meshes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Iso-3DO of them."""
    out = tmp_path_factory.mktemp("data") / "iso"
    assert main(["iso3do", "--from", str(meshes), "--out", str(out), "--workers", "1", *SMALL]) == 0
    return out


def contents(out: Path) -> dict[str, str]:
    """Every file's hash."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


def test_what_cannot_be_used_is_refused_one_by_one_with_what_was_measured(built: Path) -> None:
    lines = [json.loads(line) for line in (built / "report.jsonl").read_text().splitlines()]
    refused = {line["refused"]["name"]: line["refused"] for line in lines if "refused" in line}
    assert set(refused) == {"sheet.ply", "far.ply", "torn.glb", "empty.stl"}
    assert refused["far.ply"]["code"] == "bad_scale"
    assert refused["far.ply"]["measures"]["offset"] > 1e7
    assert refused["sheet.ply"]["code"] in ("flat", "no_volume")
    shapes = [line["measures"] for line in lines if "shape" in line]
    assert len(shapes) == 4
    assert all({"volume", "normal_spread", "stray_extent"} <= set(one) for one in shapes)
    report = (built / "report.md").read_text()
    assert "12 samples with 4 shapes" in report
    assert all(name in report for name in refused)


def test_a_kill_in_mid_shard_leaves_no_half_and_the_same_bytes_come_of_it(
    meshes: Path, built: Path, tmp_path: Path
) -> None:
    out = tmp_path / "iso"
    command = ["iso3do", "--from", str(meshes), "--out", str(out), *SMALL]
    assert main([*command, "--plan"]) == 0
    number = next(n for n in range(9) if "ball.glb" in (out / "plan" / f"{n:06d}.json").read_text())
    child = subprocess.Popen(
        [sys.executable, "-m", "model_zoo.build", *command, "--shard", str(number)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(out.glob(f"{TMP}/*/files/*.part")):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not list(out.glob("shards/*")) and not list(out.glob("parts/*"))
    assert main([*command, "--finish"]) == 1  # and says that shards are missing
    assert main([*command, "--workers", "2"]) == 0
    assert contents(out) == contents(built)


def test_the_steps_say_what_is_missing(meshes: Path, tmp_path: Path, capsys: Any) -> None:
    out = str(tmp_path / "iso")
    command = ["iso3do", "--from", str(meshes), "--out", out]
    for arguments, said in (
        ([*command, "--shard", "0"], "no plan"),
        ([*command, "--finish"], "has no plan to finish"),
        ([*command, "--plan"], ""),
        ([*command, "--shard", "99"], "shards 0 to"),
        ([*command, "--finish"], "shards are not built yet"),
        ([*command, "--seed", "1"], "another build's (seed 0, not 1)"),
        (["iso3do", "--from", f"{meshes}/ball.glb", "--out", out], "no folder, ZIP or s3:// prefix"),
        ([*command[:-1], f"{meshes}/ball.glb"], "is a file, not a folder"),
    ):
        assert main(arguments) == (0 if said == "" else 1)
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == (said != "")


def test_a_build_into_a_bucket_from_a_bucket_is_the_same(
    meshes: Path, built: Path, bucket_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": bucket_server}.items():
        monkeypatch.setenv(name, value)
    stock = open_stock("s3://builds/meshes")
    client = stock.files._bucket.client  # type: ignore[attr-defined]
    client.create_bucket(Bucket="builds")
    for path in sorted(meshes.iterdir()):
        client.upload_file(str(path), "builds", f"meshes/{path.name}")
    out = ["--out", "s3://builds/out/iso", "--workers", "1"]
    assert main(["iso3do", "--from", "s3://builds/meshes", *out, *SMALL]) == 0
    data = DataSet("s3://builds/out/iso")
    assert data.manifest == json.loads((built / "manifest.json").read_text())
    assert data.sample(5).rgb().shape == (96, 96, 3)


def twice(work: Work, room: Room) -> Iterator[Made | Refused]:
    """Every sample two times."""
    for made in iso3do.build(work, room):
        yield made
        yield made


def test_an_id_is_that_of_one_sample(meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, place = (
        Settings("iso3do", str(meshes), size=64, views=2, renderer="embree"),
        Folder(tmp_path / "iso"),
    )
    stock = open_stock(str(meshes))
    summary = make_plan(settings, stock, stock, place)
    monkeypatch.setitem(VARIANTS, "iso3do", VARIANTS["iso3do"]._replace(build=twice))
    works = [read_work(place, number) for number in range(summary.shards)]
    ball = next(work for work in works if work.meshes[0].name == "ball.glb")
    for work in works:
        again = replace(ball, number=work.number)  # the same mesh in every shard
        report = run_shard(settings, again, place, Opener(stock, stock))
        assert (report["rows"], [one["code"] for one in report["refused"]]) == (2, ["duplicate"] * 2)
    with pytest.raises(
        BadInput, match=r"_v00 is that of two samples, in iso3do-000000.tar and iso3do-000001.tar"
    ):
        finish(summary, place)
    assert not (tmp_path / "iso" / "manifest.json").exists()


def test_meshes_are_kept_by_the_size_of_all_their_textures() -> None:
    box = trimesh.creation.box()
    picture, other = (Image.new("RGB", (64, 64)) for _ in range(2))
    maps = {"baseColorTexture": picture, "normalTexture": other, "occlusionTexture": other}
    material = trimesh.visual.material.PBRMaterial(**maps)
    box.visual = trimesh.visual.TextureVisuals(np.zeros((8, 2)), material)
    shape = Shape(MeshItem("box", "0" * 64), box, np.zeros(3), 1.0, np.zeros((4,) * 3, bool), {}, np.zeros(1))
    assert _size(shape) - box.vertices.nbytes - box.faces.nbytes == 2 * 4 * 64 * 64 + 64
    material.normalTexture = material.occlusionTexture = None
    assert _size(shape) - box.vertices.nbytes - box.faces.nbytes == 4 * 64 * 64 + 64


def test_near_twins_are_on_one_side(built: Path) -> None:
    rows = DataSet(built).facts.to_pylist()
    sides = {json.loads(row["provenance"])["mesh"]: row["split"] for row in rows}
    assert len(sides) == 4 and set(sides.values()) <= {"train", "validation", "none"}
    assert {sides["ball.glb"], sides["ball_in_mm.stl"]} != {"train", "validation"}


def test_other_libraries_open_it(built: Path) -> None:
    rows = load_dataset("parquet", data_files=str(built / "index" / "*.parquet"), split="train")
    members = next(
        iter(
            webdataset.WebDataset(
                [str(p) for p in sorted((built / "shards").glob("*.tar"))], shardshuffle=False
            )
        )
    )
    croissant = mlcroissant.Dataset(jsonld=str(built / "croissant.json"))
    with tarfile.open(built / "shards" / rows[0]["shard"]) as shard:
        names = shard.getnames()
    assert len(rows) == 12
    assert {"mesh.glb", "occupancy.png"} <= set(members)
    assert f"{rows[0]['id']}.image.jpg" in names
    assert not croissant.metadata.ctx.issues.errors and not croissant.metadata.ctx.issues.warnings


def test_iso_3do_is_itself_a_source_of_meshes(built: Path) -> None:
    stock = open_stock(str(built))
    items = list(stock.meshes())
    shape = stock.shape(items[0])
    assert {item.name for item in items} == {"ball.glb", "ball_in_mm.stl", "ring.obj", "box.ply"}
    assert shape.key in stock.data.facts["shape_id"].to_pylist()  # type: ignore[attr-defined]
    assert shape.occupancy.shape == (64, 64, 64)
    assert abs(shape.mesh.extents.max() - 1) < 1e-5


def test_verify_finds_a_flipped_bit_a_missing_file_and_a_changed_row(
    built: Path, tmp_path: Path, capsys: Any
) -> None:
    assert verify.main([str(built)]) == 0
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    shard = next((copy / "shards").iterdir())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    (copy / "report.md").unlink()
    (copy / "more.txt").write_text("not mine")
    assert verify.main([str(copy)]) == 1
    error = capsys.readouterr().err
    assert f"{shard.name} is damaged" in error and "the bytes at " in error
    assert "report.md" in error and "more.txt is not part of" in error
    (copy / "manifest.json").write_text("{}")
    assert verify.main([str(copy)]) == 1


def test_verify_tells_everything_whatever_is_broken(built: Path, tmp_path: Path, capsys: Any) -> None:
    def said(name: str, change: Callable[[Path], None]) -> str:
        copy = tmp_path / name
        shutil.copytree(built, copy)
        (copy / "report.md").unlink()
        change(copy)
        assert verify.main([str(copy)]) == 1
        error = str(capsys.readouterr().err)
        assert all(line.startswith("error: ") for line in error.splitlines())
        assert name == "bare" or "report.md" in error
        return error

    def part(copy: Path) -> Path:
        return copy / "index" / "part-00000.parquet"

    def without(*names: str) -> Callable[[Path], None]:
        def change(copy: Path) -> None:
            manifest = json.loads((copy / "manifest.json").read_text())
            kept = {name: value for name, value in manifest.items() if name not in names}
            (copy / "manifest.json").write_text(json.dumps(kept))

        return change

    def rows(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
        return lambda copy: pq.write_table(change(pq.read_table(part(copy))), part(copy))

    for length in (5, 2000, -9):
        error = said(f"cut{length}", lambda copy: part(copy).write_bytes(part(copy).read_bytes()[:length]))  # noqa: B023
        assert "cannot be read as a part of an index" in error and "the index has 0 rows" in error
    error = said("gone", lambda copy: part(copy).unlink())
    assert "part-00000.parquet of gone cannot be read" in error and "the index has 0 rows" in error
    assert "manifest.json was changed" in said("kind", without("kind"))
    error = said("bare", without("kind", "files", "counts"))
    assert "manifest.json was changed" in error and "part-00000.parquet is not part of" in error
    twice = said("twice", rows(lambda table: pa.concat_tables([table, table.slice(0, 1)])))
    assert f"2 rows have the id {DataSet(built).id(0)}" in twice and "the index has 13 rows" in twice
    assert "names no bytes" in said("columns", rows(lambda table: table.drop_columns(["offset"])))


def test_an_empty_place_is_refused_before_anything_is_written(
    meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for source, out, said in ((str(meshes), "", "--out is empty"), ("", "iso", "--from is empty")):
        assert main(["iso3do", "--from", source, "--out", out, *SMALL]) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_shard_that_is_there_is_said_to_be(meshes: Path, built: Path, capsys: Any) -> None:
    assert main(["iso3do", "--from", str(meshes), "--out", str(built), *SMALL, "--shard", "0"]) == 0
    assert capsys.readouterr().out == "shard 0 is there already\n"


def refused_places(meshes: str, place: str, full: str) -> list[tuple[list[str], str]]:
    """Arguments of builds that must not write, and what is said: into files of somebody's, into a source, below one."""
    return [
        (["--from", meshes, "--out", full], "holds files that are no build's"),
        (["--from", meshes, "--out", meshes], f"--out lies in {meshes}"),
        (["--from", meshes, "--out", f"{meshes}/{place}"], f"--out lies in {meshes}"),
    ]


@pytest.mark.parametrize("phase", [[], ["--plan"]])
def test_a_folder_that_no_build_made_is_left_alone(
    phase: list[str], meshes: Path, tmp_path: Path, capsys: Any
) -> None:
    mine = tmp_path / "mine"
    (mine / "tmp").mkdir(parents=True)
    (mine / "tmp" / "notes.txt").write_text("dear to me")
    (mine / "README.md").write_text("mine")
    before = contents(mine), contents(meshes)
    for arguments, said in refused_places(str(meshes), "iso", str(mine)):
        assert main(["iso3do", *arguments, *SMALL, *phase]) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert (contents(mine), contents(meshes)) == before
    assert not (mine / "plan").exists()


def test_a_prefix_that_no_build_made_is_left_alone(
    meshes: Path, bucket_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": bucket_server}.items():
        monkeypatch.setenv(name, value)
    mine = Bucket("s3://mine/full")
    mine.client.create_bucket(Bucket="mine")
    mine.client.upload_file(str(meshes / "box.ply"), "mine", "full/box.ply")
    mine.client.upload_file(str(meshes / "box.ply"), "mine", "meshes/box.ply")
    for arguments, said in refused_places("s3://mine/meshes", "iso", "s3://mine/full"):
        assert main(["iso3do", *arguments, *SMALL]) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert mine.names("") == ["box.ply"]
    assert not Bucket("s3://mine/meshes/iso").within("s3://mine/mesh")


def test_a_plan_that_was_killed_is_made_again(meshes: Path, tmp_path: Path) -> None:
    command = ["iso3do", "--from", str(meshes), "--out", str(tmp_path / "iso"), *SMALL, "--plan"]
    assert main(command) == 0
    plan = tmp_path / "iso" / "plan" / "plan.json"
    before = plan.read_bytes()
    plan.unlink()
    (tmp_path / "iso" / TMP / "killed").mkdir(parents=True)
    (tmp_path / "iso" / TMP / "killed" / "file").write_text("")
    assert main(command) == 0
    assert plan.read_bytes() == before


def test_another_source_in_the_same_place_is_refused_and_the_same_elsewhere_is_not(
    meshes: Path, built: Path, tmp_path: Path, capsys: Any
) -> None:
    other, out = tmp_path / "other", tmp_path / "iso"
    shutil.copytree(meshes, other)
    shutil.copytree(built, out)
    command = ["iso3do", "--from", str(other), "--out", str(out), *SMALL]
    assert main(command) == 0
    trimesh.creation.icosphere(2).export(other / "box.ply")
    capsys.readouterr()
    for phase in ([], ["--plan"]):
        assert main([*command, *phase]) == 1
        error = capsys.readouterr().err
        assert "is of another source" in error and error.count("\n") == 1
    shutil.rmtree(other)
    assert main([*command, "--finish"]) == 0  # which reads no source
    assert contents(out) == contents(built)


def test_a_source_that_is_away_for_a_while_loses_nothing(
    meshes: Path, built: Path, tmp_path: Path, capsys: Any
) -> None:
    source, out = tmp_path / "meshes", tmp_path / "iso"
    shutil.copytree(meshes, source)
    command = ["iso3do", "--from", str(source), "--out", str(out), "--workers", "1", *SMALL]
    assert main([*command, "--plan"]) == 0
    number = next(n for n in range(9) if "ball.glb" in (out / "plan" / f"{n:06d}.json").read_text())
    (source / "ball.glb").rename(tmp_path / "ball.glb")
    capsys.readouterr()
    assert main([*command, "--shard", str(number)]) == 1
    error = capsys.readouterr().err
    assert "the source cannot be read now" in error and "ball.glb" in error and error.count("\n") == 1
    assert not (out / "parts").exists() and not (out / "shards").exists()
    (tmp_path / "ball.glb").rename(source / "ball.glb")
    assert main(command) == 0
    assert contents(out) == contents(built)
