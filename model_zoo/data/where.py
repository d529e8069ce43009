"""Filters of an index as text: `r >= 0.8 and split == 'train'` to an Arrow expression. Parsed, never evaluated."""

import ast
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow.compute as pc

from model_zoo.io.errors import BadInput, safe_text

LONGEST = 1000
COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
WORDS = {"none": None, "null": None, "true": True, "false": False}


def parse(text: str, columns: Sequence[str]) -> pc.Expression:
    """A filter over the named columns.

    Columns compare with numbers, text in quotes, true and false (== != < <= > >=, also 0.2 <= r < 0.8), with
    `in ('mug', 'chair')`, `not in (...)`, `is null`, `is not null`; a true-or-false column stands alone; and, or, not
    and parentheses join. A row whose value is null passes no comparison, nor the `not` of one; null may be one of a
    list. Raises BadInput with one line.
    """
    with _one_line(text):
        return _Reader(text, columns).condition(_tree(text))


def joined(*texts: str) -> str:
    """One filter that lets through what passes them all. Each is read alone: none can close the other's parentheses."""
    found = []
    for text in texts:
        with _one_line(text):
            found.append(f"({ast.unparse(_tree(text))})")
    return " and ".join(found)


def _tree(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise BadInput(f"the filter is longer than {LONGEST} characters", "bad_filter")
    return ast.parse(text.strip(), mode="eval").body


@contextmanager
def _one_line(text: str) -> Iterator[None]:
    try:
        yield
    except OverflowError:
        raise _bad(text, "a whole number in it is too large; write it as 1e20") from None
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise _bad(text, "it is no comparison such as r >= 0.8 and split == 'train'") from None


def _bad(text: str, why: str) -> BadInput:
    return BadInput(f'the filter "{safe_text(text, 120)}" cannot be used: {why}', "bad_filter")


class _Reader:
    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self.text, self.columns = text, columns

    def condition(self, node: ast.expr) -> pc.Expression:
        if isinstance(node, ast.BoolOp):
            join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
            found = self.condition(node.values[0])
            for value in node.values[1:]:
                found = join(found, self.condition(value))
            return found
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.condition(node.operand)
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.Name):
            return self.column(node)
        raise _bad(self.text, f'"{safe_text(ast.unparse(node))}" is no comparison')

    def comparison(self, node: ast.Compare) -> pc.Expression:
        sides = [node.left, *node.comparators]
        found = [self.pair(*triple) for triple in zip(sides, node.ops, sides[1:], strict=False)]
        for other in found[1:]:
            found[0] = found[0] & other
        return found[0]

    def pair(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> pc.Expression:
        if isinstance(how, ast.Is | ast.IsNot):
            if self.value(right) is not None:
                raise _bad(self.text, "`is` goes with null alone")
            null = self.column(left).is_null()
            return null if isinstance(how, ast.Is) else ~null
        if isinstance(how, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List) or not right.elts:
                raise _bad(self.text, "`in` needs a list such as ('mug', 'chair')")
            column, values = self.column(left), [self.value(item) for item in right.elts]
            if values == [None] * len(values):
                raise _bad(self.text, "a list of null alone is `is null` or `is not null`")
            inside = column.isin(values)
            if None not in values:  # null stays null, also where a `not` turns it round
                inside = pc.if_else(column.is_valid(), inside, pc.scalar(None))
            return inside if isinstance(how, ast.In) else ~inside
        return COMPARE[type(how)](self.operand(left), self.operand(right))

    def operand(self, node: ast.expr) -> pc.Expression:
        if isinstance(node, ast.Name) and (node.id in self.columns or node.id.lower() not in WORDS):
            return self.column(node)
        value = self.value(node)
        if value is None:
            raise _bad(self.text, "compare with null by `is null` or `is not null`")
        return pc.scalar(value)

    def column(self, node: ast.expr) -> pc.Expression:
        if not isinstance(node, ast.Name):
            raise _bad(self.text, f'"{safe_text(ast.unparse(node))}" is no column')
        if node.id not in self.columns:
            raise _bad(
                self.text, f'there is no column "{safe_text(node.id)}" (there are {", ".join(self.columns)})'
            )
        return pc.field(node.id)

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id.lower() in WORDS:
            return WORDS[node.id.lower()]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.value(node.operand)
            if isinstance(inner, int | float):
                return -inner
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
            return node.value
        raise _bad(
            self.text, f'"{safe_text(ast.unparse(node))}" is no number, text in quotes, true, false or null'
        )
