"""`manage.py import_images SOURCE --batch NAME`: photos with masks, depth, pointmaps and truths into a batch."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.catalog.models import Batch
from workers import importing, sources


class Command(BaseCommand):
    """The command."""

    help = "Import photos (folder, ZIP, COCO JSON, MANIFEST.jsonl, one file, or s3://bucket/prefix) into a batch."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """SOURCE and options."""
        parser.add_argument(
            "source", help="folder, ZIP, COCO.json, MANIFEST.jsonl, photo, or s3://bucket/prefix"
        )
        parser.add_argument("--batch", required=True, help="name of the batch; made when it does not exist")
        parser.add_argument("--licence", default="", help="licence of photos whose source names none")
        parser.add_argument("--attribution", default="", help="whom to credit where the source does not say")
        parser.add_argument(
            "--consent", default="", help="what those shown agreed to, for photos whose source does not say"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and report; exit code 1 when nothing came in."""
        try:
            Batch._meta.get_field("name").clean(options["batch"], None)
        except ValidationError:
            raise CommandError("--batch: at most 60 letters, digits, - and _") from None
        given = {name: options[name] for name in ("licence", "attribution", "consent")}
        with (
            sources.opened(options["source"]) as path,
            tqdm(unit=" photos", desc="importing", disable=None) as bar,
        ):
            batch, fresh = Batch.objects.get_or_create(name=options["batch"])
            report = importing.import_images(path, batch, tick=lambda name: bar.update(), **given)
        if fresh and report.failure():
            batch.delete()
        sources.show(self, report, "photos")
        self.stdout.write(f"{report.objects} objects entered batch {batch.name}")
