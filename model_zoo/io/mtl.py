"""Wavefront MTL from untrusted bytes: base colours and their textures, found only among files that came along."""

import io
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.surface import Material
from model_zoo.io.textures import MissingTexture, TextureReader, linear_from_srgb

MAX_LINE = 1 << 16

# Bytes of a file named in the OBJ or MTL, or None when it did not come along; raises BadInput when it may not be read.
Finder = Callable[[str], bytes | None]


def lines_of(data: bytes) -> Iterator[tuple[int, str]]:
    """(line number, line) of every statement: comments gone, continued lines joined."""
    pending = ""
    for number, raw in enumerate(io.BytesIO(data), 1):
        line = raw.decode("utf-8", "replace")
        line = pending + line.partition("#")[0].strip()
        if len(line) > MAX_LINE:
            raise BadInput(f"OBJ: line {number} is longer than {MAX_LINE} characters", "bad_line")
        if line.endswith("\\"):
            pending = line[:-1] + " "
            continue
        pending = ""
        if line:
            yield number, line


def read_libraries(names: list[str], find: Finder, notes: list[str]) -> dict[str, Material]:
    """Materials by name of the MTL files that `find` gives; one that is missing or refused is a warning."""
    materials: dict[str, Material] = {}
    textures = TextureReader(notes)
    for name in dict.fromkeys(names):
        try:
            data = find(name)
        except BadInput as error:
            notes.append(
                MissingTexture(f'the material library "{safe_text(name)}" was refused: {error.message}')
            )
            continue
        if data is None:
            notes.append(
                MissingTexture(
                    f'the material library "{safe_text(name)}" did not come with the file; its materials are missing'
                )
            )
        else:
            materials.update(_read_mtl(data, find, textures, notes))
    return materials


def _read_mtl(data: bytes, find: Finder, textures: TextureReader, notes: list[str]) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    current = Material()
    for number, line in lines_of(data.removeprefix(b"\xef\xbb\xbf")):
        keyword, _, rest = line.partition(" ")
        rest = rest.strip()
        if keyword == "newmtl":
            current = materials[rest] = Material()
        elif keyword == "Kd":
            current.factor = _colour(rest, number, notes)
        elif keyword == "map_Kd" and rest:
            current.texture = _find_texture(rest, find, textures, notes)
    for material in materials.values():
        if (
            material.texture is not None
        ):  # exporters write Kd 0 or grey beside a texture; viewers show the texture
            material.factor = (1.0, 1.0, 1.0, 1.0)
    return materials


def _colour(rest: str, number: int, notes: list[str]) -> tuple[float, float, float, float]:
    try:
        red, green, blue = (float(linear_from_srgb(np.array([float(word)]))[0]) for word in rest.split()[:3])
    except ValueError:
        notes.append(f"MTL: line {number}: the colour is not three numbers and was left out")
        return 1.0, 1.0, 1.0, 1.0
    return red, green, blue, 1.0


def _find_texture(rest: str, find: Finder, textures: TextureReader, notes: list[str]) -> Image.Image | None:
    """The picture of a map_Kd line; its options (-s, -o, ...) come before the name, which may hold spaces."""
    words = rest.split()
    for name in (rest, words[-1]):
        try:
            data = find(name.strip('"'))
        except BadInput as error:
            notes.append(MissingTexture(f'the texture "{safe_text(name)}" was refused: {error.message}'))
            return None
        if data is not None:
            return textures.read(data, f'the texture "{safe_text(name)}"')
    notes.append(
        MissingTexture(f'the texture "{safe_text(words[-1])}" did not come with the file and was left out')
    )
    return None
