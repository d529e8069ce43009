"""Pictures with known objects, and a tiny pair of ONNX models with the interface of exported SAM models."""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

SIDE, CELL = 64, 4
LOW = SIDE // CELL


def disc(size: tuple[int, int], middle: tuple[float, float], radius: float) -> np.ndarray:
    """Mask (H,W) of a disc in a picture of this size (width, height)."""
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    return np.hypot(x - middle[0], y - middle[1]) < radius


def painted(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """A photo (H,W,3): the mask in orange on blue-green, both grainy."""
    rgb = np.where(mask[..., None], [210, 120, 40], [60, 120, 130])
    return (rgb + np.random.default_rng(seed).normal(0, 6, rgb.shape)).clip(0, 255).astype(np.uint8)


def write_sam(folder: Path) -> Path:
    """encoder.onnx, decoder.onnx and config.json: the mask is where the picture's colour is that of the first point.

    The embedding is the picture in cells of 4 pixels; a mask to correct is added; the score is a tenth of the
    labels' sum.
    """
    folder.mkdir(exist_ok=True)
    save(_encoder(), folder / "encoder.onnx")
    save(_decoder(), folder / "decoder.onnx")
    config = {"input_size": SIDE, "mean": [128, 128, 128], "std": [64, 64, 64]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _model(nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]):
    named = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, named)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _float(name: str, shape: list):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _encoder():
    pool = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[CELL, CELL], strides=[CELL, CELL])
    return _model([pool], [_float("x", [1, 3, SIDE, SIDE])], [_float("y", [1, 3, LOW, LOW])], {})


def _decoder():
    make = helper.make_node
    nodes = [
        # The embedding under the first point.
        make("Slice", ["point_coords", "zero", "one", "axis1"], ["first"]),
        make("Reshape", ["first", "pair"], ["xy"]),
        make("Gather", ["xy", "swap"], ["yx"]),
        make("Div", ["yx", "cell"], ["place"]),
        make("Cast", ["place"], ["index"], to=TensorProto.INT64),
        make("Reshape", ["index", "row"], ["indices"]),
        make("Transpose", ["image_embeddings"], ["last"], perm=[2, 3, 0, 1]),
        make("GatherND", ["last", "indices"], ["there"]),
        make("Reshape", ["there", "colour"], ["value"]),
        # One minus the distance of every other to it, plus the mask to correct.
        make("Sub", ["image_embeddings", "value"], ["difference"]),
        make("ReduceL2", ["difference"], ["distance"], axes=[1], keepdims=1),
        make("Sub", ["unit", "distance"], ["near"]),
        make("Mul", ["mask_input", "has_mask_input"], ["before"]),
        make("Add", ["near", "before"], ["low_res_masks"]),
        # To the padded picture, without its padding, to the photo's size.
        make("Resize", ["low_res_masks", "", "", "full"], ["padded"], mode="linear"),
        make("ReduceMax", ["orig_im_size"], ["longest"], keepdims=1),
        make("Div", ["orig_im_size", "longest"], ["share"]),
        make("Mul", ["share", "side"], ["exact"]),
        make("Add", ["exact", "half"], ["raised"]),
        make("Cast", ["raised"], ["used"], to=TensorProto.INT64),
        make("Slice", ["padded", "origin", "used", "axes23"], ["cropped"]),
        make("Cast", ["orig_im_size"], ["photo"], to=TensorProto.INT64),
        make("Concat", ["ones", "photo"], ["target"], axis=0),
        make("Resize", ["cropped", "", "", "target"], ["masks"], mode="linear"),
        make("ReduceSum", ["point_labels", "axis1"], ["sum"], keepdims=1),
        make("Div", ["sum", "ten"], ["iou_predictions"]),
    ]
    inputs = [
        _float("image_embeddings", [1, 3, LOW, LOW]),
        _float("point_coords", [1, "n", 2]),
        _float("point_labels", [1, "n"]),
        _float("mask_input", [1, 1, LOW, LOW]),
        _float("has_mask_input", [1]),
        _float("orig_im_size", [2]),
    ]
    outputs = [
        _float("masks", [1, 1, "h", "w"]),
        _float("iou_predictions", [1, 1]),
        _float("low_res_masks", [1, 1, LOW, LOW]),
    ]
    whole = {
        "zero": [0],
        "one": [1],
        "axis1": [1],
        "pair": [2],
        "swap": [1, 0],
        "row": [1, 2],
        "origin": [0, 0],
    }
    whole |= {"colour": [1, 3, 1, 1], "full": [1, 1, SIDE, SIDE], "axes23": [2, 3], "ones": [1, 1]}
    real = {"cell": [CELL], "unit": [1], "side": [SIDE], "half": [0.5], "ten": [10]}
    constants = {name: np.array(value, np.int64) for name, value in whole.items()}
    constants |= {name: np.array(value, np.float32) for name, value in real.items()}
    return _model(nodes, inputs, outputs, constants)
