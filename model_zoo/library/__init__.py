"""The mesh library: parametric generators with real variation, all our own work, released as CC0-1.0."""

import zlib
from collections.abc import Callable

import numpy as np
import trimesh

from . import creatures, furniture, places, plants, tools, vehicles, vessels

LICENCE = "CC0-1.0"
Generator = Callable[[np.random.Generator], trimesh.Trimesh]
_RECIPES = (vessels, furniture, tools, creatures, vehicles, places, plants)


def families() -> dict[str, Generator]:
    """Every category and its generator, in a fixed order; the mesh is y-up, metric, and stands on y = 0."""
    named = {
        name: recipe
        for module in _RECIPES
        for name, recipe in vars(module).items()
        if not name.startswith("_")
        and callable(recipe)
        and getattr(recipe, "__module__", "") == module.__name__
    }
    return {name.replace("_", "-"): named[name] for name in sorted(named)}


def make(category: str, number: int) -> trimesh.Trimesh:
    """The mesh `number` of a category; the same arguments give the same mesh. KeyError for an unknown category."""
    return families()[category](np.random.default_rng([zlib.crc32(category.encode()), number]))
