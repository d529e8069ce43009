"""The front door stays true: its tree is the disk's, its pictures are there, its lines are those that tests run."""

import re
from pathlib import Path

from backend.datasets.services import loading_lines

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_first_command_comes_early_and_the_page_stays_short() -> None:
    lines = TEXT.splitlines()
    assert next(n for n, line in enumerate(lines) if line.startswith("make demo")) < 15
    assert len(lines) <= 200


def test_every_picture_and_file_it_names_is_there() -> None:
    named = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT) + re.findall(
        r"`((?:backend|model_zoo|workers)/[\w/.]+)`", TEXT
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_tree_is_the_disks() -> None:
    tree = TEXT.split("## Tree\n```\n")[1].split("```")[0]
    folder, missing = "", []
    for line in tree.splitlines():
        inner = line.startswith("  ")
        names = re.findall(r"[\w./]+", line.split("  ")[1 if inner else 0])
        for name in names:
            folder = folder if inner else name
            path = ROOT / folder / name if inner else ROOT / name
            if not path.exists():
                missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_the_loading_lines_are_the_ones_that_are_tested() -> None:
    for lines in loading_lines("DIR").values():
        assert lines in TEXT
