"""A data set opens with what everybody has: Croissant readers, datasets, webdataset, tarfile."""

import itertools
import json
import tarfile
from pathlib import Path

import mlcroissant
import pyarrow.parquet as pq
import pytest
import webdataset
from datasets import load_dataset

from model_zoo.io import croissant
from tests.model_zoo.built import plain_set
from tests.model_zoo.releases import dpo_release


@pytest.fixture(scope="module", params=["built", "release"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(request.param) / "set"
    return plain_set(place, 12, part_rows=5) if request.param == "built" else dpo_release(place, 2)


def described(folder: Path) -> Path:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.setdefault("files", [])
    jsonld = croissant.describe(
        manifest, pq.read_schema(folder / "index/part-00000.parquet"), name="Small set", description="For a test.",
        licence="https://spdx.org/licenses/CC0-1.0.html", published="2026-01-01",
    )  # fmt: skip
    (folder / "croissant.json").write_text(croissant.text(jsonld))
    return folder / "croissant.json"


def test_the_croissant_validator_has_nothing_to_say_and_walks_every_row(folder: Path) -> None:
    found = mlcroissant.Dataset(jsonld=described(folder))
    assert not found.metadata.ctx.issues.errors and not found.metadata.ctx.issues.warnings
    rows = list(found.records("rows"))
    wanted = [row for part in sorted((folder / "index").iterdir()) for row in pq.read_table(part).to_pylist()]
    assert len(rows) == len(wanted)
    key = "id" if "id" in wanted[0] else "pair_id"
    assert key == "id" or {"rows/prompt", "rows/chosen", "rows/rejected"} <= rows[0].keys()
    plain = [row[f"rows/{key}"] for row in rows]
    assert [p.decode() if isinstance(p, bytes) else p for p in plain] == [row[key] for row in wanted]


def test_the_same_facts_give_the_same_text(folder: Path) -> None:
    assert described(folder).read_bytes() == described(folder).read_bytes()


def test_it_opens_with_datasets(folder: Path, tmp_path: Path) -> None:
    rows = load_dataset(
        "parquet", data_files=f"{folder}/index/part-*.parquet", split="train", cache_dir=str(tmp_path)
    )
    parts = sorted((folder / "index").iterdir())
    assert len(rows) == sum(pq.read_metadata(part).num_rows for part in parts)


def test_it_opens_with_webdataset_and_tarfile(folder: Path) -> None:
    shards = sorted(str(path) for path in (folder / "shards").iterdir())
    members = 0
    for name in shards:
        with tarfile.open(name) as shard:
            members += len(shard.getmembers())
    found = list(itertools.chain(webdataset.WebDataset(shards, shardshuffle=False)))
    assert sum(len([n for n in sample if not n.startswith("__")]) for sample in found) == members > 0
