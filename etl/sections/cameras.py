"""Cameras: points with a GB/T 28181 number; their credentials are taken out of the row."""

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from etl import checks
from etl.addresses import split_address
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import Cameras
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.named_town import within_named_town
from etl.sections.references import site_ids
from etl.sections.values import Values
from etl.store import Target
from geoapp.access import sealing
from geoapp.registry.camera_address import SCHEMES, scheme_of

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "registry.camera",
    "gb_id",
    retired_by="retired_on",
    types={
        "gb_id": "text",
        "name_zh": "text",
        "site_id": "int8",
        "geom": "geometry",
        "town_code": "text",
        "cell_code": "text",
        "height_m": "float8",
        "azimuth_deg": "float8",
        "tilt_deg": "float8",
        "hfov_deg": "float8",
        "width_px": "int4",
        "height_px": "int4",
        "max_range_m": "float8",
        "snapshot_url": "text",
        "period_s": "int4",
        "public_place": "bool",
        "legal_basis": "text",
        "installed_on": "date",
    },
)


def prepare(
    table: Table, section: Cameras, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of registry.camera; points in metres of the zone, credentials among the findings' secrets."""
    columns = section.columns
    assert frame is not None
    given = checks.required(checks.texts(table, columns.gb_id), findings, columns.gb_id, "key_missing")
    gb_id = checks.camera_ids(given, findings, columns.gb_id, division=ground.city.code)
    geom, _, _ = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    values: Values = {
        "gb_id": gb_id,
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
        "geom": geom,
        "town_code": within_named_town(table, None, None, geom, ground, findings, section),
        "cell_code": ground.cells_at(geom),
    }
    if columns.site:
        values["site_id"] = site_ids(checks.texts(table, columns.site), ground, findings, columns.site)
    for field, column, low, high, whole in (
        ("height_m", columns.height_m, 0.1, 500, False),
        ("azimuth_deg", columns.azimuth_deg, 0, 359.999999, False),
        ("tilt_deg", columns.tilt_deg, -90, 90, False),
        ("hfov_deg", columns.hfov_deg, 0.1, 180, False),
        ("width_px", columns.width_px, 1, 20_000, True),
        ("height_px", columns.height_px, 1, 20_000, True),
        ("max_range_m", columns.max_range_m, 0.1, 20_000, False),
        ("period_s", columns.period_s, 1, 86_400, True),
    ):
        if column:
            text = checks.texts(table, column, default="10" if field == "period_s" else None)
            values[field] = checks.numbers(text, findings, column, low=low, high=high, whole=whole)
    if columns.snapshot_url:
        values["snapshot_url"] = _addresses(table, columns.snapshot_url, findings)
    for field, column in (("username", columns.username), ("password", columns.password)):
        if column:
            _take_credentials(checks.texts(table, column), field, column, findings)
    if columns.public_place:
        said = checks.texts(table, columns.public_place)
        values["public_place"] = checks.flags(said, findings, columns.public_place, default=False)
    if columns.legal_basis:
        values["legal_basis"] = checks.texts(table, columns.legal_basis, default="")
    if columns.installed_on:
        day = checks.texts(table, columns.installed_on)
        values["installed_on"] = checks.dates(day, findings, columns.installed_on)
    return values


def _addresses(table: Table, column: str, findings: Findings) -> NDArray[np.object_]:
    """The addresses as they may be stored; an account and password that one holds go to the row's secrets."""
    url = checks.texts(table, column)
    taken = []
    for row in np.flatnonzero(~checks.blank(url)):
        try:
            address = split_address(url[row])
        except ValueError:
            url[row] = None
            findings.reject_row(int(row), "address_has_password", column)
            continue
        scheme = scheme_of(address.text)
        if scheme not in SCHEMES:
            # Of a text without a scheme nothing is repeated: who knows what it is.
            found = f"{scheme}://" if scheme else "?"
            findings.reject_row(
                int(row),
                "address_scheme",
                column,
                found=found,
                expected=", ".join(f"{known}://" for known in SCHEMES),
            )
            url[row] = None
            continue
        url[row] = address.text
        for field, value in (("username", address.username), ("password", address.password)):
            if value is not None:
                findings.secrets[int(row)][field] = SecretStr(value)
        if address.username is not None or address.password is not None:
            taken.append(int(table.row_no[row]))
    if taken:
        shown = ", ".join(map(str, taken[:5])) + (" …" if len(taken) > 5 else "")
        findings.notices.append(
            f"{len(taken)} 行的地址里有账号口令，已取出另行加密，登记的地址不含它们 / row(s) had an account or password in the address: "
            f"taken out and sealed, the address is stored without (rows {shown}). Whoever has the file has them"
        )
    return url


def _take_credentials(given: NDArray[np.object_], field: str, column: str, findings: Findings) -> None:
    """A column of accounts or passwords into the rows' secrets, before what an address held."""
    for row in np.flatnonzero(~checks.blank(given)):
        if sealing.is_sealable(given[row]):
            findings.secrets[int(row)][field] = SecretStr(given[row])
        else:
            findings.reject_row(int(row), "credential_invalid", column)
