"""How art cases, versions, reports and pins look over HTTP; what only the workers need is left out."""

from collections import Counter
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet

from backend.accounts.api import describe_job
from backend.annotation import payload as work
from backend.annotation.models import Assignment, Comparison, Rating, Task
from backend.art3do.models import ArtSubmission, MeshReport, Pin

API = "/api/v1"
INTERNAL = ("viewer", "thumbnail", "placement", "pointmap_source")


def submissions() -> QuerySet[ArtSubmission]:
    """Submissions with everything that `describe` reads."""
    rows = ArtSubmission.objects.select_related(
        "task__batch", "task__object", "assignment__user", "job", "report", "mesh__blob"
    )
    return rows.prefetch_related("task__submissions", pinned("pins"))


def pinned(path: str) -> Prefetch:
    """Pins in the order of pinning, with who wrote them."""
    return Prefetch(path, Pin.objects.select_related("by").order_by("id"))


def describe_task(row: Task) -> dict[str, Any]:
    """An art case as the artist's list shows it."""
    return {
        "id": row.pk,
        "state": row.state,
        "batch": {"id": row.batch.pk, "name": row.batch.name},
        "object": {
            "id": row.object.pk,
            "name": row.object.name,
            "category": row.object.category,
            "photo_url": f"{API}/images/{row.object.image_id}/photo/",
            "mask_url": f"{API}/objects/{row.object.pk}/mask.png" if row.object.mask_id else None,
            "starter_url": f"{API}/objects/{row.object.pk}/starter.zip",
        },
        "reason": row.reason,
        "note": row.note,
        "submissions": [
            {"id": sent.pk, "version": sent.version, "state": sent.state} for sent in row.submissions.all()
        ],
    }


def why(tasks: list[Task]) -> dict[int, dict[str, Any]]:
    """For each art task why its object came to an artist, in codes and numbers; three statements for any number.

    {reason, note, alpha, best_r, ratings, chips: {code: times}, comparisons, neither}: the escalation's reason and
    note, the bar, the best rating of any candidate, and what people answered on the way.
    """
    objects = [task.object_id for task in tasks]
    notes = Task.objects.filter(object__in=objects, state=Task.State.ESCALATED).exclude(stage=Task.Stage.ART)
    said = dict(notes.order_by("id").values_list("object_id", "note"))
    rated: dict[int, list[tuple[float, list[str]]]] = {}
    ratings = Rating.objects.filter(candidate__object__in=objects)
    for pk, r, reasons in ratings.values_list("candidate__object_id", "r", "reasons"):
        rated.setdefault(pk, []).append((r, reasons))
    undo = Q(answer=Comparison.Answer.UNDO)
    answers = Comparison.objects.filter(assignment__task__object__in=objects).values(
        "assignment__task__object"
    )
    counts = {
        row["assignment__task__object"]: row
        for row in answers.annotate(
            given=Count("id", filter=~undo), undone=Count("id", filter=undo),
            neither=Count("id", filter=Q(answer=Comparison.Answer.NEITHER)),
        )
    }  # fmt: skip
    return {
        task.pk: {
            "reason": task.reason,
            "note": said.get(task.object_id, ""),
            "alpha": task.batch.alpha,
            "best_r": max((r for r, _ in rated.get(task.object_id, [])), default=None),
            "ratings": len(rated.get(task.object_id, [])),
            "chips": Counter(chip for _, chips in rated.get(task.object_id, []) for chip in chips),
            "comparisons": max(count["given"] - count["undone"], 0),
            "neither": count["neither"],
        }
        for task in tasks
        for count in [counts.get(task.object_id, {"given": 0, "undone": 0, "neither": 0})]
    }


def returned(row: Task) -> dict[str, Any] | None:
    """What the reviewer said when the last returned version came back; None when the newest is not a returned one.

    `row.submissions` must be there with their pins.
    """
    last = max(row.submissions.all(), key=lambda sent: sent.version, default=None)
    return describe_version(last) if last and last.state == ArtSubmission.State.RETURNED else None


def case(row: Assignment) -> dict[str, Any]:
    """An artist's case: the task, why it failed, what was last returned, and every version with what was said of it."""
    found = Task.objects.select_related("batch", "object").prefetch_related(
        "submissions", pinned("submissions__pins")
    )
    task = found.get(pk=row.task_id)
    return {
        **describe_task(task),
        "why": why([task])[task.pk],
        "returned": returned(task),
        "assignment": {"id": row.pk, "fence": row.fence, "state": row.state},
        "versions": versions(row),
    }


def versions(row: Assignment) -> list[dict[str, Any]]:
    """All versions that this artist sent for the case, oldest first, with notes and pins."""
    rows = ArtSubmission.objects.filter(assignment=row).prefetch_related(pinned("pins")).order_by("version")
    return [describe_version(each) for each in rows]


def describe_version(row: ArtSubmission) -> dict[str, Any]:
    """One version among others: its state and what was said about it."""
    return {
        "id": row.pk,
        "version": row.version,
        "state": row.state,
        "note": row.note,
        "repaired_from": row.repaired_from_id,
        "fixes": row.fixes,
        "created_at": row.created_at,
        "pins": [describe_pin(pin) for pin in row.pins.all()],
    }


def describe_pin(row: Pin) -> dict[str, Any]:
    """A remark; `point` is in the frame of the submission's GLB, or null."""
    return {"id": row.pk, "by": row.by.username, "at": row.at, "point": row.point, "text": row.text}


def describe(row: ArtSubmission) -> dict[str, Any]:
    """A submission with its report."""
    report = getattr(row, "report", None)
    return {
        **describe_version(row),
        "task": describe_task(row.task),
        "artist": row.assignment.user.username,
        "assignment": row.assignment_id,
        "job": describe_job(row.job) if row.job else None,
        "model_url": f"{API}/submissions/{row.pk}/model.glb" if row.mesh_id else None,
        "report": describe_report(report) if report else None,
    }


def detail(row: ArtSubmission) -> dict[str, Any]:
    """A submission with what it is judged by: the object and its camera, the mesh's pose in the photo (null while it has
    none), why it was hard, and the case's other versions."""
    report = getattr(row, "report", None)
    return {
        **describe(row),
        "object": work.assignment(row.assignment_id)["object"],
        "pose": report.figures.get("placement") if report else None,
        "why": why([row.task])[row.task_id],
        "versions": versions(row.assignment),
    }


def describe_report(row: MeshReport) -> dict[str, Any]:
    """Findings with links to their pictures, and the figures."""
    findings = [dict(finding) for finding in row.findings]
    for finding in findings:
        number = finding.pop("picture", None)
        url = f"{API}/submissions/{row.submission_id}/pictures/{number}.png"
        finding["picture_url"] = None if number is None else url
    figures = {name: value for name, value in row.figures.items() if name not in INTERNAL}
    return {"ok": row.ok, "findings": findings, "figures": figures}
