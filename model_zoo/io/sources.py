"""Where scenes are read from: a folder or a ZIP, behind the same three methods; nothing outside it is ever opened."""

import os
import posixpath
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from model_zoo.io.archives import open_archive
from model_zoo.io.errors import BadInput, safe_text

MAX_FILE_BYTES = 256 * 2**20
MESH_SEARCH_LEVELS = 3


class Source(Protocol):
    """Files by relative names with slashes."""

    title: str
    names: list[str]
    warnings: list[str]

    def read(self, name: str) -> bytes:
        """Bytes of a file. Raises BadInput."""

    def find_mesh(self, folder: str, reference: str) -> Path | bytes | None:
        """The mesh that a file in `folder` refers to: a path on disk, bytes from an archive, None when missing."""


class FolderSource:
    """A folder on disk; links and hidden files are not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.title = root.resolve().name
        self.warnings: list[str] = []

    @cached_property
    def names(self) -> list[str]:
        """Every file, sorted; the folder is walked when this is first asked for."""
        found = []
        for folder, subfolders, files in os.walk(self.root, followlinks=False):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            below = Path(folder).relative_to(self.root)
            for name in files:
                if (Path(folder) / name).is_symlink():
                    self.warnings.append(f'the link "{safe_text(name)}" was not followed')
                elif not name.startswith("."):
                    found.append((below / name).as_posix())
        return sorted(found)

    def read(self, name: str) -> bytes:
        """Bytes of a file below the folder. Raises BadInput."""
        path = self.root / check_relative(name)
        try:
            inside = path.resolve().is_relative_to(self.root.resolve()) and path.is_file()
        except (OSError, ValueError):
            inside = False
        if not inside:
            raise BadInput(f'"{safe_text(name)}" is not in the folder', "missing_file")
        return self.read_path(path, name)

    @staticmethod
    def read_path(path: Path, name: str) -> bytes:
        """Bytes of a file that is not too large. Raises BadInput."""
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise BadInput(f'"{safe_text(name)}" is larger than {MAX_FILE_BYTES >> 20} MB', "too_large")
            return path.read_bytes()
        except OSError:
            raise BadInput(f'"{safe_text(name)}" cannot be read', "unreadable") from None

    def find_mesh(self, folder: str, reference: str) -> Path | bytes | None:
        place = check_relative(reference)
        start = (self.root / folder).resolve()
        # objects.json names meshes relative to the root of its data set, which may lie above what is imported.
        for base in (start, *start.parents[:MESH_SEARCH_LEVELS]):
            if (base / place).is_file() and (base / place).resolve().is_relative_to(base):
                return base / place
        return None


class SingleSource:
    """One file alone, whatever lies beside it."""

    def __init__(self, name: str, data: bytes | Path) -> None:
        self.title, self.names = name, [name]
        self.warnings: list[str] = []
        self._data = data

    def read(self, name: str) -> bytes:
        """The file's bytes. Raises BadInput."""
        if isinstance(self._data, bytes):
            return self._data
        return FolderSource.read_path(self._data, name)

    def find_mesh(self, folder: str, reference: str) -> Path | bytes | None:
        """None: nothing came along."""
        return None


class ZipSource:
    """A ZIP, given as bytes or as a file."""

    def __init__(self, data: bytes | Path, title: str) -> None:
        archive = open_archive(data)
        self.title = title
        self.warnings = archive.warnings
        self._readers: dict[str, Callable[[], bytes]] = {
            member.name: member.read for member in archive.members
        }
        self.names = sorted(self._readers)

    def read(self, name: str) -> bytes:
        if name not in self._readers:
            raise BadInput(f'"{safe_text(name)}" is not in the archive', "missing_file")
        return self._readers[name]()

    def find_mesh(self, folder: str, reference: str) -> Path | bytes | None:
        place = check_relative(reference)
        while True:
            name = posixpath.join(folder, place)
            if name in self._readers:
                return self._readers[name]()
            if not folder:
                return None
            folder = posixpath.dirname(folder)


def check_relative(name: object) -> str:
    """A relative name without "..". Raises BadInput naming it."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise BadInput(f'"{safe_text(name)}" is not a file name', "bad_path")
    if name.startswith("/") or "\\" in name or name[1:2] == ":" or ".." in name.split("/"):
        raise BadInput(f'"{safe_text(name)}" points outside the folder', "bad_path")
    return posixpath.normpath(name)
