"""The last step: splits in which nothing that is seen in validation has a near twin in training; the sheet of pictures."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from model_zoo.build import encode
from model_zoo.build.finish import Sides, report_text, sheet
from model_zoo.build.kinds import side_of
from model_zoo.build.place import Folder
from model_zoo.build.plan import Summary
from model_zoo.build.run import SIGNATURES, schema_of
from model_zoo.io.shards import ShardWriter, span_of

VALIDATION, TRAIN = "00000000", "00000001"  # how hashes of the two sides begin
SHAPES = {name: np.eye(3, dtype=np.float32)[i] * 100 for i, name in enumerate(("cow", "bowl", "avocado"))}


def mesh(name: str, side: str) -> tuple[str, list[float]]:
    """Hash and signature of a file on a side; files of one name are near twins."""
    return side + name.ljust(56, "0"), SHAPES[name].tolist()


def table(*rows: tuple[str, tuple[str, list[float]], tuple[str, list[float]] | None]) -> pa.Table:
    """Rows (side of the photo, target, other) of Flying Occlusions."""
    found = []
    for photo, (key, signature), other in rows:
        row = {"photo_sha256": photo + "p" * 56, "photo_signature": 0 if photo == TRAIN else 2**64 - 1}
        row |= {"mesh_sha256": key, "shape_signature": signature}
        found.append(row | dict(zip(("other_sha256", "other_signature"), other or (None, None), strict=True)))
    return pa.Table.from_pylist(found, schema=schema_of("rp3do-fo", SIGNATURES))


def test_the_hashes_are_of_their_sides() -> None:
    assert [side_of(VALIDATION), side_of(TRAIN)] == ["validation", "train"]


def test_the_other_mesh_of_a_sample_is_on_its_side_too() -> None:
    bowl, cow, avocado = mesh("bowl", VALIDATION), mesh("cow", VALIDATION), mesh("avocado", VALIDATION)
    rows = table(
        (VALIDATION, bowl, cow),
        (VALIDATION, bowl, avocado),
        (TRAIN, mesh("cow", TRAIN), mesh("cow", TRAIN)),
        (VALIDATION, cow, bowl),
        (TRAIN, mesh("cow", TRAIN), bowl),
        (TRAIN, bowl, avocado),
        (VALIDATION, avocado, None),
    )
    splits = ["none", "validation", "train", "none", "none", "none", "validation"]
    assert Sides([rows]).splits(rows) == splits


def test_a_twin_that_training_sees_beside_its_target_counts() -> None:
    rows = table(
        (TRAIN, mesh("bowl", TRAIN), mesh("cow", TRAIN)), (VALIDATION, mesh("cow", VALIDATION), None)
    )
    assert Sides([rows]).splits(rows) == ["train", "none"]


def test_rows_without_photos_or_others_have_the_side_of_their_mesh() -> None:
    pairs = [mesh("cow", TRAIN), mesh("bowl", VALIDATION)]
    found = [{"mesh_sha256": key, "shape_signature": signature} for key, signature in pairs]
    rows = pa.Table.from_pylist(found, schema=schema_of("iso3do", SIGNATURES))
    assert Sides([rows]).splits(rows) == ["train", "validation"]


@pytest.mark.parametrize("variant, told", [("iso3do", True), ("rp3do-fo", False), ("rp3do-osr", False)])
def test_the_report_tells_the_views_of_a_mesh_where_there_are_any(variant: str, told: bool) -> None:
    summary = Summary(variant, {"seed": 0, "size": 64, "views": 24}, 1, {}, [], "")
    text = report_text(summary, Counter(rows=1), Counter(), {})
    assert ("views 24" in text) == told and "size 64" in text


def test_the_sheet_shows_samples_below_the_limits_of_uploads_and_leaves_out_what_is_broken(
    tmp_path: Path,
) -> None:
    strip = encode.jpeg(np.full((14, 96, 3), 200, np.uint8))
    few, many = np.zeros((2, 14, 96), bool)
    few[5, 5:16], many[3:9, 20:40] = True, True
    scattered = np.indices((14, 96)).sum(0) % 2 == 0  # no coherent object
    samples = {
        "few": (strip, encode.mask_png(few)),
        "scattered": (strip, encode.mask_png(scattered)),
        "torn": (strip[:200], encode.mask_png(many)),
        "none": (strip, b"not a picture"),
    }
    rows = []
    with ShardWriter(tmp_path / "shards") as writer:
        for key, (image, mask) in samples.items():
            written = writer.write(key, {"image.jpg": image, "mask.png": mask})
            offset, length = span_of(written)
            rows.append({"id": key, "shard": writer.name, "offset": offset, "length": length})
    picture = Image.open(sheet(Folder(tmp_path), rows, tmp_path / "sheet.jpg"))
    shown = np.asarray(picture)[2:-2, 2:].astype(int)
    red = (shown[..., 0] - shown[..., 1] > 60).any(0)
    assert picture.height == 14 + 4
    assert red[:194].any() and red[194:388].any() and not red[388:].any()
