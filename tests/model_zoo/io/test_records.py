"""Strict JSON, JSON lines and CSV."""

import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.records import csv_cell, parse_csv, parse_json, parse_jsonl


def test_plain_json_is_read() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, null, "[[[[", -3]}') == {"a": [1, 2.5, None, "[[[[", -3]}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"a": 1, "a": 2}', '"a" appears twice'),
        ('{"x": {"b": NaN}}', 'field "b" is NaN'),
        ('{"b": [1, [Infinity]]}', 'field "b" is Infinity'),
        ("[-Infinity]", "-Infinity"),
        ('{"n": 1e999}', 'field "n" is too large'),
        ('{"n": ' + "9" * 5000 + "}", 'field "n" is an integer of 5000 digits'),
        ("[" * 60_000 + "]" * 60_000, "nested more than 100 levels"),
        ('{"a":' * 5000, "nested more than 100 levels"),
        ('{"a": 1,}', "line 1, column"),
        ("", "empty"),
        ("'a'", "line 1"),
    ],
)
def test_json_that_could_mean_two_things_is_refused(text: str, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        parse_json(text)


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    assert parse_json('["' + "[" * 1000 + '", "\\"' + "{" * 1000 + '"]')[0] == "[" * 1000


def test_bad_utf8_is_named_by_its_byte() -> None:
    with pytest.raises(BadInput, match="not valid UTF-8 at byte 6"):
        parse_json(b'{"a":"\xff"}')


def test_a_cut_last_line_is_left_out_and_reported() -> None:
    records = parse_jsonl(b'{"a":1}\n\n{"a":2}\n{"a":')
    assert records.rows == [{"a": 1}, {"a": 2}] and records.lines == [1, 3]
    assert records.warnings == ["line 4 is cut short and was left out"]


def test_a_broken_line_in_the_middle_is_refused_by_number() -> None:
    with pytest.raises(BadInput, match="line 1.*line 3: not a JSON object"):
        parse_jsonl(b'{"a":\n{"a":1}\n[1]\n')


def test_byte_order_mark_and_windows_lines_are_read_with_a_warning() -> None:
    records = parse_jsonl(b'\xef\xbb\xbf{"a":1}\r\n{"a":2}\r\n')
    assert len(records.rows) == 2 and len(records.warnings) == 2


def test_csv_rows_come_with_their_line() -> None:
    records = parse_csv(b'name,note\na,"two\nlines"\nb,x\n')
    assert records.rows[0] == {"name": "a", "note": "two\nlines"} and records.lines == [3, 4]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1\n", "line 2: 1 cells"),
        ('a,b\n"1,2\n', "line 2"),
        ("a,a\n", "twice"),
        ("", "empty"),
        ("a\n\0\n", "NUL"),
    ],
)
def test_a_ragged_csv_is_refused_by_line(text: str, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        parse_csv(text.encode())


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5.2", "-5.2"), ("-a", "'-a"), ("plain", "plain"), ("", "")],
)
def test_a_cell_that_a_spreadsheet_would_run_is_quoted_on_export(cell: str, safe: str) -> None:
    assert csv_cell(cell) == safe
