"""Object Swap: samples of OS-R and OS-A a second on one core, all in, from the test data's RGB-D scenes and meshes.

Limit: 2 OS-R samples a second at 512 px with the built-in inpainter. A contact sheet of 100 random samples of each
variant is written where the second argument says. Run as: python -m tests.bench.bench_data_swap [SAMPLES [FOLDER]]
"""

import hashlib
import io
import os
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from model_zoo.build import swap
from model_zoo.build.kinds import (
    Builder,
    Made,
    MeshItem,
    PhotoItem,
    Refused,
    Room,
    Settings,
    Shape,
    Work,
    side_of,
)
from model_zoo.build.shapes import open_shape
from model_zoo.build.sheet import contact_sheet
from model_zoo.io.errors import BadInput
from model_zoo.io.scenes import Scene, scan

SAMPLES, SIZE, LEAST = 100, 512, 2.0
DATA = Path(os.environ.get("MAQUETTE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
PUBLISHED = """
Published figures of others (not measured here; they render whole scenes or objects and do not swap):
| | seconds a picture |
|---|---|
| BlenderProc, its authors after a month of tuning | 1.2 |
| BlenderProc, users before tuning | about 60 |
| TRELLIS toolkit, Cycles at 512 px, 128 samples, on an A800 | 0.6 |
| objaverse-rendering, Blender on a GPU | 2.8 |
| SAM 3D, OS-R | not published |"""


class Store:
    """Meshes and scenes of the test data, opened beforehand: the clock runs for the samples alone."""

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        for path in sorted((DATA / "dev/meshes").glob("*.glb")):
            data = path.read_bytes()
            item = MeshItem(path.stem, hashlib.sha256(data).hexdigest())
            try:
                self.shapes[item.sha256] = open_shape(data, item)
            except BadInput as error:
                print(f"{path.name} is left out: {error.message}")
        found = [s for s in scan(DATA / "dev/rgbd") if isinstance(s, Scene) and s.masks]
        self.scenes = {hashlib.sha256(scene.image_bytes).hexdigest(): scene for scene in found}

    def work(self, samples: int) -> Work:
        """Everything there is."""
        photos = tuple(PhotoItem(scene.name, sha256) for sha256, scene in self.scenes.items())
        return Work(0, tuple(shape.item for shape in self.shapes.values()), photos, samples)

    def room(self, variant: str, seed: int) -> Room:
        """Gives what was opened."""
        settings = Settings(variant, "test data", seed=seed, size=SIZE)
        return Room(settings, lambda item: self.shapes[item.sha256], lambda item: self.scenes[item.sha256])


def measured(build: Builder, variant: str, store: Store, samples: int) -> tuple[list[Made], float]:
    """Samples of one variant, seed after seed until there are enough or a seed gives none; seconds of one core."""
    made: list[Made] = []
    refused: Counter[str] = Counter()
    start = time.process_time()
    for seed in range(samples):
        before = len(made)
        for found in build(store.work(samples - before), store.room(variant, seed)):
            if isinstance(found, Refused):
                refused[found.code] += 1
            else:
                made.append(found)
        if len(made) >= samples or len(made) == before or variant == swap.ANNOTATED:
            break
    seconds = time.process_time() - start
    draws = sum(sample.row["draws"] for sample in made)
    print(
        f"{variant}: {len(made)} samples in {seconds:.1f} s of one core, {len(made) / seconds:.2f} a second, "
        f"{draws / max(len(made), 1):.1f} draws each; refused: {dict(refused) or 'none'}"
    )
    return made, seconds


def pictures(samples: list[Made]) -> list[np.ndarray]:
    """What is to be looked at."""
    return [np.asarray(Image.open(io.BytesIO(sample.members["image.jpg"]))) for sample in samples]


def main(samples: int = SAMPLES, folder: str = "") -> int:
    """0 when OS-R keeps its limit."""
    store = Store()
    sides = Counter(side_of(sha256) for sha256 in store.scenes)
    print(f"{len(store.shapes)} meshes, {len(store.scenes)} photos ({dict(sides)}), {SIZE} px")
    rates = {}
    for build, variant in ((swap.build_random, swap.RANDOM), (swap.build_annotated, swap.ANNOTATED)):
        made, seconds = measured(build, variant, store, samples)
        rates[variant] = len(made) / seconds
        if folder and made:
            Image.fromarray(contact_sheet(pictures(made), columns=8, side=320)).save(
                Path(folder) / f"{variant}.jpg", quality=90
            )
    print(PUBLISHED)
    print(f"\nlimit {LEAST} OS-R samples a second: {'held' if rates[swap.RANDOM] >= LEAST else 'MISSED'}")
    return int(rates[swap.RANDOM] < LEAST)


if __name__ == "__main__":
    sys.exit(main(*(int(a) if a.isdigit() else a for a in sys.argv[1:])))
