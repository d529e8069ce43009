"""`manage.py demo_seed`: people, proposers, mesh library and demo batches of `make demo`. Safe to run again."""

import json
import os
import secrets
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend import jobs
from backend.accounts.access import record
from backend.accounts.models import AuditEvent, User
from backend.annotation.intake import enqueue
from backend.catalog import services as catalog
from backend.catalog.models import Batch, Image, TargetObject
from backend.proposals import services as proposals
from backend.proposals.models import Proposer
from model_zoo import library
from model_zoo.demo import __main__ as demo_files
from model_zoo.io.errors import BadInput
from model_zoo.library import __main__ as library_files
from workers import demo, importing
from workers.training_runs import base_checkpoint

PEOPLE = {
    "ada": User.Role.ANNOTATOR,
    "art": User.Role.ARTIST,
    "rev": User.Role.REVIEWER,
    "res": User.Role.RESEARCHER,
    "leo": User.Role.ADMIN,
}
PROPOSERS = {
    "retrieval": (Proposer.Kind.RETRIEVAL, 4, True),
    "inflation": (Proposer.Kind.INFLATION, 1, True),
    # Off until somebody sets up their commands.
    **dict.fromkeys(("trellis", "hunyuan3d-21", "triposg"), (Proposer.Kind.COMMAND, 3, False)),
}
BATCH = "demo"
DONE, PLAYED = "demo_seed", "demo_played"
COMPARE = """Which mesh is closer to the **outlined object**? {judged}

1. Look at the photo, then turn both meshes: from behind and from above too.
2. Parts that the photo shows must be there; loose pieces must not.
3. If both are equally good or bad, say *equal*. If nobody could use either, say *neither*.

When you **align** the chosen mesh: *Fit* first, then mend by hand until its outline lies on the object's.
"""
OUTLINE = """Outline **one whole object**: click on it, then mend the edge with brush and eraser.

- Leave out shadows, reflections and whatever stands in front.
- A mask that is there already is *confirmed* or *rejected* with a reason.
- Nothing in the list fits? Type the name and flag it as outside the taxonomy.
"""
SCALE = [
    {"r": 0.0, "label": "unrelated"},
    {"r": 0.25, "label": "poor"},
    {"r": 0.5, "label": "fair"},
    {"r": 0.75, "label": "good"},
    {"r": 1.0, "label": "perfect"},
]
BATCHES: dict[str, dict[str, Any]] = {
    BATCH: {"instructions": COMPARE.format(judged="Judge the shape only: both are the same clay."), "asks_review": True, "scale": SCALE, "priority": 2},
    f"{BATCH}-grid": {
        "instructions": COMPARE.format(judged="Judge the shape first, then the colours."), "priority": 1,
        "protocol": Batch.Protocol.GRID, "judges": Batch.Judges.TEXTURE, "asks_alignment": False,
    },
    f"{BATCH}-outline": {"instructions": OUTLINE, "checks_masks": True},
}  # fmt: skip


class Command(BaseCommand):
    """The command."""

    help = "Make the demo's people (passwords in logins.json), proposers, mesh library and batch; queue candidates."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument(
            "--scenes", type=int, default=10, help="composed scenes with known truth (default 10)"
        )
        parser.add_argument(
            "--url", default="", help="a running server: simulated people then work a few objects, for the later pages"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Real photographs first, so that a person can begin while the rest is still coming."""
        make_people(settings.HOME / "logins.json")
        for name, (kind, share, active) in PROPOSERS.items():
            Proposer.objects.get_or_create(
                name=name, defaults={"kind": kind, "share": share, "active": active}
            )
        try:
            base_checkpoint()
        except jobs.UserError as failure:
            raise CommandError(str(failure)) from None
        made = {name: self._batch(name, settings) for name, settings in BATCHES.items()}
        batch = made[BATCH]
        if not AuditEvent.objects.filter(verb=DONE).exists():
            try:
                self._fill(made, settings.HOME / "cache", options["scenes"])
            except BadInput as failure:
                raise CommandError(failure.message) from None
            record(None, DONE, f"batch:{batch.pk}")
        self.stdout.write(f"demo batch: {batch.tasks.values('object').distinct().count()} objects")
        if options["url"] and not AuditEvent.objects.filter(verb=PLAYED).exists():
            tasks = demo.ready(batch)
            # Noted first: interrupted, it is not begun again, so that nothing is answered twice.
            record(None, PLAYED, f"batch:{batch.pk}")
            demo.play(batch, tasks, options["url"])

    def _batch(self, name: str, wish: dict[str, Any]) -> Batch:
        return Batch.objects.filter(name=name).first() or catalog.create_batch(name=name, **wish)

    def _fill(self, made: dict[str, Batch], cache: Path, scenes: int) -> None:
        batch, grid, outline = made.values()
        meshes = made_once(cache / "library", lambda folder: library_files.write(folder, each=1))
        report = importing.import_meshes(meshes)
        self.stdout.write(f"mesh library: {len(report.taken)} meshes of {len(library.families())} kinds")
        self._take(made_once(cache / "photographs", lambda folder: demo_files.write(folder, count=0)), batch)
        proposals.propose(batch)
        photographed = list(TargetObject.objects.filter(tasks__batch=batch).order_by("id"))
        kinds = sorted({name.replace("-", " ") for name in library.families()} | {row.category for row in photographed})
        Batch.objects.filter(pk=outline.pk).update(taxonomy=kinds)
        enqueue(outline, [*unmasked(), *photographed[:2]])
        composed = made_once(cache / f"scenes-{scenes}", lambda folder: compose(folder, scenes))
        self._take(composed, batch)
        if scenes:
            jobs.send("make_practice", key="make_practice:demo", args={})
        proposals.propose(batch)
        enqueue(grid, photographed[:3])
        proposals.propose(grid)

    def _take(self, folder: Path, batch: Batch) -> None:
        report = importing.import_images(folder, batch, exact=True)
        for row in report.refused:
            self.stderr.write(f"refused: {row['name']}: {row['reason']}")
        if failure := report.failure():
            raise CommandError(failure)


def unmasked() -> list[TargetObject]:
    """Every photograph once more, as an object that somebody has to outline; the one with the clearest edges first."""
    images = sorted(Image.objects.order_by("id"), key=lambda image: "flower" not in image.name)
    return [catalog.store_object(image, mask=None, name=image.name)[0] for image in images]


def compose(folder: Path, scenes: int) -> None:
    """The composed scenes, from a process that stands back: people wait for what the workers are proposing."""
    command = [sys.executable, "-m", "model_zoo.demo", "--out", str(folder), "--scenes", str(scenes)]
    done = subprocess.run(["nice", "-n", "10", *command], cwd=settings.BASE_DIR)
    if done.returncode:
        raise CommandError("the demo scenes could not be composed")


def made_once(folder: Path, make: Any) -> Path:
    """A generated folder; an unfinished one is made again."""
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)
        (folder / ".complete").touch()
    return folder


def make_people(path: Path) -> None:
    """The five people; passwords are generated once and kept in a file that only its owner reads."""
    known = (
        {row["username"]: row["password"] for row in json.loads(path.read_text())} if path.exists() else {}
    )
    rows = []
    for name, role in PEOPLE.items():
        password = known.get(name) or secrets.token_urlsafe(9)
        admin = role == User.Role.ADMIN
        user, new = User.objects.get_or_create(
            username=name, defaults={"role": role, "is_staff": admin, "is_superuser": admin}
        )
        if new or name not in known:
            user.set_password(password)
            user.save(update_fields=["password"])
        rows.append({"username": name, "password": password, "role": str(role)})
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(rows, indent=1) + "\n")
