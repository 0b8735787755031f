"""Which columns of a file the reasons against a row are about."""

from typing import Any

__all__ = ["wrong_columns"]

# A reason may name the register's column; the manifest calls it otherwise.
_CALLED = {
    "local_id": "id", "name_zh": "name", "gb_id": "gb_id", "geom": "geometry", "rule_code": "rule", "unit_code": "unit",
    "department_code": "department", "site_id": "site",
}  # fmt: skip


def wrong_columns(reasons: list[dict[str, Any]], used: dict[str, str], columns: list[str]) -> dict[str, str]:
    """Column to what is wrong with it, in Chinese and English.

    `reasons`: field, zh and en of each; a field is a column, a field of the manifest (`used`: field to column), or several
    of them ("lon, lat"). `columns`: those that the row has.
    """
    said: dict[str, list[str]] = {}
    for reason in reasons:
        for word in (reason["field"] or "").split(", "):
            column = next(
                (
                    c
                    for c in (word, used.get(word), used.get(_CALLED.get(word, "")), _CALLED.get(word))
                    if c in columns
                ),
                None,
            )
            if column is not None:
                said.setdefault(column, []).append(f"{reason['zh']} / {reason['en']}")
    return {column: "\n".join(dict.fromkeys(found)) for column, found in said.items()}
