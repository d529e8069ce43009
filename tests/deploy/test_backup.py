"""A backup of one installation restores into another."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

PROJECT = Path(__file__).resolve().parents[2]


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """deploy.backup on the given home, its database an own one on the test server."""
    server, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    environment = {**os.environ, "MAQUETTE_HOME": str(home), "DATABASE_URL": f"{server}/{home.name}"}
    return subprocess.run(
        [sys.executable, "-m", "deploy.backup", *words],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )


def query(home: Path, *statements: str) -> list[tuple[int]]:
    """Rows of the last statement in a home's database, which is created first where missing."""
    server, _, main = os.environ["DATABASE_URL"].rpartition("/")
    admin = psycopg2.connect(f"{server}/{main}")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [home.name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {home.name}")
    admin.close()
    connection = psycopg2.connect(f"{server}/{home.name}")
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def test_rows_and_blobs_come_back(tmp_path: Path) -> None:
    old, new = tmp_path / "bk_old", tmp_path / "bk_new"
    query(old, "DROP TABLE IF EXISTS sample", "CREATE TABLE sample (id int)", "INSERT INTO sample VALUES (7)")
    query(new, "DROP TABLE IF EXISTS sample", "CREATE TABLE sample (id int)")
    (old / "blobs" / "ab").mkdir(parents=True)
    (old / "blobs" / "ab" / "abcd").write_bytes(b"mesh")
    assert run(old, str(tmp_path / "kept")).returncode == 0
    assert run(new, str(tmp_path / "kept"), "--restore").returncode == 0
    assert query(new, "SELECT id FROM sample") == [(7,)]
    assert (new / "blobs" / "ab" / "abcd").read_bytes() == b"mesh"


@pytest.mark.parametrize("words", [["missing", "--restore"]])
def test_a_folder_without_a_dump_is_one_line_and_exit_code_1(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path / "bk_none", *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
