"""Strict readers of small structured text: JSON, JSON lines, CSV. YAML is refused."""

import csv
import io
import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_zoo.io.errors import BadInput, safe_text

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 100
MAX_ERRORS = 8
MAX_INTEGER_DIGITS = 18
BOM = b"\xef\xbb\xbf"
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass
class Records:
    """Rows with their line numbers (counted from 1), and what was mended on the way."""

    rows: list[dict[str, Any]]
    lines: list[int]
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # of lines that a lenient reader left out


@dataclass(frozen=True)
class _Unusable:
    """A literal that JSON or we do not allow; replaced by an error that names its field."""

    why: str


def parse_json(data: bytes | str, *, what: str = "JSON") -> Any:
    """One JSON value. Raises BadInput on bad UTF-8, repeated keys, NaN, huge numbers, deep nesting, syntax."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        raise BadInput(f"{what}: larger than {MAX_BYTES >> 20} MB", "too_large")
    raw = raw.removeprefix(BOM)
    if not raw.strip():
        raise BadInput(f"{what}: the file is empty", "empty")
    if _depth(raw) > MAX_DEPTH:
        raise BadInput(f"{what}: nested more than {MAX_DEPTH} levels deep", "too_deep")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{what}: not valid UTF-8 at byte {error.start}", "bad_encoding") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_int, parse_float=_float
        )
        _refuse_unusable(value, "the value")
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{what}: {error.msg} at line {error.lineno}, column {error.colno}", "bad_json"
        ) from None
    except RecursionError:
        raise BadInput(f"{what}: nested too deeply", "too_deep") from None
    except BadInput as error:
        raise BadInput(f"{what}: {error.message}", error.code) from None
    return value


def _depth(raw: bytes) -> int:
    """Deepest nesting of brackets; brackets inside strings are only looked at when they could matter."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return 0
    depth = _bracket_depth(raw)
    return depth if depth <= MAX_DEPTH else _bracket_depth(STRING.sub(b"", raw))


def _bracket_depth(raw: bytes) -> int:
    codes = np.frombuffer(raw, np.uint8)
    codes = codes[(codes == 91) | (codes == 93) | (codes == 123) | (codes == 125)]
    steps = np.where((codes == 91) | (codes == 123), 1, -1)
    return int(np.cumsum(steps).max(initial=0))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise BadInput(f'the key "{safe_text(key)}" appears twice', "duplicate_key")
        _refuse_unusable(value, f'the field "{safe_text(key)}"')
        result[key] = value
    return result


def _refuse_unusable(value: Any, where: str) -> None:
    if isinstance(value, _Unusable):
        raise BadInput(f"{where} is {value.why}", "bad_number")
    if isinstance(value, list):
        for item in value:
            if isinstance(item, list | _Unusable):
                _refuse_unusable(item, where)


def _constant(text: str) -> _Unusable:
    return _Unusable(f"{text}, which is not a JSON number")


def _int(text: str) -> int | _Unusable:
    if len(text) > MAX_INTEGER_DIGITS:
        return _Unusable(f"an integer of {len(text.lstrip('-'))} digits")
    return int(text)


def _float(text: str) -> float | _Unusable:
    value = float(text)
    return value if abs(value) != float("inf") else _Unusable(f"too large a number ({text[:20]})")


def parse_jsonl(data: bytes, *, what: str = "JSON lines", lenient: bool = False) -> Records:
    """JSON objects, one a line. A cut last line is left out with a warning; any other bad line is refused by number.

    lenient: bad lines are left out and told in `errors`, and there may be no other.
    """
    if len(data) > MAX_BYTES:
        raise BadInput(f"{what}: larger than {MAX_BYTES >> 20} MB", "too_large")
    records = Records([], [])
    if data.startswith(BOM):
        records.warnings.append("the byte order mark was ignored")
        data = data.removeprefix(BOM)
    if b"\r\n" in data:
        records.warnings.append("Windows line ends were read as line ends")
    lines = data.split(b"\n")
    last = max((n for n, line in enumerate(lines, 1) if line.strip()), default=0)
    errors: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and (lenient or len(errors) <= MAX_ERRORS):
            may_be_cut = not lenient and number == last and number == len(lines)
            _read_line(line, number, may_be_cut, records, errors)
    if lenient:
        records.errors = errors
        return records
    if errors:
        more = " (and more lines)" if len(errors) > MAX_ERRORS else ""
        raise BadInput(f"{what}: " + "; ".join(errors[:MAX_ERRORS]) + more, "bad_line")
    if not records.rows:
        raise BadInput(f"{what}: no complete record", "empty")
    return records


def _read_line(line: bytes, number: int, may_be_cut: bool, records: Records, errors: list[str]) -> None:
    try:
        row = parse_json(line.strip(), what=f"line {number}")
    except BadInput as error:
        if may_be_cut and error.code == "bad_json":
            records.warnings.append(f"line {number} is cut short and was left out")
        else:
            errors.append(error.message)
        return
    if not isinstance(row, dict):
        errors.append(f"line {number}: not a JSON object")
        return
    records.rows.append(row)
    records.lines.append(number)


def parse_csv(data: bytes, *, what: str = "CSV") -> Records:
    """Rows of a comma-separated file with a header line. Raises BadInput naming a ragged or unclosed line."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"{what}: larger than {MAX_BYTES >> 20} MB", "too_large")
    try:
        text = data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{what}: not valid UTF-8 at byte {error.start}", "bad_encoding") from None
    if "\0" in text:
        raise BadInput(f"{what}: holds NUL bytes", "bad_encoding")
    records = Records([], [])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        _read_rows(reader, records, what)
    except csv.Error as error:
        raise BadInput(f"{what}: line {reader.line_num}: {error}", "bad_line") from None
    if any(looks_like_formula(cell) for row in records.rows for cell in row.values()):
        records.warnings.append("some cells look like spreadsheet formulas; they are kept as text only")
    return records


def _read_rows(reader: Any, records: Records, what: str) -> None:
    header = next(reader, None)
    if not header:
        raise BadInput(f"{what}: the file is empty", "empty")
    if len(set(header)) != len(header):
        raise BadInput(f"{what}: line 1: a column name appears twice", "duplicate_key")
    for row in reader:
        if row and len(row) != len(header):
            raise BadInput(
                f"{what}: line {reader.line_num}: {len(row)} cells, the header has {len(header)}", "bad_line"
            )
        if row:
            records.rows.append(dict(zip(header, row, strict=True)))
            records.lines.append(reader.line_num)


def looks_like_formula(cell: str) -> bool:
    """Whether a spreadsheet would run the cell."""
    return cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not re.fullmatch(
        r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", cell
    )


def csv_cell(cell: str) -> str:
    """The cell as it may be written to a CSV file: what a spreadsheet would run gets a leading apostrophe."""
    return "'" + cell if looks_like_formula(cell) else cell
