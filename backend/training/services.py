"""Verbs of training: start runs and evaluations, keep checkpoints, promote one to proposer and go back.

Nothing here trains: workers/training_runs.py runs model_zoo in a process of its own and hands the results back.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.accounts.access import ApiError, record
from backend.datasets.models import Release
from backend.models import Blob
from backend.proposals import services as proposals
from backend.proposals.models import Proposer
from backend.training.models import Checkpoint, Evaluation, Promotion, TrainingRun
from backend.words import word

WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "card.json"
SYNTHETIC = "synthetic"
GEOMETRY, TEXTURE = "geometry", "texture"
PROMOTION_LOCK = 0x6D617175  # any number that no other advisory lock uses
LOG_POINTS = 400
FLOW_SHARE = 3  # of the candidates, beside retrieval's 4 and inflation's 1


def register_folder(
    path: Path,
    name: str,
    *,
    run: TrainingRun | None = None,
    parent: Checkpoint | None = None,
    facts: dict[str, Any] | None = None,
) -> Checkpoint:
    """Store a checkpoint folder (weights.safetensors, config.json, card.json) under a name; `facts` join its card.

    Its shapes are finished by the second stage that finishes its parent's, if that stands for itself. Registering the same weights again gives the stored row. UserError when a file is missing or the name has others.
    """
    config, card = (_read_json(path / part) for part in (CONFIG, CARD))
    weights = path / WEIGHTS
    if not weights.is_file():
        raise jobs.UserError(_("%(name)s is not a checkpoint: it has no %(file)s") % {"name": path.name, "file": WEIGHTS})
    blob = storage.put(weights, "application/octet-stream")
    try:
        with transaction.atomic():
            return Checkpoint.objects.create(
                name=name,
                run=run,
                parent=parent,
                texture=parent.texture if parent and not _borrows(parent.texture) else None,
                weights=blob,
                config=config,
                card={**card, **(facts or {})},
            )
    except IntegrityError:
        found = Checkpoint.objects.filter(name=name).first()
        if found is None or found.weights_id != blob.pk:
            raise jobs.UserError(_("there is another checkpoint named %(name)s") % {"name": name}) from None
        return found


def _borrows(texture: Checkpoint | None) -> bool:
    """Whether a second stage has the image backbone of the very geometry that it was converted with."""
    return texture is not None and "borrowed" in texture.config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        data = None
    if not isinstance(data, dict):
        message = _("%(name)s is not a checkpoint: %(file)s is missing or not a JSON object")
        raise jobs.UserError(message % {"name": path.parent.name, "file": path.name})
    return data


def folder_of(checkpoint: Checkpoint) -> Path:
    """A local folder with the checkpoint's three files, fetched once per machine and content."""
    # The folder's name is the checkpoint's: model_zoo writes it into cards and reports.
    folder = settings.HOME / "checkpoints" / checkpoint.weights_id[:16] / checkpoint.name
    storage.fetch(Blob.objects.get(pk=checkpoint.weights_id), folder, WEIGHTS)
    for name, data in ((CONFIG, checkpoint.config), (CARD, checkpoint.card)):
        part = folder / f"{name}.part"
        part.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
        part.replace(folder / name)
    return folder


def named(name: str) -> Checkpoint:
    """The checkpoint of this name. UserError lists what there is."""
    found = Checkpoint.objects.filter(name=name).first()
    if found is None:
        known = (
            ", ".join(Checkpoint.objects.order_by("-id").values_list("name", flat=True)[:10]) or _("none yet")
        )
        raise jobs.UserError(_("no checkpoint named %(name)s; there are: %(known)s") % {"name": name, "known": known})
    return found


def start_run(
    *,
    stage: str,
    releases: Sequence[Release] = (),
    synthetic: bool = False,
    init: Checkpoint | None,
    recipe: str = "tiny",
    model: str = "geometry",
    options: dict[str, Any] | None = None,
    by: Any = None,
) -> TrainingRun:
    """Queue one stage of training on frozen releases of its kind, or composed scenes. UserError when they do not fit."""
    wanted = Release.Kind.DPO if stage == TrainingRun.Stage.DPO else Release.Kind.SFT
    for release in releases:
        if release.state != Release.State.FROZEN or release.kind != wanted:
            message = _("%(stage)s trains on frozen releases of kind %(kind)s; release %(pk)s is not one")
            raise jobs.UserError(message % {"stage": word(stage), "kind": word(wanted), "pk": release.pk})
        if release.rows == 0:
            raise jobs.UserError(_("release %(pk)s has no rows to train on") % {"pk": release.pk})
    if synthetic and stage == TrainingRun.Stage.DPO:
        raise jobs.UserError(_("composed scenes have no preferences: dpo trains on releases"))
    if not releases and not synthetic:
        raise jobs.UserError(_("name at least one release to train on"))
    if init is None and stage != TrainingRun.Stage.PRETRAIN:
        raise jobs.UserError(_("%(stage)s starts from a checkpoint: name one") % {"stage": word(stage)})
    with transaction.atomic():
        run = TrainingRun.objects.create(
            stage=stage,
            model=model,
            recipe=recipe,
            init=init,
            options={**(options or {}), **({SYNTHETIC: True} if synthetic else {})},
            created_by=by,
        )
        run.releases.set(releases)
        run.job = jobs.send("train", key=f"train:{run.pk}", args={"run": run.pk}, by=by)
        run.save(update_fields=["job"])
        record(by, "train", f"run:{run.pk}", stage=stage, releases=[release.pk for release in releases])
    return run


def try_again(run: TrainingRun) -> bool:
    """Queue a failed run again; it goes on from the last state that it saved. False when it has not failed."""
    with transaction.atomic():
        moved = run.job is not None and jobs.retry(run.job)
        if moved:
            TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.QUEUED, error="")
    return moved


def move_run(run: TrainingRun, state: str, *, error: str = "") -> None:
    """Write how a run stands; a run that is done stays done."""
    TrainingRun.objects.filter(pk=run.pk).exclude(state=TrainingRun.State.DONE).update(
        state=state, error=error
    )


def log(run: TrainingRun, points: list[dict[str, Any]]) -> None:
    """Store a run's metrics by step, thinned to what a plot can show; first and last always stay."""
    step = -(-len(points) // LOG_POINTS)
    kept = points[::step] if step > 1 else points
    if points and kept[-1] is not points[-1]:
        kept = [*kept, points[-1]]
    TrainingRun.objects.filter(pk=run.pk).update(log=kept)


def finish_run(run: TrainingRun, folder: Path) -> Checkpoint:
    """Store the checkpoint that a run gave, once, with what it came from on its card."""
    releases = list(run.releases.order_by("id"))
    facts = {
        "run": run.pk,
        "parent": run.init.name if run.init else None,
        "releases": [
            {"id": row.pk, "kind": row.kind, "sha256": row.sha256, **row.counts} for row in releases
        ],
    }
    with transaction.atomic():
        made = register_folder(folder, f"{run.stage}-{run.pk}", run=run, parent=run.init, facts=facts)
        move_run(run, TrainingRun.State.DONE)
    return made


def start_evaluation(
    *,
    checkpoint: Checkpoint,
    against: Checkpoint | None = None,
    release: Release | None = None,
    options: dict[str, Any] | None = None,
    by: Any = None,
) -> Evaluation:
    """Queue the measurement of a checkpoint on a frozen release, or on composed scenes without one."""
    if release is not None and release.state != Release.State.FROZEN:
        raise jobs.UserError(_("release %(pk)s is not frozen") % {"pk": release.pk})
    with transaction.atomic():
        row = Evaluation.objects.create(checkpoint=checkpoint, against=against, release=release)
        args = {"evaluation": row.pk, **(options or {})}
        row.job = jobs.send("evaluate", key=f"evaluate:{row.pk}", args=args, by=by)
        row.save(update_fields=["job"])
        record(by, "evaluate", f"checkpoint:{checkpoint.pk}")
    return row


def keep_metrics(row: Evaluation, report: dict[str, Any]) -> None:
    """Store a report of model_zoo.evaluate: the checkpoint's own figures, the other's under `against`, and on what."""
    results = list(report["results"].values())
    facts = {
        name: report[name] for name in ("data", "split", "simulated", "examples", "seed") if name in report
    }
    metrics = {**results[0], **({"against": results[1]} if len(results) > 1 else {}), **facts}
    Evaluation.objects.filter(pk=row.pk).update(metrics=metrics)


@transaction.atomic
def promote(checkpoint: Checkpoint, *, by: Any = None) -> Promotion:
    """Make a checkpoint the flow proposer in place of the one before; promoting it again changes nothing."""
    _lock_promotions()
    now = timezone.now()
    current = _current()
    if current is not None and current.checkpoint_id == checkpoint.pk:
        return current
    if current is not None:
        _switch(current.checkpoint, active=False)
        Promotion.objects.filter(pk=current.pk).update(ended_at=now)
    _switch(checkpoint, active=True)
    row = Promotion.objects.create(checkpoint=checkpoint, by=by)
    # The same instant on both rows is what demote goes back by.
    Promotion.objects.filter(pk=row.pk).update(at=now)
    row.at = now
    record(by, "promote", f"checkpoint:{checkpoint.pk}", name=checkpoint.name)
    return row


@transaction.atomic
def propose_with(
    checkpoint: Checkpoint, *, texture: Checkpoint | None = None, share: int = FLOW_SHARE, active: bool = False
) -> Proposer:
    """Make a proposer of a checkpoint and a second stage, by default the one it has, beside the promoted proposer.

    It is off until it is switched on. UserError when the checkpoint proposes already or is of another model.
    """
    for row, model in ((checkpoint, GEOMETRY), (texture, TEXTURE)):
        if row is not None and row.config.get("model") != model:
            message = _("%(name)s is not a checkpoint of the model %(model)s")
            raise jobs.UserError(message % {"name": row.name, "model": model})
    if checkpoint.run is not None and _borrows(texture):
        message = _(
            "%(texture)s borrows the backbone of the geometry it was converted with, and %(name)s was trained since: "
            "convert it with --apart"
        )
        raise jobs.UserError(message % {"texture": texture.name if texture else "", "name": checkpoint.name})
    if checkpoint.proposer is not None:
        message = _("%(name)s proposes already, as %(proposer)s")
        raise jobs.UserError(message % {"name": checkpoint.name, "proposer": checkpoint.proposer.name})
    made = proposals.add(f"sam3d-{checkpoint.name}"[:80], Proposer.Kind.SAM3D, share=share, active=active)
    second = texture or checkpoint.texture
    Checkpoint.objects.filter(pk=checkpoint.pk).update(proposer=made, texture=second)
    return made


@transaction.atomic
def demote(*, by: Any = None) -> Promotion:
    """End the current promotion and restore the one that it replaced. UserError when there was none."""
    _lock_promotions()
    current = _current()
    if current is None:
        raise jobs.UserError(_("no checkpoint is promoted"))
    before = (
        Promotion.objects.select_related("checkpoint").filter(ended_at=current.at).order_by("-id").first()
    )
    if before is None:
        message = _("%(name)s was the first to be promoted; there is none to go back to")
        raise jobs.UserError(message % {"name": current.checkpoint.name})
    _switch(current.checkpoint, active=False)
    _switch(before.checkpoint, active=True)
    Promotion.objects.filter(pk=current.pk).update(ended_at=timezone.now())
    Promotion.objects.filter(pk=before.pk).update(ended_at=None)
    record(by, "demote", f"checkpoint:{current.checkpoint_id}", restored=before.checkpoint.name)
    before.ended_at = None
    return before


def promoted() -> Checkpoint | None:
    """The checkpoint that proposes now, None when none was promoted."""
    current = _current()
    return current.checkpoint if current else None


def _lock_promotions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PROMOTION_LOCK])


def _current() -> Promotion | None:
    rows = Promotion.objects.select_related("checkpoint__proposer").filter(ended_at=None)
    return rows.order_by("-id").first()


def _switch(checkpoint: Checkpoint, *, active: bool) -> None:
    """Turn a checkpoint's proposer on or off; it is made the first time."""
    if checkpoint.proposer_id is None:
        proposer, _new = Proposer.objects.get_or_create(
            name=f"flow-{checkpoint.name}"[:80],
            defaults={"kind": Proposer.Kind.FLOW, "active": active, "share": FLOW_SHARE},
        )
        Checkpoint.objects.filter(pk=checkpoint.pk).update(proposer=proposer)
        checkpoint.proposer = proposer
    Proposer.objects.filter(pk=checkpoint.proposer_id).update(active=active)


def refused(failure: jobs.UserError) -> ApiError:
    """What the API says when a verb refuses."""
    return ApiError(409, "not_possible", str(failure))
