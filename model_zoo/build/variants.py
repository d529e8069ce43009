"""The variants of a build by name: what makes their samples, and the columns of their own."""

from typing import NamedTuple

import pyarrow as pa

from model_zoo.build import flying, iso3do, swap
from model_zoo.build.kinds import Builder


class Variant(NamedTuple):
    """title: the paper's name. about: for its card. columns: of the index, behind those that every data set has."""

    title: str
    about: str
    build: Builder
    columns: list[tuple[str, pa.DataType]]


VARIANTS = {
    "iso3do": Variant(
        "Iso-3DO",
        "Isolated meshes in the canonical frame, each seen by many cameras: a condition image under random light, its "
        "target under ambient light, mask, depth and normals; the solid 64^3 occupancy of every mesh (paper 3.1.1, B.1).",
        iso3do.build,
        iso3do.COLUMNS,
    ),
    "rp3do-fo": Variant(
        "RP-3DO, Flying Occlusions",
        "Photographs with two rendered meshes pasted in, one hiding part of the other; shape and rotation are to be "
        "learnt, the place in the scene is not (paper B.2.1).",
        flying.build,
        flying.COLUMNS,
    ),
    "rp3do-osr": Variant(
        "RP-3DO, Object Swap - Random",
        "Photographs with depth in which an object is replaced by a random mesh at its place and size, hidden by what "
        "stands before it, with the updated pointmap and the pose (paper B.2.2).",
        swap.build_random,
        swap.COLUMNS,
    ),
    "rp3do-osa": Variant(
        "RP-3DO, Object Swap - Annotated",
        "Photographs in which an object is replaced in place by the mesh and pose that people accepted for it, aligned "
        "to the pixel with its target under ambient light (paper B.2.3).",
        swap.build_annotated,
        swap.COLUMNS,
    ),
}
