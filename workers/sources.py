"""What import commands share: a local or s3:// source as a path, and the report on the screen."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from workers.importing import Report

MAX_BYTES = 64 * 2**30
SHOWN = 20


@contextmanager
def opened(source: str) -> Iterator[Path]:
    """The source as a local path; s3://bucket/key or a prefix is fetched into a folder that goes away again."""
    if not source.startswith("s3://"):
        path = Path(source)
        if not path.exists():
            raise CommandError(f"there is no file or folder {source}")
        yield path
        return
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory(prefix="maquette-import-") as folder:
        try:
            yield _fetch(bucket, prefix, Path(folder))
        except (BotoCoreError, ClientError) as failure:
            raise CommandError(f"cannot read {source}: {failure}") from None


def _fetch(bucket: str, prefix: str, folder: Path) -> Path:
    """One object as a file, or everything below a prefix as a folder."""
    client = boto3.client("s3", endpoint_url=settings.S3_ENDPOINT_URL or None)
    prefix = prefix.rstrip("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    sizes = {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", [])}
    base = f"{prefix}/" if prefix else ""
    keys = (
        [prefix]
        if prefix in sizes
        else [key for key in sizes if key.startswith(base) and not key.endswith("/")]
    )
    if not keys:
        raise CommandError(f"there is nothing under s3://{bucket}/{prefix}")
    if (size := sum(sizes[key] for key in keys)) > MAX_BYTES:
        raise CommandError(
            f"s3://{bucket}/{prefix} holds {size} bytes, more than {MAX_BYTES}: import it in parts"
        )
    for key in keys:
        target = folder / (Path(key).name if key == prefix else key.removeprefix(base))
        if not target.resolve().is_relative_to(folder.resolve()):
            raise CommandError(f"the key {key!r} leaves its folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, key, str(target))
    return folder / Path(prefix).name if keys == [prefix] else folder


def show(command: BaseCommand, report: Report, what: str) -> None:
    """Print what came in, what was refused and why; CommandError (exit code 1) when nothing came in."""
    for row in report.warnings[:SHOWN]:
        command.stdout.write(f"warning: {row['name']}: {row['warning']}")
    for row in report.refused[:SHOWN]:
        command.stdout.write(f"refused: {row['name']}: {row['reason']}")
    for rows, kind in ((report.warnings, "warnings"), (report.refused, "refused")):
        if len(rows) > SHOWN:
            command.stdout.write(f"... {len(rows)} {kind} in all")
    if failure := report.failure():
        raise CommandError(failure)
    command.stdout.write(
        f"{len(report.taken)} {what} taken, {len(report.known)} known already, {len(report.refused)} refused"
    )
