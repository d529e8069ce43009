"""NumPy files from untrusted bytes: the header is checked before anything is read, and nothing is ever unpickled."""

import io
import zipfile
import zlib
from typing import IO

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput, safe_text

NPY_MAGIC = b"\x93NUMPY"
MAX_VALUES = 3 * 16_000_000
ALLOWED_KINDS = "fiub"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def read_npy(
    data: bytes, *, shape: tuple[int | None, ...] | None = None, what: str = "array"
) -> NDArray[np.generic]:
    """The array of an NPY file, in native byte order and C order. Raises BadInput.

    shape: what is wanted; None stands for any length of that axis.
    """
    return _read(io.BytesIO(data), len(data), shape, what)


def read_npz(
    data: bytes, keys: tuple[str, ...], *, shape: tuple[int | None, ...] | None = None, what: str = "array"
) -> NDArray[np.generic]:
    """The array under the first of `keys` that an NPZ file has, or its only array. Raises BadInput."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entry = _pick(archive, keys, what)
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadInput(f"{what}: the npz entry is encrypted or packed in an unusual way", "bad_array")
            with archive.open(entry) as stream:
                return _read(stream, entry.file_size, shape, what)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{what}: the npz archive is corrupt", "corrupt_array") from None


def npz_keys(data: bytes) -> list[str]:
    """Names of the arrays in an NPZ file. Raises BadInput when it is corrupt."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, ValueError):
        raise BadInput("the npz archive is corrupt", "corrupt_array") from None


def _pick(archive: zipfile.ZipFile, keys: tuple[str, ...], what: str) -> zipfile.ZipInfo:
    names = archive.namelist()
    if len(names) > 64 or len(set(names)) != len(names):
        raise BadInput(f"{what}: the npz archive has too many or repeated entries", "bad_array")
    for key in keys:
        if key + ".npy" in names:
            return archive.getinfo(key + ".npy")
    if len(names) == 1 and names[0].endswith(".npy"):
        return archive.getinfo(names[0])
    found = ", ".join(safe_text(name, 30) for name in names[:5])
    raise BadInput(f'{what}: the npz archive has no array "{keys[0]}" (it has: {found})', "bad_array")


def _read(
    stream: IO[bytes], size: int, shape: tuple[int | None, ...] | None, what: str
) -> NDArray[np.generic]:
    found, fortran, dtype, header = _read_header(stream, what)
    values = int(np.prod([int(n) for n in found], dtype=object))
    if dtype.kind not in ALLOWED_KINDS or dtype.itemsize > 8:
        raise BadInput(f"{what}: arrays of type {safe_text(dtype, 40)} are not accepted", "bad_array")
    if shape is not None and (
        len(found) != len(shape) or any(w not in (None, n) for n, w in zip(found, shape, strict=False))
    ):
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        raise BadInput(f"{what}: the shape is {' x '.join(map(str, found))}, not {wanted}", "array_shape")
    if values == 0 or values > MAX_VALUES:
        raise BadInput(f"{what}: {values} values is out of range (limit {MAX_VALUES})", "array_size")
    if values * dtype.itemsize > size - header:
        raise BadInput(
            f"{what}: the array is truncated (its header declares {values} values)", "truncated_array"
        )
    raw = stream.read(values * dtype.itemsize)
    if len(raw) < values * dtype.itemsize:
        raise BadInput(f"{what}: the array is truncated", "truncated_array")
    array = np.frombuffer(raw, dtype).reshape(found, order="F" if fortran else "C")
    return np.ascontiguousarray(array, dtype.newbyteorder("="))


def _read_header(stream: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream, max_header_size=10_000)
    except Exception:  # numpy reads the header as Python source, so hostile text raises nearly anything
        raise BadInput(f"{what}: not a NumPy array, or its header is broken", "bad_array") from None
    if dtype.hasobject or dtype.names is not None:
        raise BadInput(f"{what}: arrays of Python objects are never loaded", "bad_array")
    if len(shape) > 8 or any(n < 0 for n in shape):
        raise BadInput(f"{what}: the header declares an impossible shape", "bad_array")
    return shape, fortran, dtype, stream.tell()


def write_npz(arrays: dict[str, NDArray[np.generic]]) -> bytes:
    """NPZ bytes, the same for the same arrays: fixed times, order as given, deflate."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for key, array in arrays.items():
            entry = zipfile.ZipInfo(key + ".npy", ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            archive.writestr(entry, stream.getvalue())
    return out.getvalue()
