"""Checks of codes that follow a standard: credit codes, division codes, cameras' national numbers."""

import re
import unicodedata
from collections.abc import Collection

import numpy as np
import pyarrow as pa

from etl.checks.values import Bool, Column, Objects, as_objects, as_text, blank, by_word
from etl.reasons import Findings, Said
from geoapp.registry.identifiers import (
    camera_gb_id_faults,
    division_level,
    plain_usccs,
    uscc_problem,
)

__all__ = ["camera_ids", "divisions", "usccs"]


def usccs(values: Column, findings: Findings, field: str) -> Column:
    """Unified social credit codes, half-width and in capitals; a wrong one sets its row aside, a blank does not."""
    text = as_text(values)
    odd = np.flatnonzero(~plain_usccs(text) & ~blank(text))
    if not len(odd):
        return values
    out = as_objects(text)
    for row in odd:
        found = out[row]
        tidy = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", found)).upper()
        why = uscc_problem(tidy)
        if why is not None:
            findings.reject_row(int(row), "uscc_invalid", field, found=found, why=_why(tidy, why))
            out[row] = None
        elif tidy != found:
            findings.repair(int(row), "uscc_tidied", field, found, tidy)
            out[row] = tidy
    return pa.array(out, type=pa.string()) if isinstance(values, pa.Array) else out


def _why(code: str, en: str) -> Said:
    if len(code) != 18:
        return Said(f"有 {len(code)} 位，应为 18 位", en)
    if re.fullmatch(r"[0-9]{8}[0-9A-HJ-NP-RTUW-Y]{10}", code):
        return Said("校验码（第 18 位）不符，可能抄错了一位", en)
    return Said("含有不该有的字符（前 8 位是数字，后 10 位没有 I O S V Z）", en)


def divisions(
    values: Column,
    findings: Findings,
    field: str,
    *,
    known: Collection[str] | None = None,
    retired: Collection[str] = (),
    level: str | None = None,
) -> Column:
    """12-digit division codes; the short forms of 6 (county) and 9 digits (town) are filled up and noted as repaired.

    Set aside: what is no such code, a `retired` one, one that is not among the `known` (where they are given), and one
    that is not of the `level` (county, town, community; where it is given).
    """
    out = by_word(values, _division, pa.string())
    asked, code = as_objects(values), as_objects(out)
    right = ~blank(code)
    findings.reject(~right & ~blank(asked), "unit_code_invalid", field, found=asked)
    for row in np.flatnonzero(right & (code != asked)):
        findings.repair(int(row), "unit_code_padded", field, asked[row], code[row])
    gone = right & _among(code, retired)
    findings.reject(gone, "unit_retired", field, found=code)
    right &= ~gone
    if known is not None:
        findings.reject(right & ~_among(code, known), "unknown_unit", field, found=code)
    if level is not None:
        wrong = right & (by_word(code, division_level, pa.string()) != level)
        findings.reject(wrong, "unit_level_wrong", field, found=code, level=Said(_LEVELS[level], level))
    return out


def _among(codes: Objects, known: Collection[str]) -> Bool:
    wanted = set(known)
    return np.fromiter((code in wanted for code in codes), dtype=bool, count=len(codes))


_LEVELS = {
    "province": "省",
    "city": "市",
    "county": "县（区）",
    "town": "镇（街道）",
    "community": "村（社区）",
}


def _division(text: str) -> str | None:
    plain = unicodedata.normalize("NFKC", text)
    if not re.fullmatch(r"[0-9]{12}|[0-9]{9}|[0-9]{6}", plain):
        return None
    code = plain.ljust(12, "0")
    return None if code.startswith("00") else code


def camera_ids(values: Column, findings: Findings, field: str, *, division: str | None = None) -> Column:
    """GB/T 28181 ids of cameras, half-width; wrong ones set their row aside, a blank does not.

    An id of another district than `division` (six digits), or of a reserved industry, is stored with a warning.
    """
    out = by_word(values, lambda text: re.sub(r"\s", "", unicodedata.normalize("NFKC", text)), pa.string())
    ids, asked = as_objects(out), as_objects(values)
    for row in np.flatnonzero(ids != asked):
        findings.repair(int(row), "camera_id_tidied", field, asked[row], ids[row])
    for row in np.flatnonzero(~blank(ids)):
        for fault in camera_gb_id_faults(ids[row], division=division):
            why = Said(fault.zh, fault.en)
            if fault.part in ("industry", "elsewhere"):
                findings.warn_row(int(row), f"camera_id_{fault.part}", field, found=ids[row], why=why)
            else:
                code = "camera_id_not_camera" if fault.part == "type" else "camera_id_invalid"
                findings.reject_row(int(row), code, field, found=ids[row], why=why)
    return out
