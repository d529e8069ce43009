"""What the browser tests work on: a batch of two photographed objects with three candidates each, all files stored."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image as Picture

from backend.annotation.intake import enqueue
from backend.annotation.services import open_tasks
from backend.catalog import services as catalog
from backend.catalog.models import Batch, TargetObject
from backend.models import Job
from backend.proposals import services as proposals
from backend.proposals.models import Candidate, Proposer
from workers.practice import make_practice_job

WIDTH, HEIGHT, FOCAL, DEPTH = 320, 240, 300.0, 2.0
SIZES = (0.5, 0.35, 0.42)


def png(array: np.ndarray) -> bytes:
    """PNG of a uint8 array."""
    out = io.BytesIO()
    Picture.fromarray(array).save(out, "PNG")
    return out.getvalue()


def disc(radius: float) -> np.ndarray:
    """(H, W) bool: a disc in the middle of the photo."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (x - WIDTH / 2) ** 2 + (y - HEIGHT / 2) ** 2 < radius**2


def photo(number: int) -> np.ndarray:
    """(H, W, 3) uint8: a lit ball on a table; every number gives another picture."""
    rgb = np.full((HEIGHT, WIDTH, 3), (96, 84, 70 + number), np.uint8)
    rgb[disc(75)] = (190, 90, 60)
    return rgb


def store_target(number: int, *, drawn: bool = True) -> TargetObject:
    """A stored photo with pointmap, and its object, with a mask if `drawn`."""
    picture = png(photo(number))
    image, _ = catalog.store_image(
        original=picture, media_type=catalog.PNG, display=picture, display_type=catalog.PNG,
        size=(WIDTH, HEIGHT), name=f"ball{number}",
    )  # fmt: skip
    y, x = np.mgrid[:HEIGHT:4, :WIDTH:4]
    z = np.where(disc(75)[::4, ::4], DEPTH, DEPTH + 0.4)
    xyz = np.stack([(x - WIDTH / 2) / FOCAL * z, (y - HEIGHT / 2) / FOCAL * z, z], -1)
    points = np.concatenate([xyz, photo(number)[::4, ::4] / 255], -1).astype("<f4").tobytes()
    camera = {"fx": FOCAL, "fy": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "width": WIDTH, "height": HEIGHT}
    catalog.store_pointmap(image, npz=points, points=points, source="sensor", metric=True, camera=camera)
    mask = png(disc(75).astype(np.uint8) * 255) if drawn else None
    return catalog.store_object(
        image, mask=mask, area=17671, box=[85, 45, 235, 195], name="ball", category="ball"
    )[0]


def store_candidates(batch: Batch, target: TargetObject) -> list[Candidate]:
    """Three balls of different sizes around where the photo has its own; the first fits the mask."""
    proposer, _ = Proposer.objects.get_or_create(name="inflation", defaults={"kind": "inflation"})
    job = proposals.jobs.send(
        "propose", key=f"try:{target.pk}", group=f"try:{target.pk}",
        args={"batch": batch.pk, "object": target.pk, "proposer": proposer.pk},
    )  # fmt: skip
    job.__class__.objects.filter(pk=job.pk).update(state="done")
    made = []
    for seed, size in enumerate(SIZES):
        glb = trimesh.creation.icosphere(subdivisions=3, radius=1.0).export(file_type="glb")
        mesh, _ = catalog.store_mesh(glb, source="proposer", triangles=1280, extents=[2, 2, 2])
        pose = {"R": [1, 0, 0, 0, -1, 0, 0, 0, -1], "t": [0, 0, DEPTH], "s": [size] * 3}
        made.append(
            proposals.store_candidate(
                job,
                seed=seed,
                mesh=mesh,
                viewer=glb,
                thumbnail=png(photo(seed)),
                pose=pose,
                pointmap_source="sensor",
                score=1.0 - seed / 10,
                seconds=0.1,
            )  # fmt: skip
        )
    return made


def make_batch(name: str = "balls", **options: Any) -> Batch:
    """A batch with two objects to compare; with `instructions=` their drawer opens by itself the first time."""
    batch = catalog.create_batch(name=name, **options)
    for number in range(2):
        target = store_target(number)
        enqueue(batch, [target])
        store_candidates(batch, target)
        open_tasks(batch.pk, target.pk)
    return batch


def make_practice() -> None:
    """The real practice set, from six plain shapes as known truth."""
    shapes = {
        "box": trimesh.creation.box((0.5, 0.4, 0.6)),
        "ball": trimesh.creation.icosphere(subdivisions=3, radius=0.4),
        "tube": trimesh.creation.annulus(0.15, 0.25, 0.7),
        "cone": trimesh.creation.cone(0.35, 0.8),
        "capsule": trimesh.creation.capsule(0.5, 0.2),
        "ring": trimesh.creation.torus(0.35, 0.12),
    }
    for number, (name, shape) in enumerate(shapes.items(), 40):
        target = store_target(number)
        TargetObject.objects.filter(pk=target.pk).update(category=name)
        extents = [float(side) for side in shape.extents]
        mesh, _ = catalog.store_mesh(
            shape.export(file_type="glb"), source="truth", triangles=len(shape.faces), extents=extents, category=name
        )
        catalog.store_truth(
            target, mesh, R=[1, 0, 0, 0, -1, 0, 0, 0, -1], t=[0, 0, DEPTH], s=[1, 1, 1], measured=True
        )
    job = Job.objects.create(kind="make_practice", key="make_practice:try", queue="cpu", args={}, state="done")
    make_practice_job(job)


def lit(picture: bytes | Path) -> tuple[float, float]:
    """Share of pixels lighter than the background in the left and the right half of a PNG."""
    grey = np.asarray(
        Picture.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture).convert("L")
    )
    middle = grey.shape[1] // 2
    return float((grey[:, :middle] > 90).mean()), float((grey[:, middle:] > 90).mean())
