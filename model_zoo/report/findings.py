"""What a check says: its code and numbers for the page, the same in English for the API, a picture and places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_POINTS = 20
LEVELS = ("error", "warning", "info", "ok")


@dataclass(frozen=True)
class Finding:
    """One check's answer. `params` are the numbers of the sentence, `fix` the code of a safe repair or empty,
    `picture` a PNG, `points` up to 20 places (x, y, z) in the frame of the GLB."""

    check: str
    level: str
    message: str
    params: dict[str, Any] = field(default_factory=dict)
    advice: str = ""
    fix: str = ""
    picture: bytes | None = None
    points: list[list[float]] = field(default_factory=list)


def ok(check: str, message: str, **params: Any) -> Finding:
    """A check that found nothing wrong."""
    return Finding(check, "ok", message, params)


def places(points: np.ndarray) -> list[list[float]]:
    """Up to 20 of the points (N,3), evenly over their order, as the report keeps them."""
    chosen = np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int))
    return [[round(float(value), 6) for value in points[index]] for index in chosen]
