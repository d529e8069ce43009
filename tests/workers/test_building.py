"""Builds on real workers: plan, shards and index as jobs; a killed worker, a failed shard and a second call."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trimesh
from django.core.management import CommandError, call_command

from backend import jobs, storage
from backend.catalog.models import Mesh
from backend.datasets import builds
from backend.datasets.models import Build
from backend.models import Job
from model_zoo.build.place import TMP, Folder
from model_zoo.build.run import is_done
from workers import building, importing
from workers.tasks import build_finish, build_plan, build_shard

OPTIONS = {"seed": 0, "limit": 0, "size": 64, "views": 2, "meshes": "", "encoder": "", "renderer": "auto"}


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """Three meshes and one that is none."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    trimesh.creation.icosphere(2).export(folder / "ball.glb")
    trimesh.creation.cylinder(1, 2).export(folder / "can.stl")
    trimesh.creation.box((1, 2, 3)).export(folder / "box.ply")
    (folder / "broken.glb").write_bytes(b"glTF but not really")
    return folder


def begin(source: Path | str, out: Path) -> Build:
    """A build that is queued and waits for somebody to run its jobs."""
    return builds.begin(variant="iso3do", source=str(source), out=str(out), options=dict(OPTIONS))


def work(build: Build) -> None:
    """Run what is queued, as a worker would, until nothing is."""
    task = {"build_plan": build_plan, "build_shard": build_shard, "build_finish": build_finish}
    while (
        job := Job.objects.filter(group=builds.group_of(build), state=Job.State.QUEUED).order_by("pk").first()
    ):
        task[job.kind](job.pk)
    build.refresh_from_db()


@pytest.mark.django_db(transaction=True)
def test_a_build_goes_through_plan_shards_and_index(alone: None, meshes: Path, tmp_path: Path) -> None:
    build = begin(meshes, tmp_path / "out")
    work(build)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (build.state, build.sha256, build.shards) == (Build.State.DONE, manifest["hash"], 4)
    assert (build.counts["rows"], build.counts["refused"]) == (6, 1)
    assert builds.progress(build) == 1
    assert not (tmp_path / "out" / TMP).exists()
    with pytest.raises(jobs.UserError, match="is finished"):
        begin(meshes, tmp_path / "out")


@pytest.mark.django_db(transaction=True)
def test_a_failed_shard_fails_the_build_and_is_tried_again_on_the_next_call(
    alone: None, meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = begin(meshes, tmp_path / "out")
    real = building.run_shard

    def out_of_space(settings: Any, work: Any, *args: Any, **more: Any) -> dict[str, Any]:
        if work.number == 1:
            raise OSError("No space left on device")
        return real(settings, work, *args, **more)

    monkeypatch.setattr(building, "run_shard", out_of_space)
    work(build)
    assert (build.state, build.error) == (Build.State.FAILED, "OSError: No space left on device")
    assert sorted(n for n in range(4) if is_done(Folder(tmp_path / "out"), n)) == [0, 2, 3]
    monkeypatch.setattr(building, "run_shard", real)
    again = begin(meshes, tmp_path / "out")
    assert (again.pk, again.state) == (build.pk, Build.State.BUILDING)
    work(again)
    assert again.state == Build.State.DONE


@pytest.mark.django_db(transaction=True)
def test_whoever_comes_by_moves_a_build_on_whose_worker_died(
    alone: None, meshes: Path, tmp_path: Path
) -> None:
    build = begin(meshes, tmp_path / "out")
    job = Job.objects.get(kind="build_plan")
    jobs.run(job.pk, building.plan_job)
    for job in Job.objects.filter(kind="build_shard"):
        jobs.run(job.pk, building.shard_job)  # and the worker dies before it settles
    assert not Job.objects.filter(kind="build_finish").exists()
    builds.settle_all()
    builds.settle_all()
    assert Job.objects.filter(kind="build_finish").count() == 1
    work(build)
    assert build.state == Build.State.DONE


@pytest.mark.django_db(transaction=True)
def test_the_library_is_a_source(alone: None, meshes: Path, tmp_path: Path) -> None:
    (meshes / "broken.glb").unlink()
    importing.import_meshes(meshes, given={"licence": "CC0-1.0", "category": "toy"})
    build = begin(building.LIBRARY, tmp_path / "out")
    work(build)
    assert (build.state, build.counts["shapes"]) == (Build.State.DONE, 3)


@pytest.mark.django_db(transaction=True)
def test_a_mesh_of_the_library_that_the_store_lacks_now_is_not_lost(
    alone: None, meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (meshes / "broken.glb").unlink()
    importing.import_meshes(meshes, given={"licence": "CC0-1.0", "category": "toy"})
    build, real = begin(building.LIBRARY, tmp_path / "out"), storage.read
    gone = Mesh.objects.order_by("blob_id").first()
    assert gone is not None

    def slow_down(blob: Any) -> bytes:
        if blob == gone.blob_id:
            raise storage.StorageError("503 SlowDown")
        return real(blob)

    monkeypatch.setattr(storage, "read", slow_down)
    work(build)
    assert build.state == Build.State.FAILED and "the source cannot be read now" in build.error
    monkeypatch.setattr(storage, "read", real)
    trimesh.creation.icosphere(1).export(meshes / "one_more.glb")  # the library grows, the plan stays
    importing.import_meshes(meshes, given={"licence": "CC0-1.0", "category": "toy"})
    again = begin(building.LIBRARY, tmp_path / "out")
    work(again)
    assert (again.state, again.counts["shapes"]) == (Build.State.DONE, 3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["iso3do", "--from", "nowhere", "--out", "{out}"], "is no folder, ZIP or s3:// prefix"),
        (["iso3do", "--from", "{meshes}", "--out", "{out}", "--size", "7"], "--size: 64 to 2048"),
        (["rp3do-fo", "--from", "{meshes}", "--out", "{out}"], "nothing to build"),
    ],
)
def test_the_command_ends_with_one_line(
    arguments: list[str], said: str, meshes: Path, tmp_path: Path, worker: SimpleNamespace
) -> None:
    filled = [word.format(out=tmp_path / "out", meshes=meshes) for word in arguments]
    with pytest.raises(CommandError, match=said):
        call_command("build", *filled)


@pytest.mark.django_db(transaction=True)
def test_the_command_builds_on_a_real_worker(
    meshes: Path, tmp_path: Path, worker: SimpleNamespace, capsys: Any
) -> None:
    call_command(
        "build",
        "iso3do",
        "--from",
        str(meshes),
        "--out",
        str(tmp_path / "out"),
        "--size",
        "64",
        "--views",
        "2",
    )
    assert "6 samples, 3 shapes, 1 refused (report.md)" in capsys.readouterr().out
    assert (tmp_path / "out" / "manifest.json").is_file()
