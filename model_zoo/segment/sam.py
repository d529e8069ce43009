"""Segment Anything models that a user has exported: encoder.onnx and decoder.onnx in a folder, run by ONNX Runtime.

The decoder has the inputs and outputs of the export script of the segment-anything repository (also of MobileSAM,
EdgeSAM, HQ-SAM exports); the encoder takes one normalised picture (1,3,S,S), padded at the right and the bottom.
An optional config.json gives {"input_size": S, "mean": [r, g, b], "std": [r, g, b]} for pixels 0..255.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.segment.interface import Prompt, Segmentation, check_prompt

INPUTS = {"image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size"}
OUTPUTS = {"masks", "iou_predictions", "low_res_masks"}
PLAIN = {"input_size": 1024, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
LARGEST = 2048  # pixels a side that the decoder is asked for; a larger photo's mask is enlarged from there
IN, OUT, CORNERS, NOTHING = 1.0, 0.0, (2.0, 3.0), -1.0  # point labels
CERTAIN = 8.0  # log odds of a mask to correct


@dataclass(frozen=True)
class Embedded:
    """A photograph's embedding and its size (width, height)."""

    embedding: np.ndarray
    size: tuple[int, int]


class SamSegmenter:
    """The `Segmenter` for users with weights. Raises BadInput when the folder's files are missing or unfit."""

    name = "sam"

    def __init__(self, folder: Path) -> None:
        self.config = _config(folder / "config.json")
        self.encoder, self.decoder = _session(folder / "encoder.onnx"), _session(folder / "decoder.onnx")
        pictures = self.encoder.get_inputs()
        if len(pictures) != 1 or len(pictures[0].shape) != 4:
            raise BadInput("encoder.onnx: expected one input (1,3,S,S), a normalised picture", "bad_sam")
        missing = INPUTS - {given.name for given in self.decoder.get_inputs()}
        missing |= OUTPUTS - {made.name for made in self.decoder.get_outputs()}
        if missing:
            raise BadInput(f"decoder.onnx: it lacks {', '.join(sorted(missing))}", "bad_sam")
        self.picture = pictures[0].name

    def prepare(self, rgb: np.ndarray) -> Embedded:
        """The image encoder's output, seconds of work."""
        side = self.config["input_size"]
        size = (rgb.shape[1], rgb.shape[0])
        small = np.asarray(Image.fromarray(rgb).resize(fitted(size, side), Image.Resampling.BILINEAR))
        canvas = np.zeros((1, 3, side, side), np.float32)
        normal = (small.astype(np.float32) - self.config["mean"]) / self.config["std"]
        canvas[0, :, : small.shape[0], : small.shape[1]] = np.moveaxis(normal, 2, 0)
        return Embedded(_run(self.encoder, None, {self.picture: canvas}, "encoder.onnx")[0], size)

    def segment(self, state: Embedded, prompt: Prompt) -> Segmentation:
        """See `Segmenter`. The score is the decoder's own estimate of its IoU."""
        check_prompt(prompt, state.size)
        width, height = fitted(state.size, LARGEST) if max(state.size) > LARGEST else state.size
        coords, labels = self._points(prompt, state.size)
        given = {
            "image_embeddings": state.embedding,
            "point_coords": coords[None],
            "point_labels": labels[None],
            "mask_input": self._before(prompt.previous),
            "has_mask_input": np.array([prompt.previous is not None], np.float32),
            "orig_im_size": np.array([height, width], np.float32),
        }
        masks, scores = _run(self.decoder, ["masks", "iou_predictions"], given, "decoder.onnx")
        best = choose(scores[0], len(labels))
        logits = Image.fromarray(masks[0, best].astype(np.float32))
        mask = np.asarray(logits.resize(state.size, Image.Resampling.BILINEAR)) > 0
        return Segmentation(mask, float(np.clip(scores[0, best], 0, 1)))

    def _points(self, prompt: Prompt, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (n,2) in the encoder's picture and labels (n) of clicks, then the box or one empty point."""
        clicks = [*prompt.positive, *prompt.negative]
        labels = [IN] * len(prompt.positive) + [OUT] * len(prompt.negative)
        if prompt.box is not None:
            points = [*clicks, prompt.box[:2], prompt.box[2:]]
            labels += CORNERS
        else:
            points = [*clicks, (0.0, 0.0)]
            labels.append(NOTHING)
        scale = np.array(fitted(size, self.config["input_size"])) / size
        return (np.array(points) * scale).astype(np.float32), np.array(labels, np.float32)

    def _before(self, previous: np.ndarray | None) -> np.ndarray:
        """The mask to correct as the decoder's low-resolution logits, padded like the picture."""
        shape = next(given.shape for given in self.decoder.get_inputs() if given.name == "mask_input")
        side = shape[-1] if isinstance(shape[-1], int) else 256
        logits = np.zeros((1, 1, side, side), np.float32)
        if previous is not None:
            size = fitted((previous.shape[1], previous.shape[0]), side)
            small = Image.fromarray(previous.astype(np.float32)).resize(size, Image.Resampling.BOX)
            logits -= CERTAIN
            logits[0, 0, : size[1], : size[0]] = CERTAIN * (2 * np.asarray(small) - 1)
        return logits


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Size (width, height) scaled so that its longer side is `side`, rounded as segment-anything rounds it."""
    scale = side / max(size)
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def choose(scores: np.ndarray, points: int) -> int:
    """Which of the decoder's masks: of four, the first is for several points, the others (whole, part) for one."""
    if len(scores) != 4:
        return int(scores.argmax())
    return 0 if points > 2 else 1 + int(scores[1:].argmax())


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return PLAIN
    try:
        read = json.loads(path.read_text())
        config = {**PLAIN, **{name: read[name] for name in PLAIN if name in read}}
        fit = isinstance(config["input_size"], int) and 16 <= config["input_size"] <= 4096
        fit = (
            fit and all(np.shape(config[name]) == (3,) for name in ("mean", "std")) and min(config["std"]) > 0
        )
    except (ValueError, TypeError):
        fit = False
    if not fit:
        raise BadInput(
            'config.json: expected {"input_size": S, "mean": [r, g, b], "std": [r, g, b]}', "bad_sam"
        )
    return config


def _session(path: Path) -> Any:
    try:
        # Optional: only users with weights need it.
        import onnxruntime
    except ImportError as error:
        raise BadInput(
            f"SAM cannot be used: {error}. Install the package onnxruntime first.", "no_sam"
        ) from None
    if not path.is_file():
        raise BadInput(f"SAM cannot be used: there is no file {path}", "no_sam")
    try:
        return onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())
    except Exception as error:  # onnxruntime has no base class for what it raises
        raise BadInput(
            f"{path.name} is not a usable ONNX model: {safe_text(error, 200)}", "bad_sam"
        ) from None


def _run(
    session: Any, outputs: list[str] | None, given: dict[str, np.ndarray], name: str
) -> list[np.ndarray]:
    try:
        return session.run(outputs, given)
    except Exception as error:  # as above: shapes that the model does not take
        raise BadInput(
            f"{name} does not take what SAM models take: {safe_text(error, 200)}", "bad_sam"
        ) from None
