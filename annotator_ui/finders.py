"""Which files of the three npm package are collected: the modules that pages import and what those import in turn.

The package's examples hold hundreds of modules, some with imports that do not resolve once they are served.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import FileSystemFinder

PREFIX = "vendor/three/"
ENTRIES = (
    "build/three.module.js",
    "addons/controls/OrbitControls.js",
    "addons/controls/TransformControls.js",
    "addons/environments/RoomEnvironment.js",
    "addons/libs/meshopt_decoder.module.js",
    "addons/libs/meshopt_simplifier.module.js",
    "addons/loaders/GLTFLoader.js",
    "addons/utils/BufferGeometryUtils.js",
)
_IMPORT = re.compile(r"""(?:from|import)\s*['"](\.{1,2}/[^'"]+)['"]""")


class StaticFinder(FileSystemFinder):
    """STATICFILES_DIRS as usual, but of vendor/three/ only what is reachable from ENTRIES."""

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Any]]:
        wanted = self.reachable()
        for path, storage in super().list(ignore_patterns):
            full = f"{storage.prefix}/{path}" if storage.prefix else path
            if not full.startswith(PREFIX) or full in wanted:
                yield path, storage

    def reachable(self) -> set[str]:
        """Static paths of the entries and, transitively, of their relative imports; empty without npm packages."""
        waiting, seen = [PREFIX + entry for entry in ENTRIES], set()
        while waiting:
            name = waiting.pop()
            source = self.find(name)
            if name in seen or not source:
                continue
            seen.add(name)
            text = Path(str(source)).read_text(encoding="utf-8")
            waiting += [
                posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
                for target in _IMPORT.findall(text)
            ]
        return seen
