"""Rows of a table by their values."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def rows_where(table: "pa.Table", /, **values: str | int) -> "pa.Table":
    """Rows whose column of each keyword has its value, in order: rows_where(plan, kind="real")."""
    import pyarrow.compute as pc

    for column, value in values.items():
        table = table.filter(pc.equal(table[column], value))
    return table
