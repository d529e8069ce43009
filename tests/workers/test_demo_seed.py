"""The demo's people, proposers, library and batch; again without harm."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backend.accounts.models import User
from backend.annotation.models import Task
from backend.catalog.models import Batch, Image, Mesh, TargetObject, Truth
from backend.models import Job
from backend.proposals.models import Proposer
from workers.management.commands.demo_seed import make_people

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hashing is slow on purpose; here it is not what is tested."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def counts() -> dict[str, int]:
    return {
        model.__name__: model.objects.count() for model in (User, Proposer, Image, TargetObject, Mesh, Job)
    }


def test_the_demo_has_photographs_scenes_with_truth_and_a_library() -> None:
    call_command("demo_seed", "--scenes", "1")
    assert Image.objects.exclude(licence="").count() == Image.objects.count() == 7
    assert Mesh.objects.filter(source="library").count() >= 40
    assert Truth.objects.filter(measured=True).exists()
    batches = Batch.objects.in_bulk(field_name="name")
    assert {name: batch.protocol for name, batch in batches.items()} == {
        "demo": "king_of_the_hill", "demo-grid": "grid", "demo-outline": "king_of_the_hill"
    }  # fmt: skip
    compared = Task.objects.filter(stage="compare").values("batch", "object").distinct().count()
    assert Job.objects.filter(kind="propose").count() == 3 * compared
    outlined = batches["demo-outline"].tasks.filter(stage="select", state="open")
    assert outlined.filter(object__mask=None).count() == 6 and outlined.exclude(object__mask=None).count() == 2
    assert {"cup", "helmet", "desk lamp"} <= set(batches["demo-outline"].taxonomy)
    # Real photographs first.
    names = batches["demo"].tasks.order_by("sort_key").values_list("object__image__name", flat=True)
    assert ["scene_" in name for name in names] == sorted("scene_" in name for name in names)
    before = counts()
    call_command("demo_seed", "--scenes", "1")
    assert counts() == before


def test_everyone_can_log_in_with_the_kept_password(tmp_path: Path) -> None:
    path = tmp_path / "logins.json"
    for _ in range(2):
        make_people(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for row in json.loads(path.read_text()):
        person = User.objects.get(username=row["username"])
        assert person.check_password(row["password"]) and person.role == row["role"]


def test_a_lost_login_file_gives_new_passwords(tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "logins.json"
    make_people(path)
    path.unlink()
    make_people(path)
    row = json.loads(path.read_text())[0]
    assert User.objects.get(username=row["username"]).check_password(row["password"])
