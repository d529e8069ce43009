"""Directions spread evenly over the sphere, from which objects are looked at."""

import numpy as np


def spread(count: int) -> np.ndarray:
    """Unit vectors (N,3) on a spiral whose points stand for equal areas; the same on every call."""
    height = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], 1)
