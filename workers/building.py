"""Builds on workers: plan, shards and index by model_zoo.build, each a job; the place is shared, a bucket or a folder."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.catalog.models import Mesh
from backend.datasets import builds
from backend.datasets.models import Build
from backend.models import Job
from model_zoo.build.finish import finish
from model_zoo.build.kinds import Away, MeshItem, Refused, Settings, Shape
from model_zoo.build.local import encoder_of, planned
from model_zoo.build.place import Place, place_of
from model_zoo.build.plan import read_plan, read_work, same_build
from model_zoo.build.run import Opener, is_done, run_shard
from model_zoo.build.shapes import open_shape
from model_zoo.build.sources import Stock, open_stock
from model_zoo.io.errors import BadInput

LIBRARY = "library"


class LibraryStock(Stock):
    """The platform's mesh library as a source: its blobs by hash."""

    grows = True

    def __init__(self) -> None:
        """Nothing is read before it is asked for."""

    def meshes(self) -> Iterator[MeshItem | Refused]:
        """Every mesh of the library, by hash."""
        rows = Mesh.objects.filter(source=Mesh.Source.LIBRARY).order_by("blob_id")
        for row in rows.values_list("blob_id", "blob__size", "licence", "attribution", "category").iterator(
            2000
        ):
            yield MeshItem(f"{row[0]}.glb", *row)

    def told(self, item: MeshItem) -> MeshItem:
        """The item as it is."""
        return item

    def photos(self, *, apart: bool = False) -> Iterator[Any]:
        """None: photos come from a folder, a bucket or a release."""
        return iter(())

    def shape(self, item: MeshItem) -> Shape:
        """An item's shape: the library holds whole GLBs. Raises BadInput."""
        return open_shape(self.mesh_bytes(item), item)

    def mesh_bytes(self, item: MeshItem) -> bytes:
        """A mesh's blob. Raises BadInput when it is damaged or out of the library, Away when the store lacks it."""
        try:
            return self._same(storage.read(item.sha256), item.name, item.sha256)
        except storage.StorageError:
            missing = f"blob {item.sha256[:12]} is missing from the store"
            if Mesh.objects.filter(source=Mesh.Source.LIBRARY, blob_id=item.sha256).exists():
                raise Away(missing) from None
            raise BadInput(missing, "missing_file") from None


def stock_of(source: str) -> Stock:
    """The source that --from or --meshes names. Raises BadInput."""
    return LibraryStock() if source == LIBRARY else open_stock(source, settings.S3_ENDPOINT_URL)


def settings_of(build: Build) -> Settings:
    """What model_zoo.build is asked for."""
    return Settings(build.variant, build.source, **build.options)


class _Open:
    """A build with its place and sources."""

    def __init__(self, build: Build) -> None:
        self.settings = settings_of(build)
        self.place: Place = place_of(build.out, settings.S3_ENDPOINT_URL)
        self.stock = stock_of(self.settings.source)
        self.meshes = stock_of(self.settings.meshes) if self.settings.meshes else self.stock


def plan_job(job: Job) -> dict[str, Any]:
    """Plan a build, and queue the shards that are not in its place yet."""
    build = Build.objects.get(pk=job.args["build"])
    try:
        opened = _Open(build)
        summary, _settings = planned(opened.settings, opened.place, (opened.stock, opened.meshes))
        missing = [number for number in range(summary.shards) if not is_done(opened.place, number)]
    except BadInput as error:
        raise jobs.UserError(error.message) from None
    builds.planned(build, summary.shards, missing)
    return {"shards": summary.shards, "missing": len(missing)}


def shard_job(job: Job) -> dict[str, Any]:
    """Build one shard; one that is there already is left alone."""
    build, number = Build.objects.get(pk=job.args["build"]), job.args["shard"]

    def tick(samples: int) -> None:
        if samples % 16 == 0:
            jobs.report(job, 0.5, _("%(n)s samples") % {"n": samples})

    try:
        opened = _Open(build)
        if is_done(opened.place, number):
            return {}
        summary = read_plan(opened.place)
        if summary is None:
            raise BadInput(_("%(out)s has no plan") % {"out": build.out})
        wanted = same_build(summary, opened.settings)
        work, opener = read_work(opened.place, number), Opener(opened.stock, opened.meshes)
        report = run_shard(wanted, work, opened.place, opener, encoder_of(wanted), tick)
    except BadInput as error:
        raise jobs.UserError(error.message) from None
    return {"rows": report["rows"], "refused": len(report["refused"])}


def finish_job(job: Job) -> dict[str, Any]:
    """Make the index of a build whose shards are all there."""
    build = Build.objects.get(pk=job.args["build"])
    try:
        place = place_of(build.out, settings.S3_ENDPOINT_URL)
        summary = read_plan(place)
        if summary is None:
            raise BadInput(_("%(out)s has no plan") % {"out": build.out})
        manifest = finish(summary, place)
    except BadInput as error:
        raise jobs.UserError(error.message) from None
    place.tidy()
    builds.finished(build, manifest)
    return {"id": manifest["id"], "rows": manifest["counts"]["rows"]}


def settle(job_id: int) -> None:
    """After a job of a build has ended, however it did."""
    build = Build.objects.filter(pk=Job.objects.values_list("args__build", flat=True).get(pk=job_id)).first()
    if build is not None:
        builds.settle(build)
