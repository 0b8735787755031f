"""Files to tables: every row with its number, its text columns and its geometry, nothing dropped on the way."""

from etl.readers.opening import SUFFIXES, open_source, read_table
from etl.readers.source import CHUNK_ROWS, Source
from etl.readers.table import Table, join_tables

__all__ = ["CHUNK_ROWS", "SUFFIXES", "Source", "Table", "join_tables", "open_source", "read_table"]
