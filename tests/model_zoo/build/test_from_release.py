"""RP-3DO of a release whose photos have several objects each: nothing is mixed up, lost or made twice."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from model_zoo.build.kinds import PhotoItem, Settings, Work
from model_zoo.build.place import Folder
from model_zoo.build.plan import make_plan, read_work
from model_zoo.build.run import Opener, rows_name, run_shard
from model_zoo.build.sources import Stock, open_stock
from tests.model_zoo.releases import sft_release

OBJECTS, PHOTOS = 5, 3


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Five objects in three photos."""
    return open_stock(str(sft_release(tmp_path_factory.mktemp("release") / "sft", OBJECTS)))


def photos_of(stock: Stock, *, apart: bool = False) -> list[PhotoItem]:
    """What the stock has."""
    return [item for item in stock.photos(apart=apart) if isinstance(item, PhotoItem)]


def rows_of(variant: str, stock: Stock, out: Path) -> list[dict[str, Any]]:
    """The rows of a build of which all is planned into one shard."""
    settings, place = Settings(variant, "sft", size=96, renderer="embree"), Folder(out)
    summary = make_plan(settings, stock, stock, place)
    works = [read_work(place, number) for number in range(summary.shards)]
    photos = tuple(photo for work in works for photo in work.photos)
    run_shard(settings, Work(0, works[0].meshes, photos), place, Opener(stock, stock))
    rows: list[dict[str, Any]] = pq.read_table(out / rows_name(0)).to_pylist()
    return rows


def test_every_accepted_object_is_a_sample_with_its_own_mesh(stock: Stock, tmp_path: Path) -> None:
    rows = rows_of("rp3do-osa", stock, tmp_path)
    assert len({row["id"] for row in rows}) == len(rows) == OBJECTS
    assert len({row["photo_sha256"] for row in rows}) == PHOTOS
    for row in rows:
        name = json.loads(row["provenance"])["photo"]
        mesh = stock.files.read(f"c{name[1:]}.glb")
        assert row["instance"] == name and row["r"] == 0.75
        assert row["mesh_sha256"] == hashlib.sha256(mesh).hexdigest()


@pytest.mark.parametrize("variant", ["rp3do-osr", "rp3do-fo"])
def test_a_photo_is_built_once_with_all_its_objects(variant: str, stock: Stock, tmp_path: Path) -> None:
    rows = rows_of(variant, stock, tmp_path)
    assert rows and len({row["id"] for row in rows}) == len(rows)
    seen = {(row["photo_sha256"], row["instance"]) for row in rows}
    assert len(seen) > len({sha256 for sha256, _ in seen})
    assert {row["r"] for row in rows} == {None}, "nobody rated what was pasted"
    assert {(row["mesh_licence"], row["mesh_attribution"]) for row in rows} == {("CC0-1.0", "somebody")}


def test_a_photo_is_planned_once_or_once_for_each_object(stock: Stock) -> None:
    apart = [photo.name for photo in photos_of(stock, apart=True)]
    together = photos_of(stock)
    assert apart == [f"o{i}" for i in range(OBJECTS)]
    assert len({photo.sha256 for photo in together}) == len(together) == PHOTOS
    assert sorted(name for photo in together for name in photo.files["masks"]) == apart
    for photo in together:
        assert set(stock.scene(photo).masks) == set(photo.files["masks"])
