"""Fitting on request: one job refines the pose of an align task's mesh on its object, and gives it back unsaved."""

import time
from functools import lru_cache
from typing import Any

import numpy as np
import trimesh
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.annotation.models import Assignment
from backend.catalog import services as catalog
from backend.catalog.models import TargetObject
from backend.models import Job
from backend.proposals.models import Candidate
from model_zoo.finish.clean import capped
from model_zoo.finish.fit import fit
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import camera_of
from workers.proposing import load_object, pose_json

TRIANGLES = 50_000  # finer detail than this is smaller than a pixel of the window that poses are judged on
KEPT = 4


def fit_job(job: Job) -> dict[str, Any]:
    """The work of a `fit` job: the better fit of the page's pose and of the candidate's own, with its figures."""
    began = time.monotonic()
    row = Assignment.objects.select_related("task__object__image", "task__candidate__mesh").filter(
        pk=job.args["assignment"]
    )
    assignment = row.first()
    if assignment is None or assignment.task.candidate is None:
        raise jobs.UserError(_("this task has no mesh to fit: reload the page"))
    try:
        pose, own = pose_of(job.args["pose"]), _own_pose(job, assignment.task.candidate)
        points, mask, K = _seen(assignment.task.object)
        mesh = _mesh(assignment.task.candidate.mesh.blob_id)
        found = fit(mesh, pose, points, mask, K, others=[] if _same(pose, own) else [own])
    except BadInput as refusal:
        raise jobs.UserError(
            _("Fit is not possible here: %(message)s") % {"message": refusal.message}
        ) from None
    return {
        "pose": pose_json(found.pose),
        "iou": found.iou,
        "depth_error": found.depth_error,
        "seconds": time.monotonic() - began,
    }


def pose_of(value: Any) -> Pose:
    """A pose from {"R": nine numbers row by row, "t", "s"}. Raises BadInput naming what is wrong."""
    if not isinstance(value, dict):
        raise BadInput(_('pose: expected an object with "R", "t" and "s"'), "bad_pose")
    R = value.get("R")
    if isinstance(R, list) and len(R) == 9:
        R = [R[:3], R[3:6], R[6:]]
    return Pose.from_json({**value, "R": R})


def _own_pose(job: Job, candidate: Candidate) -> Pose:
    return pose_of(job.args.get("start") or {"R": candidate.R, "t": candidate.t, "s": candidate.s})


def _same(pose: Pose, other: Pose) -> bool:
    return bool(np.allclose(pose.matrix(), other.matrix(), rtol=1e-6, atol=1e-9))


def _seen(target: TargetObject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pointmap, mask and camera of an object, kept as long as its mask and its best pointmap are the same."""
    pointmap = catalog.best_pointmap(target.image)
    return _loaded(target.pk, target.mask_id, pointmap.pk if pointmap else None)


@lru_cache(maxsize=KEPT)
def _loaded(pk: int, mask: str | None, pointmap: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    given, _source = load_object(TargetObject.objects.select_related("image__display", "mask").get(pk=pk))
    return given.pointmap, given.mask, camera_of(given.pointmap)


@lru_cache(maxsize=KEPT)
def _mesh(sha256: str) -> trimesh.Trimesh:
    return capped(load_mesh(storage.read(sha256)).mesh, TRIANGLES)
