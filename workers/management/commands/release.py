"""`manage.py release sft|dpo --batch NAME... --out DIR|s3://...`: freeze and write an export; prints its id and hash."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend import storage
from backend.accounts.access import ApiError
from backend.datasets import services
from backend.jobs import UserError
from workers import releasing
from workers.release_places import check_place


class Command(BaseCommand):
    """The command."""

    help = "Freeze accepted samples (sft) or preference pairs (dpo) of batches and write them as shards with an index."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Kind, batches, place, and what to let through."""
        parser.add_argument("kind", choices=("sft", "dpo"), help="samples, or preference pairs")
        parser.add_argument(
            "--batch", nargs="+", action="extend", default=[], metavar="NAME",
            help="batches to take from; with --base those of the base are taken too",
        )  # fmt: skip
        parser.add_argument(
            "--base", metavar="ID|HASH",
            help="frozen release to build on: only what it does not hold is written, and what no longer counts is listed",
        )  # fmt: skip
        parser.add_argument("--out", required=True, help="new or empty folder, or s3://bucket/prefix")
        parser.add_argument(
            "--include-simulated", action="store_true", help="also rows that a simulation answered"
        )
        parser.add_argument(
            "--include-fallback-layout", action="store_true", help="also poses on guessed depth"
        )
        parser.add_argument(
            "--min-rating", type=float, default=0.0, metavar="R", help="lowest rating, 0 to 1"
        )
        parser.add_argument(
            "--collection", choices=("shape", "texture"), default="",
            help="what the batches must collect; the two are never mixed (default: what the first batch collects)",
        )  # fmt: skip
        parser.add_argument(
            "--all-negatives", action="store_true",
            help="dpo: also losers that our own models did not make (retrieval, inflation, other programs)",
        )  # fmt: skip
        parser.add_argument(
            "--aesthetic",
            action="store_true",
            help="only unhidden objects in bright, contrasty, colourful, sharp photos",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write and freeze; exit code 1 when there is nothing to release or nowhere to write it."""
        if not 0 <= options["min_rating"] <= 1:
            raise CommandError("--min-rating: a number from 0 to 1")
        if not options["batch"] and not options["base"]:
            raise CommandError("name at least one batch with --batch, or a release to build on with --base")
        try:
            check_place(options["out"])
            made = services.begin(
                kind=options["kind"],
                batches=services.named(options["batch"]),
                include_simulated=options["include_simulated"],
                include_fallback_layout=options["include_fallback_layout"],
                min_rating=options["min_rating"],
                collection=options["collection"],
                own_negatives=not options["all_negatives"],
                aesthetic=options["aesthetic"],
                base=services.find(options["base"]) if options["base"] else None,
            )
            with tqdm(unit=" rows", desc="writing", disable=None) as bar:

                def show(done: int, total: int) -> None:
                    bar.total, bar.n = total, done
                    bar.refresh()

                frozen = releasing.release_to(made, options["out"], show)
        except UserError as failure:
            raise CommandError(str(failure)) from None
        except ApiError as refusal:
            raise CommandError(refusal.message) from None
        manifest = json.loads(storage.read(frozen.manifest_id))
        self.stdout.write(f"release {frozen.pk} ({manifest['id']}): {frozen.rows} rows in {options['out']}")
        self.stdout.write(f"sha256 {frozen.sha256}")
