"""A checkpoint folder for tests that do not load it: right files, weights that are only bytes."""

import json
from pathlib import Path


def checkpoint_folder(at: Path, weights: bytes = b"weights", *, model: str = "geometry") -> Path:
    """Write weights.safetensors, config.json and card.json below `at`."""
    at.mkdir(parents=True, exist_ok=True)
    (at / "weights.safetensors").write_bytes(weights)
    (at / "config.json").write_text(json.dumps({"model": model, "recipe": "tiny"}))
    (at / "card.json").write_text(json.dumps({"data": "synthetic"}))
    return at
