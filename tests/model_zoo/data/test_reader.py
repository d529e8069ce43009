"""The reader: rows by filter, samples by number, both layouts, chains of releases, and bytes that are not what they should be."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from model_zoo.data.reader import DataSet, Problem
from model_zoo.io.errors import BadInput
from tests.model_zoo.built import plain_set, rendered_set
from tests.model_zoo.releases import dpo_release, sft_release, targets


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_set(tmp_path_factory.mktemp("plain") / "set", 60, part_rows=25)


def number(sample) -> int:
    return int.from_bytes(sample["data"][:4], "little")


def test_every_row_has_its_own_bytes_and_its_shape(plain: Path) -> None:
    data = DataSet(plain)
    assert len(data) == 60 and data.kind == "iso3do" and len(data.shards) > 2
    for row in range(60):
        sample = data.sample(row)
        assert number(sample) == row == sample.facts()["n"] and sample.id == f"k{row:05d}"
        assert json.loads(sample.shape["json"]) == {"shape": row // 4}
    assert [number(s) for s in data.load([5, 59, 6, 7])] == [5, 59, 6, 7]
    assert number(DataSet(plain).load([3], shapes=True)[0]) == 3


def test_a_filter_and_columns_hold_only_what_is_asked(plain: Path) -> None:
    data = DataSet(plain, where="r >= 0.8 and split == 'train'", columns=["r"])
    assert data.facts.column_names == ["id", "r"] and len(data) == 11
    assert [number(data.sample(n)) for n in range(3)] == [48, 49, 51]
    expression = pa.compute.field("triangles") == 17
    assert number(DataSet(plain, where=expression).sample(0)) == 17


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"where": "quality > 1"}, 'no column "quality"'),
        ({"where": "r == 'high'"}, "of another kind"),
        ({"where": "r >"}, "no comparison"),
        ({"where": "split == '\ud800'"}, "no comparison"),
        ({"where": "triangles < 99999999999999999999"}, "too large"),
        ({"columns": ["colour"]}, 'no column "colour"'),
    ],
)
def test_what_the_index_cannot_do_is_one_line(plain: Path, options: dict, said: str) -> None:
    with pytest.raises(BadInput) as stop:
        DataSet(plain, **options)
    assert said in stop.value.message and "\n" not in stop.value.message


@pytest.mark.parametrize(
    "where",
    ["r in ('mug',)", "category in (1, 2)", "category in ('a', 1)", "r", "category", "not r", "triangles in (true,)",
     pc.field("r"), pc.field("r") == "a"],
)  # fmt: skip
def test_a_filter_of_another_kind_is_not_a_broken_index(plain: Path, where: str | pc.Expression) -> None:
    with pytest.raises(BadInput, match="of another kind, or takes one for true or false") as stop:
        DataSet(plain, where=where)
    assert stop.value.code == "bad_filter"


def test_places_that_are_no_data_set_are_one_line(tmp_path: Path, plain: Path) -> None:
    with pytest.raises(BadInput, match="is not a release or data set"):
        DataSet(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(BadInput, match="holds no object"):
        DataSet(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match="no index"):
        DataSet(tmp_path)
    (tmp_path / "index").mkdir()
    (tmp_path / "index/part-00000.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(BadInput, match="cannot be read"):
        DataSet(tmp_path)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "index/part-00000.parquet")
    with pytest.raises(BadInput, match="names no bytes"):
        DataSet(tmp_path)


def broken(plain: Path, folder: Path, change) -> Path:
    shutil.copytree(plain, folder)
    change(sorted((folder / "shards").iterdir())[1])
    return folder


def flipped(at: int):
    def change(shard: Path) -> None:
        data = bytearray(shard.read_bytes())
        data[at] ^= 1
        shard.write_bytes(bytes(data))

    return change


@pytest.mark.parametrize(
    ("change", "code", "hit"),
    [
        (lambda shard: shard.unlink(), "missing_file", lambda start, end: True),
        (lambda s: s.write_bytes(s.read_bytes()[:20_000]), "short_shard", lambda start, end: end > 20_000),
        (flipped(9_500), "hash_mismatch", lambda start, end: start <= 9_500 < end),
    ],
)
def test_what_is_broken_is_named_and_the_rest_is_read(plain, tmp_path, change, code, hit) -> None:
    data = DataSet(broken(plain, tmp_path / "set", change))
    spans = [data.spans["sample"].at(row) for row in range(60)]
    expected = [r for r, s in enumerate(spans) if s.shard == 1 and hit(s.offset, s.offset + s.length)]
    found = data.load(range(60))
    wrong = {row: f for row, f in enumerate(found) if isinstance(f, Problem)}
    assert expected and list(wrong) == expected and {f.code for f in wrong.values()} == {code}
    assert {f.shard for f in wrong.values()} == {"iso3do-000001.tar"}
    assert all(f.id == f"k{row:05d}" and f.reason for row, f in wrong.items())
    with pytest.raises(BadInput, match="iso3do-000001.tar"):
        data.sample(expected[0])


def test_without_the_check_a_flipped_header_is_still_found(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path / "set")
    data = DataSet(tmp_path / "set", check=False)
    assert data.spans["sample"].sha256 is None
    first = data.spans["sample"].at(4)
    for at, code in ((0, "wrong_member"), (130, "broken_sample"), (258, "broken_sample")):
        shutil.copytree(plain, tmp_path / "set", dirs_exist_ok=True)
        flipped(first.offset + at)(tmp_path / "set/shards" / data.shards[first.shard][1])
        with pytest.raises(BadInput) as stop:
            DataSet(tmp_path / "set", check=False).sample(4)
        assert stop.value.code == code


def test_a_shape_is_checked_too(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path / "set")
    data = DataSet(tmp_path / "set")
    span = data.spans["shape"].at(8)
    flipped(span.offset + 600)(tmp_path / "set/shards" / data.shards[span.shard][1])
    with pytest.raises(BadInput, match="do not match"):
        _ = data.sample(8).shape
    assert isinstance(DataSet(tmp_path / "set").load([8], shapes=True)[0], Problem)


def test_a_built_sample_decodes_to_what_went_in(tmp_path: Path) -> None:
    (target, _), sample = targets(1)[0], DataSet(rendered_set(tmp_path / "set", count=1)).sample(0)
    assert np.array_equal(sample.mask(), target.mask) and sample.rgb().shape == target.rgb.shape
    there = np.isfinite(target.pointmap).all(2)
    assert np.allclose(sample.points()[there], target.pointmap[there], rtol=1e-3, atol=1e-3)
    assert np.array_equal(np.isfinite(sample.points()).all(2), there)
    assert sample.occupancy().shape == (64, 64, 64) and sample.mesh().extents.max() == pytest.approx(
        1, abs=1e-3
    )
    pose, mesh = sample.pose(), sample.mesh()
    placed = mesh.vertices * pose.s @ pose.R.T + pose.t
    inside = target.pointmap[target.mask]
    low, high = placed.min(0) - 0.05, placed.max(0) + 0.05
    assert ((inside > low) & (inside < high)).all(1).mean() > 0.98
    with pytest.raises(BadInput, match="has no whole"):
        sample.mask("whole")


def test_a_release_is_read_member_by_member(tmp_path: Path) -> None:
    data = DataSet(sft_release(tmp_path / "sft", 2))
    target, _ = targets(2)[1]
    sample = data.sample(1)
    assert data.kind == "sft" and list(sample.members) == ["image", "mask", "pointmap"]
    assert np.array_equal(sample.mask(), target.mask) and np.allclose(sample.pose().R, target.pose.R)
    assert np.allclose(sample.points(), target.pointmap, equal_nan=True) and len(sample.mesh().faces) > 10
    pair = DataSet(dpo_release(tmp_path / "dpo", 1)).sample(0)
    assert len(pair.mesh("chosen").faces) != len(pair.mesh("rejected").faces)
    assert "chosen_shard" not in pair.row and pair.row["split"] == "train"


def test_a_missing_kind_is_told(plain: Path) -> None:
    with pytest.raises(BadInput, match="kind 'iso3do', this reads 'sft' or 'dpo'"):
        DataSet(plain).require("sft", "dpo")


def test_the_kept_index_gives_the_same_rows_and_survives_pickling(plain: Path, tmp_path: Path) -> None:
    first = DataSet(plain, where="r > 0.5", cache=tmp_path)
    again = pickle.loads(pickle.dumps(DataSet(plain, where="r > 0.5", cache=tmp_path)))
    assert len(list(tmp_path.glob("index-*.arrow"))) == 1 and not list(tmp_path.glob("*.part"))
    assert again.facts.equals(first.facts) and number(again.sample(0)) == number(first.sample(0)) == 31
    assert len(DataSet(plain, where="r > 0.6", cache=tmp_path)) == 23


def listed(left_out: int) -> pc.Expression:
    """Thirty ids of sixty but one from the middle, which Arrow does not show as text."""
    return pc.field("id").isin([f"k{n:05d}" for n in range(30) if n != left_out])


def test_expressions_that_differ_have_indexes_of_their_own(plain: Path, tmp_path: Path) -> None:
    first, second = (DataSet(plain, where=listed(n), cache=tmp_path) for n in (14, 15))
    assert "k00014" in second.column("id") and "k00014" not in first.column("id")
    assert first.identity != second.identity
    again = DataSet(plain, where=pickle.loads(pickle.dumps(listed(14))))
    assert again.identity == first.identity


def chained(folder: Path) -> list[Path]:
    """Three plain sets as a chain: each removes two rows of those before it."""
    places = []
    for number, count in enumerate((8, 4, 2)):
        place = plain_set(folder / f"r{number}", count)
        path = place / "index/part-00000.parquet"
        rows = pq.read_table(path).to_pylist()
        table = pa.Table.from_pylist([{**row, "release": number} for row in rows])
        pq.write_table(table, path)
        manifest = json.loads((place / "manifest.json").read_text()) | {
            "hash": f"{number}" * 64,
            "id": f"set-{number}",
        }
        if number:
            manifest["lineage"] = {
                "base": {"id": f"set-{number - 1}", "hash": f"{number - 1}" * 64},
                "removed": 2,
            }
            gone = [f"k{n:05d}" for n in ((0, 1, 2, 3) if number == 1 else (0, 7))]
            pq.write_table(
                pa.table({"id": gone, "reason": ["x"] * len(gone)}), place / "index/removed.parquet"
            )
        (place / "manifest.json").write_text(json.dumps(manifest))
        places.append(place)
    return places


def test_a_chain_of_releases_is_the_union_without_what_was_removed(tmp_path: Path) -> None:
    first, second, third = chained(tmp_path)
    data = DataSet(third, base=[second, first], columns=["release"])
    rows = [(data.row(n)["release"], number(data.sample(n))) for n in range(len(data))]
    assert rows == [(0, 4), (0, 5), (0, 6), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1)]
    assert len(DataSet(third)) == 2
    assert len(DataSet(third, base=[first, second], where="triangles >= 2")) == 5
    with pytest.raises(BadInput, match="r2 builds on set-1; given is r0"):
        DataSet(third, base=[first])
    with pytest.raises(BadInput, match="builds on no other release"):
        DataSet(first, base=[second])


def test_a_long_chain_is_read_to_its_end(plain: Path, tmp_path: Path) -> None:
    """130 releases of a row each; their indexes are those of one set, and so are the bytes."""
    row = pq.read_table(plain / "index/part-00000.parquet").slice(0, 1)
    places = []
    for number in range(130):
        place = tmp_path / str(number)
        (place / "index").mkdir(parents=True)
        (place / "shards").symlink_to(plain / "shards")
        pq.write_table(row, place / "index/part-00000.parquet")
        below = {"lineage": {"base": {"hash": str(number - 1)}}} if number else {}
        (place / "manifest.json").write_text(json.dumps({"hash": str(number), **below}))
        places.append(place)
    for _ in range(2):  # made, and mapped from the cache
        data = DataSet(places[-1], base=places[:-1], cache=tmp_path / "cache")
        assert [place for place, _ in data.shards] == list(range(130))
        assert data.spans["sample"].shards.tolist() == list(range(130)) and data.sample(129).facts() == {
            "n": 0
        }
