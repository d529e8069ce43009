"""Weight files: other people's opened without trust and read tensor by tensor, ours written tensor by tensor."""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_zoo.io.errors import BadInput

CODES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}  # as safetensors writes them
MOST_PICKLE = 64 * 2**20  # bytes that may describe tensors; those of a full checkpoint take half a megabyte
LISTED = 3


class WeightFile:
    """The tensors of a `.safetensors` file or of a torch zip (`.ckpt`, `.pt`, `.pth`), read from disk when asked for.

    Of a torch zip only tensors are unpickled; a single key "state_dict" around them is looked through. Raises BadInput
    for anything else in it, for a file that is no such file or truncated, and for a value that is not a plain tensor.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                start = file.read(8)
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from error
        if start.startswith(b"PK"):
            tensors = _unpickled(path)
            self._get, self.names = tensors.__getitem__, list(tensors)
        else:
            self._open_safetensors(start)

    def _open_safetensors(self, start: bytes) -> None:
        if start.startswith(b"\x80"):
            raise BadInput(f"{self.path.name} is a torch file of the old kind: save it again as .safetensors")
        try:
            file = safe_open(self.path, "pt")
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{self.path.name} is neither a torch zip nor safetensors: {error}") from error
        self._get, self.names = file.get_tensor, list(file.keys())

    def get(self, name: str) -> Tensor:
        """One tensor, in the type of the file; its data come from disk when they are used."""
        value = self._get(name)
        if type(value) is not Tensor or value.layout != torch.strided or value.device.type != "cpu":
            raise BadInput(f"{self.path.name}: {name} is not a plain tensor")
        return value.detach()

    def facts(self) -> dict[str, str | int]:
        """Name, size and hash of the file."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"file": self.path.name, "bytes": self.path.stat().st_size, "sha256": digest}


def _unpickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch zip, their data left on disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        bomb = any(
            m.compress_type != zipfile.ZIP_STORED
            or (m.filename.endswith(".pkl") and m.file_size > MOST_PICKLE)
            for m in members
        )
        data = None if bomb else torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # an unpickler may raise anything on hostile bytes
        raise BadInput(f"{path.name} {_reason(error)}") from error
    if bomb:
        raise BadInput(f"{path.name} is compressed or far too large inside: torch writes no such file")
    if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
        data = data["state_dict"]
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise BadInput(f"{path.name} does not hold named tensors")
    return data


def _reason(error: Exception) -> str:
    foreign = re.search(r"GLOBAL (\S+)", str(error))
    if foreign:
        # torch's own message advises to load it without care.
        return f"holds more than tensors ({foreign[1]}) and is not opened: save its tensors as .safetensors"
    text = str(error).strip().splitlines() or [type(error).__name__]
    return f"is not a torch file of tensors, or it is broken: {text[0]}"


def write(
    path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, values: Iterable[Tensor]
) -> None:
    """A safetensors file of one type; `values` come in the order of `shapes` and are let go one by one."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    # A model may still be reading the file of this name, which it has mapped: that one must not change under it.
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for (name, shape), value in zip(shapes.items(), values, strict=True):
                if tuple(value.shape) != tuple(shape):
                    raise ValueError(f"{name} is {tuple(value.shape)}, not {tuple(shape)}")
                file.write(raw(value.detach().to("cpu", dtype)))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def raw(value: Tensor) -> memoryview:
    """The bytes of a tensor on the CPU, as safetensors stores them."""
    return value.contiguous().reshape(-1).view(torch.uint8).numpy().data


def some(names: Iterable[str]) -> str:
    """A few names and how many more there are."""
    first, rest = (ordered := sorted(names))[:LISTED], len(ordered) - LISTED
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")


def renamed(state: Mapping[str, Tensor], table: Mapping[str, str]) -> dict[str, Tensor]:
    """The state with every prefix exchanged as the table says. Raises KeyError on a name with none of them."""
    found = {}
    for name, value in state.items():
        prefix = next((p for p in table if name.startswith(p)), None)
        if prefix is None:
            raise KeyError(name)
        found[table[prefix] + name[len(prefix) :]] = value
    return found
