"""The columns that a manifest names, looked for in the file."""

import difflib

from etl.manifest import Section
from etl.readers import Source
from geoapp.access.redaction import redact
from geoapp.errors import Refused

__all__ = ["refuse_missing_columns", "shown_names", "unused_columns"]


def shown_names(source: Source) -> list[str]:
    """Names of the file's columns, redacted: a file without a heading has its first row for names."""
    return [redact(name) for name in source.column_names]


def unused_columns(section: Section, source: Source) -> list[str]:
    """Columns of the file that the manifest does not name."""
    named = {*section.named_columns().values(), *section.where, section.geometry}
    return [redact(name) for name in source.column_names if name not in named]


def refuse_missing_columns(section: Section, source: Source) -> None:
    wanted = section.named_columns() | {f"where.{column}": column for column in section.where}
    present = list(source.column_names)
    wrong = []
    for name, column in wanted.items():
        key = name if name.startswith("where.") else f"columns.{name}"
        if column in source.repeated:
            wrong.append(
                f"  {section.name}.{key}: 列 {column!r} 出现多次 / this column is in the file more than once"
            )
        elif column not in source.column_names:
            near = difflib.get_close_matches(column, present, n=1, cutoff=0.5)
            hint = f"; 是不是 / did you mean {near[0]!r}?" if near else ""
            wrong.append(f"  {section.name}.{key}: 没有列 {column!r} / no column {column!r}{hint}")
    if wrong:
        held = ", ".join(shown_names(source)) or "没有任何属性列 / no columns at all"
        notes = "".join(f"\n  {notice}" for notice in source.notices)
        raise Refused(
            f"{source.name}: 清单里写的列文件里没有 / columns of the manifest are not in the file:\n"
            + "\n".join(wrong)
            + f"\n  文件的列 / its columns: {held}{notes}\n  什么都没有导入 / nothing was loaded."
        )
