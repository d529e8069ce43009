"""External commands and models as proposers of a worker: one model in memory, and a crash fails the job, never the worker."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from billiard import Process

from backend import jobs
from backend.models import Job
from backend.proposals import services
from backend.proposals.models import Candidate, Proposer
from backend.training import services as training
from model_zoo.io.errors import BadInput
from model_zoo.proposers import command
from model_zoo.proposers.inflation import Inflation
from tests.workers.test_proposing import work, world
from workers import proposing, tasks

pytestmark = pytest.mark.django_db
EXAMPLE = Path(command.__file__).parent / "adapters" / "example.py"


@pytest.fixture
def example(settings: Any) -> None:
    """The shipped example as the adapter `example`."""
    settings.ADAPTERS = {"example": [sys.executable, str(EXAMPLE)]}
    settings.ADAPTER_SECONDS = 120


def external(name: str) -> Proposer:
    return services.add(name, Proposer.Kind.COMMAND, active=True)


def test_a_command_gives_candidates_with_what_made_them(
    test_data: Path, tmp_path: Path, example: None
) -> None:
    made = world(test_data, tmp_path, wanted=2, kinds=("inflation",))
    row = external("example")
    services.propose(made.batch)
    (job,) = work(args__proposer=row.pk)
    assert (job.state, job.result["models"]) == ("done", ["example 1"]), job.error
    assert Candidate.objects.get().seed == 0


def test_a_command_that_is_not_set_up_says_which_setting_is_empty() -> None:
    with pytest.raises(BadInput, match="not set up on this worker: MAQUETTE_ADAPTER_HUNYUAN3D_21 is empty"):
        proposing.proposer_of(external("hunyuan3d-21"))


def test_sam3d_without_a_checkpoint_says_what_to_do() -> None:
    with pytest.raises(BadInput, match="no checkpoint belongs to this proposer: add_proposer sam3d names one"):
        proposing.proposer_of(services.add("ours", Proposer.Kind.SAM3D))


def test_a_worker_keeps_one_model_and_what_has_no_weights() -> None:
    shelf = proposing.Shelf()
    plain = shelf.get("inflation", 1, Inflation)
    first = shelf.get("flow", 2, Inflation)
    assert shelf.get("flow", 2, Inflation) is first
    second = shelf.get("command", 2, Inflation)
    assert [kept for _, kept in shelf.kept.values()] == [plain, second] and second is not first


def test_the_former_model_is_let_go_before_the_next_one_is_loaded() -> None:
    shelf = proposing.Shelf()
    shelf.get("flow", 1, Inflation)

    def load() -> Inflation:
        assert shelf.kept == {}
        return Inflation()

    shelf.get("sam3d", 2, load)


class Spoilt:
    """A model whose device has failed."""

    name = "spoilt"

    def propose(self, *_: Any, **__: Any) -> list[Any]:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")


def test_an_error_of_the_device_is_kept_and_asks_for_another_process(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(test_data, tmp_path)
    services.propose(made.batch)
    job = Job.objects.first()
    monkeypatch.setattr(proposing, "shelf", proposing.Shelf())
    row = made.proposers[0]
    proposing.shelf.kept["inflation"] = ((row.kind, row.pk), Spoilt())
    jobs.run(job.pk, proposing.propose_job)
    job.refresh_from_db()
    assert proposing.shelf.spoiled and job.state == "queued"
    assert job.error.startswith("AcceleratorError: CUDA error: device-side assert triggered\n")


def test_a_spoiled_process_of_the_pool_ends_and_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = []
    for spoiled in (False, True):
        monkeypatch.setattr(proposing.shelf, "spoiled", spoiled)
        child = Process(target=tasks.leave_when_spoiled)
        child.start()
        child.join(20)
        codes.append(child.exitcode)
    tasks.leave_when_spoiled()  # this process is no pool's
    assert codes == [0, 1]


def test_a_checkpoint_proposes_with_its_own_weights(test_data: Path, tmp_path: Path) -> None:
    made = world(test_data, tmp_path, kinds=("inflation",))
    row = training.propose_with(training.register_folder(proposing.SHIPPED, "mine"), active=True)
    services.propose(made.batch)
    (job,) = work(args__proposer=row.pk)
    assert (job.state, job.result["models"]) == ("done", ["mine"]), job.error
    assert (row.name, row.kind) == ("sam3d-mine", "sam3d")


@pytest.mark.django_db(transaction=True)
def test_a_crash_and_a_hang_fail_their_jobs_and_the_worker_goes_on(
    test_data: Path, tmp_path: Path, worker: None
) -> None:
    made = world(test_data, tmp_path, wanted=3, kinds=("inflation",))
    names = {external(name).pk: name for name in ("crashes", "hangs")}
    services.propose(made.batch)
    ended = wait_for_jobs()
    errors = {names.get(job.args["proposer"]): job.error for job in ended if job.state == "failed"}
    assert errors == {
        "crashes": "crashes: it was killed by SIGSEGV",
        "hangs": "hangs: it was stopped after 3 s",
    }
    # The worker still works, and what failed can be tried again.
    assert Candidate.objects.count() == 1
    crashed = next(job for job in ended if job.error.startswith("crashes"))
    assert jobs.retry(crashed)
    assert crashed.error in {job.error for job in wait_for_jobs()}


def wait_for_jobs(seconds: float = 60) -> list[Job]:
    """All jobs once none is under way."""
    deadline = time.monotonic() + seconds
    while Job.objects.filter(state__in=["queued", "running"]).exists():
        assert time.monotonic() < deadline, list(Job.objects.values_list("state", "error"))
        time.sleep(0.1)
    time.sleep(0.2)  # the last one settles its object after its row has ended
    return list(Job.objects.filter(kind="propose").order_by("id"))
