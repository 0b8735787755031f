"""Identifiers: credit codes (GB 32100), camera ids (GB/T 28181), division codes (GB/T 2260) and grid cell codes.

All are text, never integers. Functions raise ValueError with what is wrong; they touch neither database nor clock.
"""

import re
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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

DEVICE_TYPES = {
    "111": ("DVR", "DVR"), "112": ("视频服务器", "video server"), "113": ("编码器", "encoder"), "114": ("解码器", "decoder"),
    "115": ("视频切换矩阵", "video matrix"), "116": ("音频切换矩阵", "audio matrix"), "117": ("报警控制器", "alarm controller"),
    "118": ("NVR", "NVR"), "119": ("HVR", "hybrid recorder"), "131": ("摄像机", "camera"),
    "132": ("网络摄像机", "network camera"), "133": ("显示器", "display"), "134": ("报警输入设备", "alarm input"),
    "135": ("报警输出设备", "alarm output"), "136": ("语音输入设备", "microphone"), "137": ("语音输出设备", "loudspeaker"),
    "138": ("移动传输设备", "mobile transmitter"), "139": ("其他外围设备", "other peripheral"),
    "200": ("中心信令控制服务器", "signalling server"), "201": ("Web 应用服务器", "web server"),
    "202": ("媒体分发服务器", "media server"), "203": ("代理服务器", "proxy server"), "204": ("安全服务器", "security server"),
    "205": ("报警服务器", "alarm server"), "206": ("数据库服务器", "database server"), "207": ("GIS 服务器", "GIS server"),
    "208": ("管理服务器", "management server"), "209": ("接入网关", "access gateway"),
    "210": ("媒体存储服务器", "media storage server"), "211": ("信令安全路由网关", "signalling gateway"),
    "215": ("业务分组", "business group"), "216": ("虚拟组织", "virtual organisation"),
}  # fmt: skip
"""GB/T 28181 annex D: what the three digits of type name, in Chinese and English; 120-130, 140-199 are the makers' own."""

RESERVED_INDUSTRIES = frozenset(f"{n:02d}" for n in (*range(15, 40), *range(60, 80)))
"""Two digits of industry (11 and 12 are education and civil aviation, 42 manufacturing …) that no edition gives a meaning."""

_PROVINCES = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12]")

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


def uscc_problems(codes: Any) -> NDArray[np.object_]:
    """`uscc_problem` of each code, shape (n,): its text, None for a valid code and for a blank.

    codes: numpy object array (None for a blank) or an Arrow array of strings. Columns of valid codes are checked in numpy.
    """
    text = codes if isinstance(codes, pa.Array) else pa.array(codes, type=pa.string())
    out = np.full(len(text), None, dtype=object)
    doubtful = ~plain_usccs(text) & np.asarray(text.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    for row in np.flatnonzero(doubtful):
        out[row] = uscc_problem(text[int(row)].as_py())
    return out


def plain_usccs(text: pa.Array) -> NDArray[np.bool_]:
    """Which of the texts (Arrow strings, shape (n,)) are valid credit codes in capitals, as they are stored."""
    long = np.asarray(pc.equal(pc.binary_length(text), 18).fill_null(False))
    right = _are_usccs(_characters(text if long.all() else text.filter(pa.array(long))))
    out = np.zeros(len(text), dtype=bool)
    out[long] = right
    return out


def _characters(text: pa.Array) -> NDArray[np.uint8]:
    """The bytes of texts of 18 bytes each, shape (n, 18)."""
    if not len(text):
        return np.zeros((0, 18), dtype=np.uint8)
    width = np.int64 if pa.types.is_large_string(text.type) else np.int32
    start = int(np.frombuffer(text.buffers()[1], dtype=width)[text.offset])
    return np.frombuffer(text.buffers()[2], dtype=np.uint8)[start : start + 18 * len(text)].reshape(-1, 18)


_ROWS = 1 << 14
_VALUE_OF_BYTE = np.full(256, 99, dtype=np.int16)
_VALUE_OF_BYTE[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(31)


def _are_usccs(characters: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows of bytes (n, 18) are valid codes in capitals."""
    out = np.empty(len(characters), dtype=bool)
    weights = _USCC_WEIGHTS.astype(np.int16)
    for start in range(0, len(characters), _ROWS):  # as many as stay in the processor's cache
        value = _VALUE_OF_BYTE[characters[start : start + _ROWS].T]
        known = (value[:8] <= 9).all(axis=0) & (value[8:] < 31).all(axis=0)
        total = np.einsum("i,ij->j", weights, value[:17])  # faster than @, which has no BLAS for integers
        out[start : start + _ROWS] = known & ((31 - total % 31) % 31 == value[17])
    return out


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


class CameraFault(NamedTuple):
    """What is wrong with a GB/T 28181 id: which part, and the sentence in Chinese and English.

    part: digits, division, industry, type, or elsewhere (a division that is not the city's).
    """

    part: str
    zh: str
    en: str


def camera_gb_id_faults(code: str, *, division: str | None = None) -> list[CameraFault]:
    """All that is wrong with a camera's GB/T 28181 id; `division`: digits of the city's division code, 2 to 12.

    Centre 8 digits (division and base unit; a province's or city's own platform has zeros in the lower places),
    industry 2, type 3, network 1, serial 6.
    """
    if not re.fullmatch(r"[0-9]{20}", code):
        said = f"是 {len(code)} 位" if code.isdigit() else "含有数字以外的字符"
        return [CameraFault("digits", f"{said}，应为 20 位数字", "is not 20 digits")]
    faults = []
    centre, industry, kind = code[:8], code[8:10], code[10:13]
    if not _PROVINCES.match(centre) or re.search(r"00(?!00)[0-9]{2}", centre[:6]):
        faults.append(
            CameraFault(
                "division",
                f"前 6 位 {centre[:6]} 不是行政区划",
                f"begins with {centre[:6]}, no division's code",
            )
        )
    if kind not in CAMERA_TYPES:
        zh, en = DEVICE_TYPES.get(kind, ("未知设备", "an unknown device"))
        faults.append(
            CameraFault(
                "type",
                f"是{zh}（{kind}），不是摄像机（131、132）",
                f"has device type {kind}, {en}, not a camera's (131, 132)",
            )
        )
    if industry in RESERVED_INDUSTRIES:
        faults.append(
            CameraFault(
                "industry", f"行业代码 {industry} 是预留的", f"has industry {industry}, which is reserved"
            )
        )
    if division is not None and not faults:
        own = _significant(centre[:6])
        if not (own.startswith(division[:6]) or division[:6].startswith(own)):
            faults.append(
                CameraFault(
                    "elsewhere",
                    f"属于 {centre[:6]}，不属于 {division[:6]}",
                    f"belongs to division {centre[:6]}, not {division[:6]}",
                )
            )
    return faults


def _significant(division: str) -> str:
    """A division code of six digits without the pairs of zeros at its end."""
    return re.sub(r"(00)+$", "", division)


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
