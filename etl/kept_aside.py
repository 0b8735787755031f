"""A row that is set aside, as staging keeps it: all of its columns, none of its secrets."""

import json
import re
from collections.abc import Collection

import shapely

from etl.addresses import star_address
from etl.manifest import Section
from etl.readers import Table
from etl.reasons import Findings
from geoapp.access.redaction import MASK, is_secret_name, mask_id_numbers, redact

__all__ = ["column_names", "plain", "row_as_json", "secrets_of_columns", "shown_value"]

# A shape of some fifty thousand vertices; a longer one has to be corrected in its own file.
_LONGEST_VALUE = 2_000_000
_UNSTORABLE = re.compile("[\ud800-\udfff\x00]")
_ACCOUNT_NAME = re.compile(
    r"(?<![a-z])(?:user(?:_?name)?|usr|login|account)(?![a-z])|账号|账户|用户", re.IGNORECASE
)
_SECRET_FIELDS = ("username", "password")
# Numbers that tell who a person is. One with a wrong digit is not known by its form, and is nearly the right one.
_NUMBER_FIELDS = ("id_number", "certificate_no")
# A shorter one would star half of the row.
_SHORTEST_REPEATED = 4


def plain(text: str) -> str:
    """Text that PostgreSQL takes: bytes that fitted no encoding are shown as the replacement character."""
    return _UNSTORABLE.sub("\ufffd", text)


def column_names(table: Table) -> list[str]:
    """Names of the file's columns, redacted: a file without a heading has its first row for names."""
    return [redact(name) for name in table.columns]


def secrets_of_columns(table: Table) -> set[str]:
    """What stands in columns that are named like a secret, or like an account in a file that has secrets."""
    named = [name for name in table.columns if is_secret_name(name)]
    named += [name for name in table.columns if named and _ACCOUNT_NAME.search(name)]
    return {str(value) for name in named for value in table.columns[name] if value is not None}


def shown_value(column: str, value: str, secrets: Collection[str] = ()) -> str:
    """A value as it may be shown: *** under a secret's name, ID numbers masked, accounts in addresses starred.

    `secrets`: values that are starred wherever they stand (people repeat a password in the remarks).
    """
    if is_secret_name(column):
        masked = mask_id_numbers(value)
        return masked if masked != value else MASK
    for secret in secrets:
        if value == secret or (len(secret) >= _SHORTEST_REPEATED and secret in value):
            value = value.replace(secret, MASK)
    return redact(value)


def _masked_number(number: str) -> str:
    """Three digits of the place and the last four: enough to find the row, too little to know the person."""
    return f"{number[:3]}{'*' * 11}{number[-4:]}" if len(number) >= 15 else MASK


def row_as_json(table: Table, row: int, section: Section, findings: Findings) -> str:
    """All columns of a row (see `shown_value`), its geometry as WKT in the file's frame.

    A row of the wrong number of columns in a file that has passwords is starred as a whole: any of its values may be
    one.
    """
    fields = {column: field for field, column in section.named_columns().items()}
    has_secrets = any(fields.get(c) in _SECRET_FIELDS or is_secret_name(c) for c in table.columns)
    repeated = [
        value.get_secret_value()
        for field, value in findings.secrets.get(row, {}).items()
        if field == "password" and len(value.get_secret_value()) >= _SHORTEST_REPEATED
    ]
    numbers = {c: table.columns[c][row] for c, field in fields.items() if field in _NUMBER_FIELDS}
    shown: dict[str, str | None] = {}
    for column, values in table.columns.items():
        value = None if values[row] is None else plain(values[row])
        if value is not None:
            if fields.get(column) in _SECRET_FIELDS or (has_secrets and row in table.damaged):
                value = MASK
            elif fields.get(column) in _NUMBER_FIELDS:
                value = _masked_number(value)
            elif fields.get(column) == "snapshot_url":
                value = star_address(value)
            elif section.name not in ("grid", "units") or column not in fields:
                # Codes of cells and units are long numbers, some of which pass for ID numbers.
                value = shown_value(column, value)
            for secret in repeated:
                value = value.replace(secret, MASK)
            for number in numbers.values():
                if number is not None and len(number) >= _SHORTEST_REPEATED:
                    value = value.replace(number, _masked_number(number))
        shown[plain(redact(column))] = value
    if table.geometry is not None and table.geometry[row] is not None:
        shown["geometry"] = shapely.to_wkt(table.geometry[row], rounding_precision=-1)[:_LONGEST_VALUE]
    return json.dumps(shown, ensure_ascii=False)
