"""Flying Occlusions on one core: samples a second at 512 px, all in, on every photo and mesh of the test data.

Meshes are opened before; a first draw's preparation of each mesh and the reading of each photo count. Processor time.
Goal: 8 samples a second. Never fails on time. Run as: python -m tests.bench.bench_data_fo [SAMPLES]
"""

import hashlib
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("LP_NUM_THREADS", "0")

import numpy as np  # noqa: E402

from model_zoo.build import flying  # noqa: E402
from model_zoo.build.kinds import Made, MeshItem, PhotoItem, Room, Settings, Shape, Work, side_of  # noqa: E402
from model_zoo.build.shapes import canonical  # noqa: E402
from model_zoo.io.meshes import load_mesh  # noqa: E402
from model_zoo.io.scenes import Scene, scan  # noqa: E402
from model_zoo.raster import Raster  # noqa: E402

GOAL = 8.0
DATA = (
    Path(os.environ.get("MAQUETTE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared/data") / "dev"
)
PUBLISHED = (
    ("SAM 3D, FO", "55.1 M samples of 11.17 M images; no time given (paper B.2.1)"),
    ("estimate for a rasteriser on a CPU", "0.3 s a sample and core (spec/training.md 2d)"),
    ("BlenderProc", "1.2 s an image after tuning, its authors say"),
)


def opened(path: Path) -> tuple[MeshItem, Shape]:
    """A mesh of the test data in the canonical frame; its occupancy and signature are of no use here."""
    data = path.read_bytes()
    item = MeshItem(path.stem, hashlib.sha256(data).hexdigest())
    mesh, centre, side = canonical(load_mesh(data, name=path.name).mesh)
    return item, Shape(item, mesh, centre, side, np.zeros((64,) * 3, bool), {}, np.zeros(8, np.float32))


def main() -> None:
    """Prints the figures."""
    if not DATA.is_dir():
        print(f"no test data in {DATA}: set MAQUETTE_TEST_DATA")
        return
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    shapes = dict(opened(path) for path in sorted((DATA / "meshes").glob("*.glb")))
    found = [
        scene for folder in ("images", "rgbd") for scene in scan(DATA / folder) if isinstance(scene, Scene)
    ]
    scenes = {hashlib.sha256(scene.image_bytes).hexdigest(): scene for scene in found}
    photos = [PhotoItem(scene.name, key) for key, scene in scenes.items() if side_of(key) == "train"]
    room = Room(Settings(flying.VARIANT, "bench"), shapes.__getitem__, lambda photo: scenes[photo.sha256])
    begun, made, codes = time.process_time(), 0, Counter[str]()
    rounds = -(-wanted // (flying.PER_PHOTO * len(photos)))
    for number in range(rounds):
        room.settings = Settings(flying.VARIANT, "bench", seed=number)
        for one in flying.build(Work(number, tuple(shapes), tuple(photos), wanted - made), room):
            made += isinstance(one, Made)
            if not isinstance(one, Made):
                codes[one.code] += 1
    taken = time.process_time() - begun
    print(
        f"drawn with {Raster().backend}: {len(photos)} photos, {len(shapes)} meshes of which those of the same side"
    )
    print(
        f"  {made / taken:.1f} samples a second and core   goal {GOAL:.0f}   ({made} samples, {taken:.1f} s)"
    )
    print(f"  refused: {dict(codes) or 'none'}")
    print("published by others, not measured here:")
    for name, figure in PUBLISHED:
        print(f"  {name:38} {figure}")


if __name__ == "__main__":
    main()
