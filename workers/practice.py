"""The practice set: objects with known truth, each as a good mesh and a spoilt twin, finished alike."""

import copy
from typing import Any

import trimesh
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.annotation.models import GoldPair
from backend.catalog import services as catalog
from backend.catalog.models import Batch, Mesh, Truth
from backend.models import Job
from backend.proposals import services as proposals
from backend.proposals.models import Candidate, Proposer
from model_zoo.finish.gold import LESSONS, corrupted, plain
from model_zoo.io.meshes import load_mesh
from workers.finishing import finish

BATCH = "practice"
BETTER, WORSE = 0, 1  # seeds of the two candidates


def make_practice_job(job: Job) -> dict[str, Any]:
    """The work of a `make_practice` job: up to six gold pairs with their places. What is there already stays."""
    known = GoldPair.objects.exclude(place=None).count()
    if known:
        return {"pairs": known, "made": 0}
    truths = chosen(len(LESSONS))
    if not truths:
        raise jobs.UserError(_("no object with known truth is here: import composed scenes first"))
    batch, _new = Batch.objects.get_or_create(
        name=BATCH,
        defaults={
            "kind": Batch.Kind.PRACTICE,
            "state": Batch.State.CLOSED,
            "asks_rating": False,
            "asks_alignment": False,
        },
    )
    proposer, _new = Proposer.objects.get_or_create(
        name="gold", defaults={"kind": Proposer.Kind.GOLD, "active": False, "share": 0}
    )
    for place, (lesson, truth) in enumerate(zip(LESSONS, truths), 1):
        work = copy.copy(job)
        work.args = {"batch": batch.pk, "object": truth.object_id, "proposer": proposer.pk}
        good = plain(load_mesh(storage.read(truth.mesh.blob)).mesh)
        better = _stored(work, truth, good, BETTER)
        worse = _stored(work, truth, corrupted(good, lesson, truth.object_id), WORSE)
        GoldPair.objects.get_or_create(better=better, worse=worse, defaults={"lesson": lesson, "place": place})
        jobs.report(
            job,
            place / len(truths),
            _("%(place)s of %(total)s pairs") % {"place": place, "total": len(truths)},
        )
    return {"pairs": len(truths), "made": len(truths)}


def chosen(count: int) -> list[Truth]:
    """Objects for the practice, exact ones before fitted ones, of as many categories as there are."""
    rows = Truth.objects.select_related("object", "mesh__blob").exclude(object__mask=None).order_by("-measured", "id")
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, Truth]] = []
    for number, truth in enumerate(rows.iterator(chunk_size=500)):
        name = truth.object.category or truth.mesh.category
        seen[name] = seen.get(name, 0) + 1
        ranked.append((seen[name], number, truth))
        if sum(times == 1 for times, _, _ in ranked) >= count:
            break
    return [truth for _, _, truth in sorted(ranked, key=lambda row: row[:2])[:count]]


def _stored(job: Job, truth: Truth, mesh: trimesh.Trimesh, seed: int) -> Candidate:
    done = finish(mesh)
    row, _new = catalog.store_mesh(
        done.glb,
        source=Mesh.Source.TRUTH,
        triangles=len(done.mesh.faces),
        extents=[float(side) for side in done.mesh.extents],
        category=truth.object.category,
        licence=truth.mesh.licence,
        attribution=truth.mesh.attribution,
    )
    return proposals.store_candidate(
        job,
        seed=seed,
        mesh=row,
        viewer=done.viewer,
        thumbnail=done.thumbnail,
        pose={"R": truth.R, "t": truth.t, "s": truth.s},
        pointmap_source="",
        score=1.0 - seed,
        seconds=0.0,
    )
