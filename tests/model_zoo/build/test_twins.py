"""Near twins: groups of signatures and photo hashes, found without comparing all pairs, on real photos."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.sparse.csgraph import connected_components

from model_zoo.build.twins import PHOTO_DISTANCE, clusters, photo_clusters, photo_signature


def ordered(labels: np.ndarray) -> np.ndarray:
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group]


def recompressed(photo: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


@pytest.fixture(scope="module")
def photos(test_data) -> list[tuple[str, Image.Image]]:
    files = [*(test_data / "dev/images").glob("*.jpg"), *(test_data / "dev/rgbd").glob("*/color.*")]
    return [(str(path), Image.open(path).convert("RGB")) for path in sorted(files)]


def test_the_same_photo_resized_recompressed_or_brightened_is_a_twin_and_no_other(photos) -> None:
    copies = []
    for _, photo in photos:
        half = photo.resize((photo.width // 2, photo.height // 2))
        bright = Image.fromarray((np.asarray(photo) * 1.15).clip(0, 255).astype(np.uint8))
        copies += [photo, recompressed(photo, 20), half, bright]
    hashes = np.array([photo_signature(np.asarray(copy)) for copy in copies])
    groups = photo_clusters(hashes, PHOTO_DISTANCE).reshape(-1, 4)
    assert (groups == np.arange(len(photos))[:, None]).all()


def test_frames_a_second_apart_of_one_video_are_not_twins(photos) -> None:
    frames = {name: photo_signature(np.asarray(photo)) for name, photo in photos if "davis" in name}
    pairs = [(a, b) for a in frames for b in frames if a < b and a[:-9] == b[:-9]]
    assert len(pairs) >= 6
    assert min(int(np.bitwise_count(frames[a] ^ frames[b])) for a, b in pairs) > 2 * PHOTO_DISTANCE


@pytest.mark.parametrize("distance", [0, 3, 6, 9, 11])
def test_photo_groups_are_those_of_all_pairs(distance: int) -> None:
    draw = np.random.default_rng(distance)
    hashes = draw.integers(0, 2**64, 1200, dtype=np.uint64)
    for i in range(400):  # chains of hashes a few bits apart
        for bit in draw.choice(64, draw.integers(0, 13), replace=False):
            hashes[400 + i] = hashes[i] ^ (np.uint64(1) << np.uint64(bit))
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]) <= distance
    assert (photo_clusters(hashes, distance) == ordered(connected_components(near)[1])).all()


def test_a_distance_that_bands_cannot_find_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 11"):
        photo_clusters(np.zeros(2, np.uint64), 12)


def test_signature_groups_are_those_of_all_pairs() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(700, 6)).astype(np.float32)
    rows[300:400] = rows[:100] + draw.normal(scale=0.02, size=(100, 6)).astype(np.float32)
    rows[400:500] = rows[0]
    near = np.linalg.norm(rows[:, None] - rows[None], axis=2) <= 0.1
    assert (clusters(rows, 0.1) == ordered(connected_components(near)[1])).all()


def test_nothing_has_no_groups() -> None:
    assert (
        len(clusters(np.zeros((0, 4), np.float32), 1.0)) == len(photo_clusters(np.zeros(0, np.uint64))) == 0
    )


def test_photos_are_compared_without_a_mesh_library_and_meshes_built_without_torch() -> None:
    code = """
import sys
import model_zoo.build.twins
assert "trimesh" not in sys.modules
import model_zoo.build.iso3do, model_zoo.build.shapes
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
