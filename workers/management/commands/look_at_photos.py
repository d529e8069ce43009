"""`manage.py look_at_photos`: near-duplicates and measures of photos and objects that nobody has looked at yet."""

from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from backend.catalog.models import Image
from workers import looking


class Command(BaseCommand):
    """The command."""

    help = "Find the near-duplicates and take the measures of photos that came in before these were kept; safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk through all that is pending. The workers do the same, a hundred photos a minute."""
        last = 0
        with tqdm(unit=" photos", total=Image.objects.filter(looks__isnull=True).count(), disable=None) as bar:
            while (reached := looking.look_at_pending(last)) is not None:
                last = reached
                bar.update(looking.AT_ONCE)
        clusters = Image.objects.filter(cluster__isnull=False).values("cluster").distinct().count()
        seen = Image.objects.filter(cluster__isnull=False).count()
        self.stdout.write(f"{seen} photos in {clusters} clusters of near-duplicates")
