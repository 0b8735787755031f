"""Identifiers: credit codes (GB 32100), camera ids (GB/T 28181), division codes (GB/T 2260) and grid cell codes.

All are text, never integers. Functions raise ValueError with what is wrong; they touch neither database nor clock.
"""

import re

import numpy as np
from numpy.typing import NDArray
from stdnum.cn import uscc as gb32100
from stdnum.exceptions import ValidationError

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of GB 32100 in the order of their values (no I O S V Z)."""

_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_USCC_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)])

CAMERA_TYPES = {"131": "camera", "132": "network camera"}
"""GB/T 28181 device types (digits 11 to 13) that may stand in registry.camera."""

LEVELS = {2: "province", 4: "city", 6: "county", 9: "town", 12: "community"}
"""Significant digits of a 12-digit division code at each level."""


def organisation_check(body: str) -> str:
    """Check character of an eight-character organisation code, by GB 11714: 11 - sum(value * weight) mod 11."""
    if len(body) != 8 or any(c not in _ORGANISATION_ALPHABET for c in body):
        raise ValueError(f"organisation code needs 8 characters of 0-9 A-Z: {body!r}")
    total = sum(_ORGANISATION_ALPHABET.index(c) * w for c, w in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]


def uscc_problem(code: str) -> str | None:
    """Why a unified social credit code is not valid by GB 32100-2015, in English; None when it is.

    The organisation code's own check (characters 9 to 17, GB 11714) is not demanded: codes of sole traders and
    those given out before 2015 are in use without it. See `organisation_check`.
    """
    if len(code) != 18:
        return f"has {len(code)} characters, not 18"
    try:
        gb32100.validate(code)
    except ValidationError as fault:
        return str(fault).rstrip(".")
    return None


def is_uscc(code: str) -> bool:
    """Whether the text is a valid unified social credit code: 18 characters, check character right, upper case."""
    return uscc_problem(code) is None and code == code.upper()


def generate_uscc(division: str, numbers: NDArray[np.int64], kind: str = "1") -> NDArray[np.str_]:
    """Valid but invented credit codes, one per number, for generated sites only.

    division: six digits of the registrar. numbers: integers 0 <= n < 31**6, distinct numbers give distinct codes.
    kind: second character, "1" enterprise, "2" sole trader, "3" farmers' cooperative.
    Both check characters (GB 11714 within, GB 32100 at the end) are right. Raises ValueError on bad arguments.
    """
    values = np.asarray(numbers, dtype=np.int64)
    if not re.fullmatch(r"\d{6}", division) or kind not in ("1", "2", "3", "9"):
        raise ValueError(f"division {division!r} must have 6 digits and kind {kind!r} be 1, 2, 3 or 9")
    if len(values) and (values.min() < 0 or values.max() >= 31**6):
        raise ValueError(f"numbers must be within 0..{31**6 - 1}")
    letters = np.array(list(ALPHABET))
    organisation_value = np.array([_ORGANISATION_ALPHABET.index(c) for c in ALPHABET])
    serial = np.stack([values // 31**p % 31 for p in range(5, -1, -1)], axis=1).reshape(-1, 6)
    prefix = np.array([ALPHABET.index(c) for c in "9" + kind + division + "MA"])
    body = np.hstack([np.broadcast_to(prefix, (len(values), 10)), serial])
    check_17 = 11 - (organisation_value[body[:, 8:16]] @ np.array(_ORGANISATION_WEIGHTS)) % 11
    digit_17 = np.array([ALPHABET.index(c) for c in "0123456789X0"])[check_17]
    body = np.hstack([body, digit_17[:, None]])
    check_18 = (31 - (body @ _USCC_WEIGHTS) % 31) % 31
    return np.ascontiguousarray(letters[np.hstack([body, check_18[:, None]])]).view("<U18").ravel()


def camera_gb_id(division: str, industry: str, serial: int, device_type: str = "132") -> str:
    """A 20-digit GB/T 28181 id: division 6, base unit 00, industry 2, type 3, network 0, serial 6.

    Raises ValueError where a part does not fit. Source: GB/T 28181 annex on unified codes.
    """
    made = f"{division}00{industry}{device_type}0{serial:06d}"
    problem = camera_gb_id_problem(made)
    if problem:
        raise ValueError(f"{made}: {problem}")
    return made


def camera_gb_id_problem(code: str, *, division: str | None = None) -> str | None:
    """Why a GB/T 28181 id is not that of a camera (of `division`, up to 6 digits), in English; None when it is."""
    if not re.fullmatch(r"[0-9]{20}", code):
        return "is not 20 digits"
    if code[10:13] not in CAMERA_TYPES:
        return f"has device type {code[10:13]}, not a camera's ({', '.join(CAMERA_TYPES)})"
    if division is not None and not code.startswith(division[:6]):
        return f"belongs to division {code[:6]}, not {division[:6]}"
    return None


def division_level(code: str) -> str:
    """Level of a 12-digit statistical division code: province, city, county, town or community.

    Raises ValueError where it is not 12 digits or has digits after a gap of zeros that no level explains.
    """
    if not re.fullmatch(r"[0-9]{12}", code) or code[:2] == "00":
        raise ValueError(f"division code needs 12 digits and a province: {code!r}")
    for digits, level in LEVELS.items():
        if not code[digits:].strip("0"):
            return level
    raise AssertionError("unreachable: nothing follows twelve digits")


def division_parent(code: str) -> str | None:
    """The 12-digit code one level up; None for a province. Raises ValueError as `division_level` does."""
    digits = {level: n for n, level in LEVELS.items()}[division_level(code)]
    above = [n for n in LEVELS if n < digits]
    return code[: above[-1]].ljust(12, "0") if above else None


def cell_code(community: str, sequence: int, *, kind: str = "0", micro: int = 0) -> str:
    """18-digit grid cell code: community 12, kind 1 (0 basic, 1 special), sequence 3, micro 2 (0 = not split).

    Raises ValueError where a part does not fit.
    """
    if (
        not re.fullmatch(r"[0-9]{12}", community)
        or kind not in ("0", "1")
        or not 1 <= sequence <= 999
        or not 0 <= micro <= 99
    ):
        raise ValueError(
            f"no cell code from community {community!r}, kind {kind!r}, sequence {sequence}, micro {micro}"
        )
    return f"{community}{kind}{sequence:03d}{micro:02d}"


def show_cell_code(code: str) -> str:
    """The form that people read: 310116103001-1-007-00. Raises ValueError where it is not 18 digits."""
    if not re.fullmatch(r"[0-9]{18}", code):
        raise ValueError(f"cell code needs 18 digits: {code!r}")
    return f"{code[:12]}-{code[12]}-{code[13:16]}-{code[16:]}"


def read_cell_code(text: str) -> str:
    """The 18 digits from either form, as typed by a person. Raises ValueError where it is neither."""
    plain = text.strip()
    if not re.fullmatch(r"[0-9]{12}-[01]-[0-9]{3}-[0-9]{2}|[0-9]{12}[01][0-9]{5}", plain):
        raise ValueError(f"not a cell code (310116103001-1-007-00 or its 18 digits): {text!r}")
    return plain.replace("-", "")
