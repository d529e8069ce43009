"""The project as Django sees it: migrations that match the models, static files that resolve."""

from pathlib import Path

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_static_files_are_collected_with_all_their_imports(settings: object, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path  # type: ignore[attr-defined]
    call_command("collectstatic", interactive=False, verbosity=0)
    assert list(tmp_path.glob("vendor/three/build/three.module.*.js"))
    assert (tmp_path / "staticfiles.json").is_file()
