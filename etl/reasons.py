"""Why a row was set aside or repaired: codes with sentences in both languages, and the list of findings of one file."""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from geoapp.access.redaction import redact

__all__ = ["REASONS", "REPAIRS", "Finding", "Findings", "Repair"]

# code: (zh, en). Each sentence says what is wrong and, where there is something to do, what.
REASONS: dict[str, tuple[str, str]] = {
    "row_shape": (
        "列数不对（{found}）",
        "has {found} columns; a separator or quotation mark is out of place",
    ),
    "undecodable": ("有不属于 {found} 编码的字节", "holds bytes that are not {found}"),
    "name_missing": ("没有名称", "has no name"),
    "key_missing": ("没有可识别的编号", "has nothing to be known by: no code or id"),
    "value_missing": ("没有填写", "is blank, but needed"),
    "duplicate_in_file": ("编号 {key} 与第 {other} 行重复", "has the same key {key} as row {other}"),
    "duplicate_in_store": (
        "编号 {key} 已属于库中另一条记录（{other}）",
        "its key {key} belongs to another stored row ({other})",
    ),
    "held_by_sample": (
        "编号 {key} 属于示例城市",
        "its key {key} belongs to the generated sample city, which is not overwritten",
    ),
    "coordinate_missing": ("没有坐标", "has no coordinates"),
    "coordinate_not_number": ("坐标不是数字：{found}", "coordinate is not a number: {found}"),
    "coordinate_out_of_range": ("坐标超出范围：{found}", "coordinate is out of range: {found}"),
    "coordinate_swapped": ("经纬度似乎颠倒：{found}", "longitude and latitude look swapped: {found}"),
    "outside_zone": (
        "位置在城市坐标带之外：{found}",
        "lies outside the city's coordinate zone: {found}; check the frame",
    ),
    "outside_district": (
        "在{district}边界之外 {metres} 米",
        "lies {metres} m outside the outline of {district}",
    ),
    "outside_named_town": (
        "不在所填的{town}内，相距 {metres} 米",
        "lies {metres} m outside {town}, which it names",
    ),
    "unknown_town": ("没有这个镇（街道）：{found}", "names a town that is not in the register: {found}"),
    "uscc_invalid": ("统一社会信用代码 {found} 不对：{why}", "credit code {found} {why}"),
    "camera_id_invalid": ("国标编号 {found} 不对：{why}", "GB/T 28181 id {found} {why}"),
    "unit_code_invalid": (
        "行政区划代码 {found} 不对，应为 12 位（县 6 位、镇 9 位亦可）",
        "division code {found} is not 12 digits (6 for a county and 9 for a town are taken too)",
    ),
    "unit_elsewhere": ("代码 {found} 不属于{district}", "code {found} is not of {district}"),
    "cell_code_invalid": (
        "网格编码 {found} 不对，应为 18 位",
        "cell code {found} is not 18 digits (12 community, 1 kind, 3 sequence, 2 micro)",
    ),
    "parent_missing": ("上级 {found} 不在库中", "its parent {found} is not in the register"),
    "parent_mismatch": (
        "所填社区 {found} 与编码不符",
        "the community {found} that it names is not the one in its code",
    ),
    "geometry_missing": ("没有图形", "has no geometry"),
    "geometry_unreadable": ("图形无法读取", "geometry cannot be read"),
    "geometry_empty": ("图形为空", "geometry is empty"),
    "geometry_wrong_type": (
        "图形类型是 {found}，应为 {expected}",
        "geometry is {found}, expected {expected}",
    ),
    "geometry_invalid": ("图形无效且不能修复：{why}", "geometry is invalid and cannot be repaired: {why}"),
    "geometry_multi_part": ("由 {found} 块组成，应为一块", "has {found} parts, expected one"),
    "same_ground": ("与 {other} 重叠 {percent}%", "covers {percent} % of the same ground as {other}"),
    "not_a_number": ("不是数字：{found}", "is not a number: {found}"),
    "out_of_range": ("超出范围：{found}（{expected}）", "is out of range: {found} (expected {expected})"),
    "not_a_date": ("不是日期：{found}", "is not a date: {found} (expected 2026-11-22)"),
    "not_allowed": (
        "不是允许的值：{found}（{expected}）",
        "is not an allowed value: {found} (expected {expected})",
    ),
    "unknown_site": ("库中没有场所 {found}", "names a site that is not in the register: {found}"),
    "unknown_rule": ("库中没有责任规则 {found}", "names a duty rule that is not in the register: {found}"),
    "unknown_department": ("库中没有部门 {found}", "names a department that is not in the register: {found}"),
    "address_has_password": (
        "地址里的账号口令无法拆开，请另列 username、password 两列，并把地址中的 @ 写成 %40",
        "the address may hold a password and cannot be taken apart; give user name and password in columns of their own, "
        "and write an @ in the path as %40",
    ),
    "credential_invalid": (
        "账号或口令过长或含控制字符",
        "its user name or password is too long or holds control characters",
    ),
}

REPAIRS: dict[str, tuple[str, str]] = {
    "geometry_made_valid": ("图形自相交，已修复", "geometry crossed itself and was made valid"),
    "unit_code_padded": ("代码补足 12 位", "code was filled up to 12 digits"),
    "uscc_tidied": ("信用代码改为半角大写", "credit code was put in half-width capitals"),
}

# They quote cell and division codes, one in some hundreds of which passes for an ID number.
_OF_CODES = frozenset({"same_ground", "parent_missing", "parent_mismatch", "unit_elsewhere"})


class Finding(NamedTuple):
    """One reason why a row is set aside."""

    code: str
    field: str | None
    zh: str
    en: str


class Repair(NamedTuple):
    """One change that made a row storable; before and after as text (geometry: WKT, metres of the city's zone)."""

    code: str
    field: str
    before: str
    after: str


class Findings:
    """What was found in the rows of one file, by row index (0..n-1)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.reasons: dict[int, list[Finding]] = defaultdict(list)
        self.repairs: dict[int, list[Repair]] = defaultdict(list)
        self.notices: list[str] = []
        # Credentials of a row, by field: sealed when the row is stored, written nowhere else.
        self.secrets: dict[int, dict[str, SecretStr]] = defaultdict(dict)

    def reject(self, mask: NDArray[np.bool_], code: str, field: str | None, **values: Any) -> None:
        """Sets the masked rows (shape (n,)) aside. `values` fill the sentence: arrays of shape (n,) or constants."""
        for row in np.flatnonzero(mask):
            filled = {k: v[row] if isinstance(v, np.ndarray) else v for k, v in values.items()}
            self.reject_row(int(row), code, field, **filled)

    def reject_row(self, row: int, code: str, field: str | None, **values: Any) -> None:
        """Sets one row aside. What is quoted from the row is redacted: ID numbers stand in all kinds of columns."""
        zh, en = REASONS[code]
        filled = {k: (str(v) if code in _OF_CODES else redact(str(v)))[:120] for k, v in values.items()}
        self.reasons[row].append(Finding(code, field, zh.format(**filled), en.format(**filled)))

    def repair(self, row: int, code: str, field: str, before: str, after: str) -> None:
        """Notes that a row was changed to make it storable."""
        self.repairs[row].append(Repair(code, field, before, after))

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Mask of shape (n,): rows without any reason against them."""
        mask = np.ones(self.count, dtype=bool)
        mask[list(self.reasons)] = False
        return mask

    def top(self) -> list[tuple[str, int]]:
        """Reason codes with the number of rows that have them, most frequent first."""
        return Counter(
            f.code for found in self.reasons.values() for f in {x.code: x for x in found}.values()
        ).most_common()
