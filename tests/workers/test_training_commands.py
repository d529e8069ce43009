"""The commands around training: one line for what cannot be, exit code 0 for what was done."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from backend.proposals.models import Proposer
from backend.training import services
from backend.training.models import Checkpoint, TrainingRun
from tests.backend.datasets.rows import PLAIN, World
from tests.backend.datasets.test_api import frozen
from tests.backend.training.folders import checkpoint_folder

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoint_folder(tmp_path / "tiny-0")


@pytest.mark.parametrize(("command", "said"), [
    (["promote", "nothing"], "no checkpoint named nothing"),
    (["demote"], "no checkpoint is promoted"),
    (["evaluate", "nothing"], "no checkpoint named nothing"),
    (["train", "sft", "--data", "77", "--init", "nothing"], "no checkpoint named nothing"),
    (["train", "sft", "--data", "synthetic"], "sft starts from a checkpoint"),
    (["train", "pretrain", "--data", "77"], "no frozen release '77'"),
    (["add_proposer", "sam3d", "nothing"], "no checkpoint named nothing"),
    (["add_proposer", "command", "trellis", "--texture", "x"], "--texture belongs to sam3d"),
])  # fmt: skip
def test_bad_input_is_one_line(command: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command(*command)


def test_promote_takes_a_folder_or_a_name_and_demote_goes_back(folder: Path, tmp_path: Path) -> None:
    call_command("promote", str(folder))
    services.register_folder(checkpoint_folder(tmp_path / "b", b"b"), "sft-1")
    call_command("promote", "sft-1")
    call_command("demote")
    assert list(Proposer.objects.filter(active=True).values_list("name", flat=True)) == ["flow-tiny-0"]


def test_proposers_are_added_switched_off(folder: Path, tmp_path: Path) -> None:
    second = checkpoint_folder(tmp_path / "second", b"t", model="texture")
    err = io.StringIO()
    call_command("add_proposer", "sam3d", str(folder), "--texture", str(second))
    call_command("add_proposer", "command", "trellis", "--on", "--share", "2", stderr=err)
    rows = Proposer.objects.order_by("name").values_list("name", "kind", "active", "share")
    assert list(rows) == [("sam3d-tiny-0", "sam3d", False, 3), ("trellis", "command", True, 2)]
    assert Checkpoint.objects.get(proposer__kind="sam3d").texture.name == "second"
    assert "no command of this name is set on this machine" in err.getvalue()


def test_both_stages_of_a_converted_folder_are_taken(tmp_path: Path) -> None:
    checkpoint_folder(tmp_path / "released" / "geometry", b"g")
    checkpoint_folder(tmp_path / "released" / "texture", b"t", model="texture")
    call_command("add_proposer", "sam3d", str(tmp_path / "released"))
    row = Checkpoint.objects.get(proposer__name="sam3d-released-geometry")
    assert (row.name, row.texture.name) == ("released-geometry", "released-texture")


def test_a_checkpoint_proposes_once_and_with_the_stages_in_their_places(folder: Path, tmp_path: Path) -> None:
    second = checkpoint_folder(tmp_path / "second", b"t", model="texture")
    with pytest.raises(CommandError, match="second is not a checkpoint of the model geometry"):
        call_command("add_proposer", "sam3d", str(second))
    call_command("promote", str(folder))
    with pytest.raises(CommandError, match="tiny-0 proposes already, as flow-tiny-0"):
        call_command("add_proposer", "sam3d", str(folder))


def test_a_run_is_queued_with_the_arguments_of_the_trainer(folder: Path) -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    made = frozen(world, "sft")
    call_command(
        "train",
        "sft",
        "--data",
        str(made.pk),
        "--init",
        str(folder),
        "--steps",
        "3",
        "--lr",
        "0.1",
        "--no-wait",
    )
    run = TrainingRun.objects.get()
    assert run.options == {"steps": 3, "lr": 0.1} and run.releases.get() == made and run.init.name == "tiny-0"


def test_resume_goes_on_with_the_failed_run(folder: Path, capsys: Any) -> None:
    small = ["--steps", "1", "--scenes", "4", "--shapes", "1"]  # a worker of another test may take it up
    arguments = ["train", "sft", "--data", "synthetic", "--init", str(folder), "--no-wait", *small]
    call_command(*arguments)
    run = TrainingRun.objects.get()
    with pytest.raises(CommandError, match="no run of these arguments has failed"):
        call_command(*arguments, "--resume")
    type(run.job).objects.update(state="failed")
    TrainingRun.objects.update(state="failed")
    call_command(*arguments, "--resume")
    assert TrainingRun.objects.get().state == "queued"
