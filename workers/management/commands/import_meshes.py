"""`manage.py import_meshes DIR|FILE`: the mesh library for retrieval and synthesis."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from workers import importing, sources


class Command(BaseCommand):
    """The command."""

    help = "Import meshes (GLB, glTF or OBJ in a ZIP, OBJ, PLY, STL; folder, file or s3://bucket/prefix) into the library."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """SOURCE and options."""
        parser.add_argument("source", help="folder, mesh file, ZIP, or s3://bucket/prefix")
        parser.add_argument("--category", default="", help="what the meshes are")
        parser.add_argument("--licence", default="", help="licence of meshes whose manifest names none")
        parser.add_argument(
            "--attribution", default="", help="whom to credit where the manifest does not say"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and report; exit code 1 when nothing came in."""
        given = {name: options[name] for name in ("category", "licence", "attribution")}
        with (
            sources.opened(options["source"]) as path,
            tqdm(unit=" meshes", desc="importing", disable=None) as bar,
        ):
            report = importing.import_meshes(path, given=given, tick=lambda name: bar.update())
        sources.show(self, report, "meshes")
