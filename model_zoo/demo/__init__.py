"""The demo batch: real photographs that ship inside our dependencies, and composed scenes with known truth."""

from model_zoo.demo.photographs import Photograph, photographs
from model_zoo.demo.scenes import ComposedScene, scenes

__all__ = ["ComposedScene", "Photograph", "photographs", "scenes"]
