"""The parquet index of releases and data sets, written with constant memory; the same bytes for the same rows."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 5_000


class IndexWriter:
    """A parquet file written group by group: memory for one group of rows, the same bytes for the same rows. `unique`:
    columns whose values hardly repeat, which are smaller and faster written without a dictionary."""

    def __init__(
        self,
        path: Path | str,
        schema: pa.Schema,
        rows_per_group: int = ROWS_PER_GROUP,
        unique: Collection[str] = (),
    ) -> None:
        self.path, self.schema, self.rows_per_group = Path(path), schema, rows_per_group
        self.rows = 0
        self._part = self.path.with_name(self.path.name + ".part")
        self._writer = pq.ParquetWriter(
            self._part,
            schema,
            compression="zstd",
            compression_level=1,
            version="2.6",
            data_page_version="1.0",
            use_dictionary=[name for name in schema.names if name not in unique],
            write_statistics=True,
        )
        self._pending: list[Mapping[str, Any]] = []
        self._tables: list[pa.Table] = []
        self._waiting = 0

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row with the fields of the schema."""
        self._pending.append(row)
        if len(self._pending) >= self.rows_per_group:
            self._gather()

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append many rows."""
        for row in rows:
            self.write(row)

    def write_table(self, table: pa.Table) -> None:
        """Append a table of the schema; however rows come in, the file is the same."""
        self._gather()
        self._tables.append(table)
        self._waiting += len(table)
        self._write_groups(self.rows_per_group)

    def _gather(self) -> None:
        if self._pending:
            self._tables.append(pa.Table.from_pylist(self._pending, schema=self.schema))
            self._waiting += len(self._pending)
            self._pending = []
            self._write_groups(self.rows_per_group)

    def _write_groups(self, least: int) -> None:
        """Write row groups of exactly rows_per_group rows while at least `least` rows wait."""
        if not self._waiting or self._waiting < least:
            return
        rows, start = pa.concat_tables(self._tables), 0
        while self._waiting and self._waiting >= least:
            group = rows.slice(start, self.rows_per_group).combine_chunks()
            self._writer.write_table(group, row_group_size=self.rows_per_group)
            start += len(group)
            self._waiting -= len(group)
            self.rows += len(group)
        self._tables = [rows.slice(start)] if self._waiting else []

    def close(self) -> int:
        """Finish the file, which appears under its name only now; the number of rows."""
        self._gather()
        self._write_groups(1)
        self._writer.close()
        self._part.replace(self.path)
        return self.rows

    def __enter__(self) -> "IndexWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()
            self._part.unlink(missing_ok=True)
