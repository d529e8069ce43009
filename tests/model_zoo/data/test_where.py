"""Filters as text: what they let through, and one line for what they are not."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model_zoo.data.where import joined, parse
from model_zoo.io.errors import BadInput

TABLE = pa.table(
    {
        "r": [0.1, 0.5, None, 0.9],
        "split": ["train", "validation", "train", None],
        "simulated": [True, False, None, False],
    }
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("r >= 0.5", [1, 3]),
        ("0.1 < r <= 0.5 or split == 'train'", [0, 1, 2]),
        ("r > 0.2 and not split in ('train', 'other')", [1]),
        ("split not in ['train']", [1]),
        ("not split in ('train',)", [1]),
        ("not (split in ('train',))", [1]),
        ("not not split in ('train',)", [0, 2]),
        ("not split not in ('train',)", [0, 2]),
        ("not (split in ('train',) or r < 0.2)", [1]),
        ("not (split in ('train',) and r > 0)", [1]),
        ("not (split not in ('train',) or r is null)", [0]),
        ("split not in ('train',) or r == 0.9", [1, 3]),
        ("split in ('train', null)", [0, 2, 3]),
        ("split not in ('train', null)", [1]),
        ("r not in (0.1, 0.5)", [3]),
        ("simulated not in (true,)", [1, 3]),
        ("not (split == 'train')", [1]),
        ("not (split != 'train' or r < 0)", [0]),
        ("not (0.2 < r < 0.8)", [0, 3]),
        ("r is null or split is null", [2, 3]),
        ("r is not None and r != 0.5", [0, 3]),
        ("simulated", [0]),
        ("not simulated", [1, 3]),
        ("simulated == false", [1, 3]),
        ("'train' == split", [0, 2]),
        ("r > -1", [0, 1, 3]),
        ("(r < 0.2 or r > 0.8) and split == \"train\"", [0]),
    ],
)  # fmt: skip
def test_a_filter_lets_its_rows_through(text: str, rows: list[int]) -> None:
    numbered = TABLE.append_column("n", pa.array(range(4)))
    assert numbered.filter(parse(text, TABLE.column_names))["n"].to_pylist() == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quality > 1", 'no column "quality" (there are r, split, simulated)'),
        ("r >", "no comparison"),
        ("r = 0.5", "no comparison"),
        ("", "no comparison"),
        ("__import__('os').system('true')", "no comparison"),
        ("r > (1).__class__", "no number"),
        ("r > [x for x in r]", "no number"),
        ("r + 1 > 2", "no number"),
        ("r == null", "is null"),
        ("split in 'train'", "needs a list"),
        ("split in ()", "needs a list"),
        ("split not in (null,)", "is not null"),
        ("r is 1", "null alone"),
        ("r < 99999999999999999999", "too large; write it as 1e20"),
        ("r > -9223372036854775809", "too large"),
        ("r in (1, 99999999999999999999)", "too large"),
        ("r < 1" + "0" * 400, "too large"),
        ("split == '\ud800'", "no comparison"),
        ("split in ('\\ud800',)", "no comparison"),
        ("r > f'{1}'", "no number"),
        ("(" * 300 + "r" + ")" * 300, "cannot be used"),
        ("r\0> 1", "no comparison"),
        ("not " * 240 + "r", ""),
        ("r > 1" + " or r > 1" * 200, "longer than"),
    ],
)
def test_what_is_no_filter_is_refused_in_one_line(text: str, said: str) -> None:
    try:
        found = parse(text, TABLE.column_names)
    except BadInput as error:
        assert said in error.message and "\n" not in error.message
    else:
        assert said == "" and isinstance(found, pc.Expression)


def test_filters_are_joined_each_read_alone() -> None:
    both = joined("r < 0.2 or r > 0.8", "split == 'train'")
    assert TABLE.filter(parse(both, TABLE.column_names))["r"].to_pylist() == [0.1]
    with pytest.raises(BadInput, match="no comparison"):
        joined("r > 0) or (r > 0", "split == 'train'")
    assert joined() == ""
