"""One small turn of the flywheel, for real: simulated annotators, releases, two trainings, a promotion, a report."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from backend.annotation.models import Assignment
from backend.datasets.models import PreferencePair, Sample
from backend.training.models import Promotion

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_turn_makes_samples_a_checkpoint_and_an_honest_report(
    live_url: str, worker: None, proposers: None, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    options = {"iterations": 1, "scenes": 1, "annotators": 2, "alpha": 0.05, "steps": 1, "held_out": 1, "url": live_url}
    call_command("flywheel", out=out, recipe="tiny", **options)
    turn = json.loads((out / "report.json").read_text())["turns"][0]
    assert turn["samples"] == Sample.objects.filter(simulated=True).count() > 0
    assert turn["pairs"] == PreferencePair.objects.filter(simulated=True).count() > 0
    assert set(turn["checkpoints"]) == {"sft", "dpo"}
    assert Promotion.objects.get(ended_at=None).checkpoint.name == turn["proposer_after"]
    assert set(Assignment.objects.values_list("origin", flat=True)) == {"simulation"}
    assert "**simulated**" in (out / "report.md").read_text()
    assert (out / "report.png").stat().st_size > 10_000


def test_a_flywheel_into_a_folder_with_files_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(CommandError, match="is not empty"):
        call_command("flywheel", out=tmp_path)
