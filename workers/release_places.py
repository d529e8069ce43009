"""Where releases lie: an empty folder or prefix to write one to, and a local copy of one to read."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.datasets.models import Release
from model_zoo.io.shards import file_sha256

MANIFEST = "manifest.json"
Freeze = Callable[[str], None]


def check_place(out: str) -> None:
    """UserError when a release cannot be written there; to ask before any work is done."""
    if out.startswith("s3://"):
        bucket, prefix = _bucket(out)
        with _s3_errors(out):
            listed = bucket.client.list_objects_v2(Bucket=bucket.bucket, Prefix=f"{prefix}/", MaxKeys=1)
        if listed.get("KeyCount"):
            raise jobs.UserError(
                _("%(out)s is not empty; a release is never written over something") % {"out": out}
            )
        return
    path = Path(out)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise jobs.UserError(
            _("%(out)s is not empty; a release is never written over something") % {"out": out}
        )


@contextmanager
def place_for(out: str) -> Iterator[tuple[Path, Callable[[dict[str, Any], Freeze], None]]]:
    """A folder to write into, and what makes it the release once it is whole; a half-written one never looks like it.

    That freezes it (told where it lies) and gives it its place together: where either fails, nothing is there.
    """
    check_place(out)
    target = Path(out).resolve()
    remote = out.startswith("s3://")
    scratch = settings.HOME / "tmp" if remote else target.parent
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix="release-" if remote else f"{target.name}.part-", dir=scratch))
    except OSError as failure:
        raise jobs.UserError(
            _("cannot write to %(scratch)s: %(strerror)s")
            % {"scratch": scratch, "strerror": failure.strerror}
        ) from None

    def finish(manifest: dict[str, Any], freeze: Freeze) -> None:
        if remote:
            _upload(part, manifest, out, freeze)
            return
        part.chmod(0o755)
        try:
            with transaction.atomic():
                freeze(str(target))
                part.replace(target)
        except OSError as failure:
            raise jobs.UserError(
                _("cannot write %(out)s: %(strerror)s") % {"out": out, "strerror": failure.strerror}
            ) from None

    try:
        yield part, finish
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _bucket(out: str) -> tuple[storage.S3Store, str]:
    name, _slash, prefix = out.removeprefix("s3://").partition("/")
    if not name or not prefix.strip("/"):
        raise jobs.UserError(_("%(out)s names no bucket and prefix: s3://BUCKET/PREFIX") % {"out": out})
    return storage.S3Store(name, settings.S3_ENDPOINT_URL), prefix.strip("/")


@contextmanager
def _s3_errors(out: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as failure:
        raise jobs.UserError(
            _("cannot use %(out)s: %(failure)s") % {"out": out, "failure": failure}
        ) from None


def _upload(part: Path, manifest: dict[str, Any], out: str, freeze: Freeze) -> None:
    """The manifest goes last: without it a prefix is no release."""
    bucket, prefix = _bucket(out)
    sent: list[str] = []

    def send(name: str) -> None:
        sent.append(f"{prefix}/{name}")
        with (part / name).open("rb") as file:
            bucket.write(f"{prefix}/{name}", file, media_type(name))

    with _s3_errors(out), _claimed(bucket, prefix, out):
        check_place(out)
        try:
            for name in names(manifest)[:-1]:
                send(name)
            with transaction.atomic():
                freeze(out.rstrip("/"))
                send(MANIFEST)
        except Exception:
            for name in sent:
                bucket.remove(name)
            raise


@contextmanager
def _claimed(bucket: storage.S3Store, prefix: str, out: str) -> Iterator[None]:
    """Nobody else writes a release below the prefix meanwhile. A store that ignores conditions keeps nobody off."""
    claim = {"Bucket": bucket.bucket, "Key": f"{prefix}.claim"}
    try:
        bucket.client.put_object(**claim, Body=b"", IfNoneMatch="*")
    except ClientError as failure:
        code = failure.response.get("Error", {}).get("Code")
        if code not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
        message = _("another release is being written to %(out)s, or was cut off: then delete %(claim)s")
        raise jobs.UserError(message % {"out": out, "claim": claim["Key"]}) from None
    try:
        yield
    finally:
        bucket.client.delete_object(**claim)


def materialise(release: Release, into: Path | None = None) -> Path:
    """A local folder with a frozen release's files: where it was written, else fetched (once, or fresh into `into`)."""
    return _local(release, into or settings.HOME / "releases" / release.sha256[:16], "")


def index_of(release: Release, into: Path) -> Path:
    """A local folder with at least a frozen release's manifest and index: where it was written, else fetched into `into`."""
    return _local(release, into, "index/")


def _local(release: Release, folder: Path, below: str) -> Path:
    if release.location.startswith("s3://"):
        return _download(release, folder, below)
    if release.location:
        written = Path(release.location)
        if (written / MANIFEST).is_file() and file_sha256(written / MANIFEST) == release.sha256:
            return written
        raise jobs.UserError(
            _("release %(pk)s is no longer in %(folder)s") % {"pk": release.pk, "folder": written}
        )
    for row in release.files.select_related("blob"):
        if not _wanted(row.name, below):
            continue
        path = folder / row.name
        try:
            storage.fetch(row.blob, path.parent, path.name)
        except storage.StorageError as failure:
            raise jobs.UserError(
                _("%(name)s of release %(pk)s: %(failure)s")
                % {"name": row.name, "pk": release.pk, "failure": failure}
            ) from None
    return folder


def _wanted(name: str, below: str) -> bool:
    return name.startswith(below) or name == MANIFEST


def _download(release: Release, folder: Path, below: str) -> Path:
    bucket, prefix = _bucket(release.location)
    manifest = json.loads(storage.read(release.manifest_id))
    with _s3_errors(release.location):
        for name in filter(lambda name: _wanted(name, below), names(manifest)):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                bucket.client.download_file(bucket.bucket, f"{prefix}/{name}", str(path) + ".part")
                Path(str(path) + ".part").replace(path)
    return folder


def names(manifest: dict[str, Any]) -> list[str]:
    """A release's files by name; the manifest last, since what lacks it is no release."""
    return [*(file["name"] for file in manifest["files"]), MANIFEST]


def media_type(name: str) -> str:
    """How a file of a release is stored and served."""
    kinds = {
        "tar": "application/x-tar",
        "json": "application/json",
        "md": "text/markdown",
        "jpg": "image/jpeg",
    }
    return kinds.get(name.rsplit(".", 1)[-1], "application/octet-stream")
