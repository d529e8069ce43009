"""Checkpoints are stored once; promotion is a stack with exactly one proposer on top."""

from pathlib import Path

import pytest

from backend.jobs import UserError
from backend.proposals.models import Proposer
from backend.training import services
from backend.training.models import Checkpoint, Promotion, TrainingRun
from tests.backend.training.folders import checkpoint_folder

pytestmark = pytest.mark.django_db


def made(tmp_path: Path, name: str) -> Checkpoint:
    return services.register_folder(checkpoint_folder(tmp_path / name, name.encode()), name)


def proposing() -> list[str]:
    return list(Proposer.objects.filter(active=True).values_list("name", flat=True))


def test_registering_a_folder_twice_gives_one_checkpoint(tmp_path: Path) -> None:
    assert made(tmp_path, "tiny-0") == made(tmp_path, "tiny-0")
    assert Checkpoint.objects.count() == 1


def test_a_name_never_gets_other_weights(tmp_path: Path) -> None:
    made(tmp_path, "tiny-0")
    with pytest.raises(UserError, match="another checkpoint named tiny-0"):
        services.register_folder(checkpoint_folder(tmp_path / "other", b"other"), "tiny-0")


@pytest.mark.parametrize("missing", ["weights.safetensors", "config.json", "card.json"])
def test_an_incomplete_folder_is_refused(tmp_path: Path, missing: str) -> None:
    folder = checkpoint_folder(tmp_path / "half")
    (folder / missing).unlink()
    with pytest.raises(UserError, match=missing):
        services.register_folder(folder, "half")


def test_a_checkpoint_comes_back_as_the_folder_it_was(tmp_path: Path) -> None:
    folder = services.folder_of(made(tmp_path, "tiny-0"))
    assert (folder / "weights.safetensors").read_bytes() == b"tiny-0"
    assert (folder / "config.json").is_file() and (folder / "card.json").is_file()


def test_a_child_keeps_the_second_stage_of_its_parent(tmp_path: Path) -> None:
    second = services.register_folder(checkpoint_folder(tmp_path / "t", b"t", model="texture"), "second")
    first = made(tmp_path, "first")
    row = services.propose_with(first, texture=second)
    first.refresh_from_db()
    child = services.register_folder(checkpoint_folder(tmp_path / "c", b"c"), "child", parent=first)
    assert (row.kind, row.active, child.texture) == ("sam3d", False, second)


def test_a_second_stage_that_borrows_a_backbone_is_not_put_behind_a_trained_geometry(tmp_path: Path) -> None:
    second = services.register_folder(checkpoint_folder(tmp_path / "t", b"t", model="texture"), "second")
    second.config["borrowed"] = {"prefixes": {}, "sha256": ""}
    second.save(update_fields=["config"])
    first = made(tmp_path, "first")
    first.texture = second
    first.save(update_fields=["texture"])
    run = TrainingRun.objects.create(stage="sft")
    child = services.register_folder(checkpoint_folder(tmp_path / "c", b"c"), "child", run=run, parent=first)
    assert child.texture is None
    with pytest.raises(UserError, match="second borrows the backbone .* convert it with --apart"):
        services.propose_with(child, texture=second)
    services.propose_with(first, texture=second)


def test_promoting_replaces_the_proposer(tmp_path: Path) -> None:
    for name in ("tiny-0", "sft-1"):
        services.promote(made(tmp_path, name))
    assert proposing() == ["flow-sft-1"]


def test_promoting_again_changes_nothing(tmp_path: Path) -> None:
    checkpoint = made(tmp_path, "tiny-0")
    assert services.promote(checkpoint) == services.promote(checkpoint)
    assert Promotion.objects.count() == 1


def test_demote_goes_back_step_by_step(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        services.promote(made(tmp_path, name))
    services.demote()
    services.promote(made(tmp_path, "d"))
    assert [services.demote().checkpoint.name for _ in range(2)] == ["b", "a"]
    assert proposing() == ["flow-a"]


def test_the_first_promotion_cannot_be_taken_back(tmp_path: Path) -> None:
    services.promote(made(tmp_path, "tiny-0"))
    with pytest.raises(UserError, match="none to go back to"):
        services.demote()


def test_without_a_promotion_there_is_nothing_to_demote() -> None:
    with pytest.raises(UserError, match="no checkpoint is promoted"):
        services.demote()
