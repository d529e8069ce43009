"""Releases on disk: complete, reproducible, loadable, and refused when damaged."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from PIL import Image as Picture

from backend import storage
from backend.annotation.models import Alignment
from backend.catalog import clusters
from backend.catalog.models import Image, TargetObject
from backend.datasets import services
from backend.datasets.models import Release
from backend.jobs import UserError
from backend.proposals.models import Proposer
from model_zoo.data.reader import DataSet
from model_zoo.io.shards import ShardReader, read_member
from tests.backend.datasets.rows import PLAIN, World, job_here, picture
from workers import release_walk, releasing
from workers.release_check import check
from workers.release_places import materialise

LOOKS = ("aesthetic", "brightness", "contrast", "colourfulness", "sharpness")

pytestmark = pytest.mark.django_db(transaction=True)


def quiet(done: int, total: int) -> None:
    """No progress bar."""


def loop(objects: int = 3, **options: Any) -> World:
    """A world where Ada decided every object."""
    world = World(options, source=options.pop("source", "sensor"))
    for _ in range(objects):
        target = world.target()
        world.bracket(target, PLAIN, winner=0, by=options.get("by"))
        if world.batch.asks_alignment:
            world.align(target, target.candidates[0])
    return world


def release(world: World, out: Path | str, kind: str = "sft", **flags: Any) -> Release:
    made = services.begin(kind=kind, batches=[world.batch], **flags)
    return releasing.release_to(made, str(out), quiet)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [
        row
        for part in sorted((folder / "index").glob("part-*.parquet"))
        for row in pq.read_table(part).to_pylist()
    ]


def member(folder: Path, row: dict[str, Any], name: str) -> bytes:
    path = folder / "shards" / row[f"{name}_shard"]
    return read_member(path, row[f"{name}_offset"], row[f"{name}_length"])


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_what_went_in_comes_out_byte_for_byte(tmp_path: Path, kind: str) -> None:
    world = loop(asks_alignment=True)
    made = release(world, tmp_path / "out", kind)
    found = rows(tmp_path / "out")
    assert made.rows == len(found) == (3 if kind == "sft" else 6)
    for row in found:
        target = world.batch.tasks.get(
            object_id=int(row["object_key" if kind == "sft" else "prompt"][1:]), stage="compare"
        ).object
        assert hashlib.sha256(member(tmp_path / "out", row, "image")).hexdigest() == target.image.display_id
        assert hashlib.sha256(member(tmp_path / "out", row, "mask")).hexdigest() == target.mask_id
        assert (
            hashlib.sha256(member(tmp_path / "out", row, "pointmap")).hexdigest()
            == target.image.pointmaps.get().blob_id
        )


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    world = loop()
    first, second = (release(world, tmp_path / name, "dpo") for name in "ab")
    assert first.sha256 == second.sha256 and first.pk != second.pk
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 6
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_the_size_of_what_is_worked_on_at_once_shows_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = loop(objects=7, asks_alignment=True)
    first = release(world, tmp_path / "a", "dpo"), release(world, tmp_path / "b")
    monkeypatch.setattr(release_walk, "OBJECTS_AT_ONCE", 2)
    monkeypatch.setattr(release_walk, "BLOCK_BYTES", 3000)
    second = release(world, tmp_path / "c", "dpo"), release(world, tmp_path / "d")
    assert [made.sha256 for made in first] == [made.sha256 for made in second]


def test_a_long_index_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "PART_ROWS", 5)
    release(loop(objects=6), tmp_path / "out", "dpo")
    parts = sorted((tmp_path / "out" / "index").iterdir())
    assert [pq.read_metadata(part).num_rows for part in parts] == [5, 5, 2]
    assert check(tmp_path / "out").problems == []


@pytest.mark.parametrize("text", ['a "b", c', "two\nlines", "Zoë \u2028 Ærø", "NULL", "\\.", " t", "{1}", ""])
def test_no_text_is_too_odd_for_the_index(tmp_path: Path, text: str) -> None:
    world = loop(objects=1)
    Image.objects.update(attribution=text)
    TargetObject.objects.update(category=text)
    release(world, tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert (row["attribution"], row["category"]) == (text, text)
    facts = next(each.text for each in ShardReader(tmp_path / "out/shards/shard-000000.tar") if each.text)
    assert json.loads(facts)["attribution"] == text
    assert check(tmp_path / "out").problems == []


def test_a_release_describes_itself(tmp_path: Path) -> None:
    world = loop(objects=2)
    shown = storage.put(picture(9), "image/jpeg")
    world.batch.candidates.update(thumbnail=shown)
    release(world, tmp_path / "out", "dpo")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- rows: 4 of 2 objects and 6 candidates" in card and "| CC0 | 4 |" in card
    assert "| alpha | double | bar that a rating" in card and "](pictures/objects.jpg)" in card
    sheet = np.asarray(Picture.open(tmp_path / "out" / "pictures" / "objects.jpg"))
    assert (sheet.std(axis=(0, 1)) > 20).all()
    found = mlcroissant.Dataset(jsonld=tmp_path / "out" / "croissant.json")
    assert not found.metadata.ctx.issues.errors and not found.metadata.ctx.issues.warnings
    assert len(list(found.records("rows"))) == 4


def test_the_loader_reads_a_chain(tmp_path: Path) -> None:
    chain(tmp_path)
    data = DataSet(tmp_path / "2", base=[tmp_path / "0", tmp_path / "1"], where="r >= alpha")
    assert len(data) == 4
    assert {data.sample(n).rgb().shape for n in range(4)} == {(48, 64, 3)}


def test_each_blob_is_in_the_shards_once(tmp_path: Path) -> None:
    world = loop(objects=1)
    release(world, tmp_path / "out", "dpo")
    assert len({row["rejected_offset"] for row in rows(tmp_path / "out")}) == 2
    assert len({row["chosen_offset"] for row in rows(tmp_path / "out")}) == 1


def test_a_sample_row_says_where_it_came_from(tmp_path: Path) -> None:
    world = loop(objects=1, asks_alignment=True)
    release(world, tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert row["R"] == [1, 0, 0, 0, 1, 0, 0, 0, 1] and row["t"] == [0, 0, 2] and row["r"] == 0.9
    assert (row["proposer"], row["seed"], row["annotators"]) == ("flow-tiny", 0, [world.ada.pk])
    assert (row["licence"], row["mesh_licence"], row["batch"], row["simulated"]) == (
        "CC0",
        "MIT",
        "street",
        False,
    )


def test_the_provenance_of_a_row_can_be_read(tmp_path: Path) -> None:
    world = loop(objects=1, asks_alignment=True)
    release(world, tmp_path / "sft")
    release(world, tmp_path / "dpo", "dpo")
    (sample,), (pair, _) = rows(tmp_path / "sft"), rows(tmp_path / "dpo")
    told = json.loads(sample["provenance"])
    assert (told["batch"], told["annotators"], told["base"]) == ("street", [world.ada.pk], None)
    assert told["alignment"] == Alignment.objects.get().pk
    made = {"proposer": "flow-tiny", "checkpoint": None, "weights_sha256": None, "job": None}
    assert told["mesh"] == {"candidate": sample["candidate_key"], "seed": 0, **made}
    told = json.loads(pair["provenance"])
    assert told["chosen"] == {"candidate": pair["chosen"], "seed": 0, **made}
    assert told["rejected"] == {"candidate": pair["rejected"], "seed": 1, **made}


def test_the_bar_the_consent_and_the_looks_are_on_every_row(tmp_path: Path) -> None:
    world = loop(objects=1, alpha=0.7)
    Image.objects.update(
        consent="signed", cluster=7, side="validation", looks={"brightness": 0.5, "contrast": 0.25}
    )
    TargetObject.objects.update(aesthetic=True)
    for kind in ("sft", "dpo"):
        made = release(world, tmp_path / kind, kind)
        row = rows(tmp_path / kind)[0]
        assert (row["r"], row["alpha"], row["consent"], row["cluster"], row["split"]) == (
            0.9,
            0.7,
            "signed",
            7,
            "validation",
        )
        assert (row["aesthetic"], row["brightness"], row["contrast"], row["sharpness"]) == (
            True,
            0.5,
            0.25,
            None,
        )
        assert made.counts["aesthetic"] == made.counts["validation"] == made.rows


def test_an_artists_mesh_is_of_another_data_set(tmp_path: Path) -> None:
    world = loop(objects=2)
    artist = Proposer.objects.create(name="art3do", kind="artist")
    world.batch.candidates.filter(pk=world.batch.candidates.first().pk).update(proposer=artist)
    release(world, tmp_path / "out")
    assert [row["data_set"] for row in rows(tmp_path / "out")] == ["art3do", "mitl3do"]


def test_simulated_rows_stay_out_unless_asked_for(tmp_path: Path) -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0, by=world.bot)
    with pytest.raises(UserError, match="simulated; include them by flag"):
        release(world, tmp_path / "people", "dpo")
    assert release(world, tmp_path / "all", "dpo", include_simulated=True).counts["simulated"] == 2


def test_layouts_on_fallback_depth_stay_out_unless_asked_for(tmp_path: Path) -> None:
    world = loop(objects=1, asks_alignment=True, source="fallback")
    held = release(world, tmp_path / "held")
    assert rows(tmp_path / "held")[0]["R"] is None and held.counts["fallback_layouts_withheld"] == 1
    release(world, tmp_path / "given", include_fallback_layout=True)
    assert rows(tmp_path / "given")[0]["R"] is not None


def test_a_rating_floor_leaves_rows_out(tmp_path: Path) -> None:
    world = loop(objects=2)
    world.bracket(world.target(), PLAIN, winner=0, r=0.6)
    assert release(world, tmp_path / "out", min_rating=0.8).rows == 2


def test_a_photo_is_never_on_both_sides_of_the_split(tmp_path: Path) -> None:
    world = loop(objects=1)
    release(world, tmp_path / "sft")
    release(world, tmp_path / "dpo", "dpo")
    assert len({row["split"] for kind in ("sft", "dpo") for row in rows(tmp_path / kind)}) == 1


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_a_whole_release_verifies(tmp_path: Path, kind: str) -> None:
    made = release(loop(), tmp_path / "out", kind)
    found = check(tmp_path / "out")
    assert found.problems == [] and found.rows == made.rows and found.sha256 == made.sha256
    assert found.members == 3 * 4 + 2 * (3 if kind == "sft" else 9)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name", ["shards/shard-000000.tar", "index/part-00000.parquet", "README.md", "manifest.json"]
)
def test_one_flipped_bit_is_found(tmp_path: Path, name: str) -> None:
    release(loop(), tmp_path / "out")
    path = tmp_path / "out" / name
    flip(path, path.stat().st_size // 2)
    assert check(tmp_path / "out").problems


def test_a_row_that_points_elsewhere_is_found(tmp_path: Path) -> None:
    release(loop(), tmp_path / "out")
    index = tmp_path / "out" / "index" / "part-00000.parquet"
    table = pq.read_table(index)
    column = table.schema.get_field_index("mask_offset")
    pq.write_table(table.set_column(column, "mask_offset", table["image_offset"]), index)
    reseal(tmp_path / "out")
    assert "mask does not point at" in check(tmp_path / "out").problems[0]


@pytest.mark.parametrize("column", ["chosen_sha256", "image_sha256", "id", "prompt", "rejected_length"])
def test_a_cell_that_says_something_else_is_found(tmp_path: Path, column: str) -> None:
    release(loop(), tmp_path / "out", "dpo")
    index = tmp_path / "out" / "index" / "part-00000.parquet"
    table = pq.read_table(index)
    values = table[column].to_pylist()
    values[2] = (
        values[2] + 1 if column == "rejected_length" else values[2][:-1] + "x" if column != "id" else "p1"
    )
    table = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
    pq.write_table(table, index)
    reseal(tmp_path / "out")
    problems = check(tmp_path / "out").problems
    assert problems and all(problem.startswith(f"row {table['pair_id'][2]}") for problem in problems)


def test_a_row_that_is_there_twice_is_found(tmp_path: Path) -> None:
    release(loop(), tmp_path / "out")
    index = tmp_path / "out" / "index" / "part-00000.parquet"
    table = pq.read_table(index)
    pq.write_table(pa.concat_tables([table.slice(0, 2), table.slice(0, 1)]), index)
    reseal(tmp_path / "out")
    assert check(tmp_path / "out").problems == [f"row {table['sample_id'][0]} is there twice"]


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_a_release_of_the_first_format_still_verifies(tmp_path: Path, kind: str) -> None:
    release(loop(), tmp_path / "out", kind)
    index = tmp_path / "out" / "index" / "part-00000.parquet"
    table = pq.read_table(index)
    later = ("id", "alpha", "cluster", "data_set", "consent", "provenance", *LOOKS)
    pq.write_table(
        table.drop_columns([n for n in table.column_names if n in later or n.endswith("_sha256")]), index
    )
    reseal(tmp_path / "out", format="maquette-release/1")
    found = check(tmp_path / "out")
    assert found.problems == [] and found.rows == len(table)
    assert len(DataSet(tmp_path / "out")) == len(table)


def reseal(folder: Path, **facts: Any) -> None:
    """Make the manifest agree with changed files, as a careful forger would."""
    manifest = {**json.loads((folder / "manifest.json").read_text()), **facts}
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        file |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["hash"] = releasing.content_hash(manifest)
    manifest["id"] = f"{manifest['kind']}-{manifest['hash'][:16]}"
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        release(loop(objects=1), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_blob_stops_the_release_and_leaves_nothing(tmp_path: Path) -> None:
    world = loop(objects=1)
    sha256 = world.batch.candidates.first().mesh.blob_id
    (storage.store().root / storage.blob_name(sha256)).write_bytes(b"rust")
    with pytest.raises(UserError, match=f"mesh of candidate .* damaged in the store .blob {sha256[:12]}"):
        release(world, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert not Release.objects.exists()


def test_a_release_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken(done: int, total: int) -> None:
        raise RuntimeError(done)

    made = services.begin(kind="dpo", batches=[loop().batch])
    with pytest.raises(RuntimeError, match="6"):
        releasing.release_to(made, str(tmp_path / "out"), broken)
    assert list(tmp_path.iterdir()) == []
    assert not Release.objects.exists() and not Release.pairs.through.objects.exists()


def test_an_object_without_a_mask_is_named(tmp_path: Path) -> None:
    world = loop()
    target = TargetObject.objects.order_by("id")[1]
    TargetObject.objects.filter(pk=target.pk).update(mask=None)
    with pytest.raises(UserError, match=f"object {target.pk} has no mask"):
        release(world, tmp_path / "out")


def chain(tmp_path: Path) -> tuple[World, list[Release]]:
    """Three releases, each of which builds on the one before: the second adds an object, the third loses a photo."""
    world = loop(objects=2)
    made = [release(world, tmp_path / "0", "dpo")]
    world.bracket(world.target(), PLAIN, winner=0)
    made.append(release(world, tmp_path / "1", "dpo", base=made[0]))
    Image.objects.filter(pk=Image.objects.order_by("id")[1].pk).update(removed_at=timezone.now())
    made.append(release(world, tmp_path / "2", "dpo", base=made[1]))
    return world, made


def test_a_chain_of_releases_holds_what_one_release_holds(tmp_path: Path) -> None:
    world, made = chain(tmp_path)
    removed = pq.read_table(tmp_path / "2" / "index" / "removed.parquet").to_pylist()
    assert {row["reason"] for row in removed} == {"image removed"}
    manifests = [json.loads((tmp_path / str(n) / "manifest.json").read_text()) for n in range(3)]
    assert "lineage" not in manifests[0]
    for n, (added, gone) in enumerate([(2, 0), (0, 2)], 1):
        base = {"id": manifests[n - 1]["id"], "hash": manifests[n - 1]["hash"], "uid": str(made[n - 1].uid)}
        assert manifests[n]["lineage"] == {"base": base, "added": added, "removed": gone}
    kept = {row["id"] for n in range(3) for row in rows(tmp_path / str(n))} - {row["id"] for row in removed}
    release(world, tmp_path / "full", "dpo")
    assert kept == {row["id"] for row in rows(tmp_path / "full")} and len(kept) == 4
    read = DataSet(tmp_path / "2", base=[tmp_path / "0", tmp_path / "1"])
    assert contents(read) == contents(DataSet(tmp_path / "full")) and len(read) == 4
    with pytest.raises(UserError, match="nothing came or went since"):
        release(world, tmp_path / "none", "dpo", base=made[2])


def contents(data: DataSet) -> dict[str, list[bytes]]:
    return {
        s.id: [s[name] for name in ("image", "mask", "pointmap", "chosen", "rejected")]
        for s in map(data.sample, range(len(data)))
    }


def test_a_part_of_a_chain_verifies_alone_and_with_the_others(tmp_path: Path, capsys: Any) -> None:
    _world, made = chain(tmp_path)
    for n in range(3):
        assert check(tmp_path / str(n)).problems == []
    assert check(tmp_path / "2", bases=[tmp_path / "0", tmp_path / "1"]).chain == 2
    assert "is not at hand" in check(tmp_path / "2", bases=[tmp_path / "1"]).problems[0]
    call_command("verify_release", str(made[2].pk))
    call_command("verify_release", str(tmp_path / "1"), "--base", str(tmp_path / "0"))
    out = capsys.readouterr().out
    assert "chain of 3 releases holds every row once" in out and "chain of 2 releases" in out


def test_a_row_that_two_releases_of_a_chain_hold_is_found(tmp_path: Path) -> None:
    chain(tmp_path)
    for name in ("index/part-00000.parquet", "shards/shard-000000.tar"):
        shutil.copy(tmp_path / "0" / name, tmp_path / "1" / name)
    manifest = json.loads((tmp_path / "1" / "manifest.json").read_text())
    lineage = {**manifest["lineage"], "added": 4}
    reseal(tmp_path / "1", lineage=lineage, counts={**manifest["counts"], "rows": 4})
    assert check(tmp_path / "1").problems == []
    problems = check(tmp_path / "1", bases=[tmp_path / "0"]).problems
    assert len(problems) == 4 and "is in a release that this one builds on too" in problems[0]


def test_a_release_that_a_worker_cannot_write_says_so(tmp_path: Path) -> None:
    made = services.begin(kind="sft", batches=[World().batch])
    with pytest.raises(UserError, match="nothing to release: street has no samples"):
        releasing.release_job(job_here(made))
    made.refresh_from_db()
    assert made.state == "failed" and not made.samples.exists()


def test_the_store_gives_back_a_release_written_by_a_worker(tmp_path: Path) -> None:
    world = loop()
    written = release(world, tmp_path / "out")
    made = services.begin(kind="sft", batches=[world.batch])
    job = job_here(made)
    assert releasing.release_job(job) == releasing.release_job(job)
    made.refresh_from_db()
    assert made.state == "frozen" and made.sha256 == written.sha256
    assert check(materialise(made, tmp_path / "fetched")).problems == []


@pytest.mark.parametrize("library", ["datasets", "webdataset"])
def test_three_lines_load_it(tmp_path: Path, library: str) -> None:
    release(loop(), tmp_path / "out", "dpo")
    lines = services.loading_lines(str(tmp_path / "out"))[library]
    assert len(lines.splitlines()) == 3
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin"}
    said = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, env=offline, timeout=120
    )
    assert said.returncode == 0, said.stderr
    assert ("pair_id" if library == "datasets" else "image.jpg") in said.stdout


def test_photos_that_turn_out_to_be_near_duplicates_are_on_one_side_of_the_whole_chain(
    tmp_path: Path,
) -> None:
    world, sides = World(), {}
    while len(sides) < 2:
        target = world.target()
        world.bracket(target, PLAIN, winner=0)
        sides[clusters.side_of(target.image.blob_id)] = target
    for signature, target in ((0, sides["validation"]), ((1 << 10) - 1, sides["train"])):
        clusters.settle([clusters.Seen(target.image.pk, signature, {})], [], distance=7, fresh=True)
    base = release(world, tmp_path / "base")
    bridge = world.target()
    world.bracket(bridge, PLAIN, winner=0)
    clusters.settle([clusters.Seen(bridge.image.pk, (1 << 5) - 1, {})], [], distance=7, fresh=True)
    release(world, tmp_path / "more", base=base)
    assert check(tmp_path / "more", bases=[tmp_path / "base"]).problems == []
    data = DataSet(tmp_path / "more", base=[tmp_path / "base"])
    found = {int(row["object_key"][1:]): row["split"] for row in map(data.row, range(len(data)))}
    near = [found[target.row.pk] for target in (*sides.values(), bridge)]
    assert near == ["train"] * 3 and len(data) == world.batch.tasks.count()


@pytest.mark.parametrize(("command", "said"), [
    (["release", "sft", "--batch", "nowhere", "--out", "x"], "no batch named nowhere"),
    (["release", "sft", "--batch", "street", "--out", "s3://bucket"], "names no bucket and prefix"),
    (["release", "sft", "--batch", "street", "--out", "x", "--min-rating", "2"], "from 0 to 1"),
    (["verify_release", "12345"], "no frozen release '12345'"),
    (["verify_release", "."], "is no release"),
])  # fmt: skip
def test_bad_input_is_one_line(command: list[str], said: str) -> None:
    World()
    with pytest.raises(CommandError, match=said):
        call_command(*command)


def test_the_commands_write_and_verify(tmp_path: Path, capsys: Any) -> None:
    loop()
    call_command("release", "dpo", "--batch", "street", "--out", str(tmp_path / "out"))
    made = Release.objects.get()
    for reference in (str(tmp_path / "out"), str(made.pk), str(made.uid), made.sha256[:12]):
        call_command("verify_release", reference)
    out = capsys.readouterr().out
    assert f"sha256 {made.sha256}" in out and out.count("is whole: 5 files, 30 members, 6 rows") == 4
