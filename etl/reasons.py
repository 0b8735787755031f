"""Why a row was set aside or repaired: codes with sentences in both languages, and the list of findings of one file."""

from collections import Counter, defaultdict
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import SecretStr

from geoapp.access.redaction import redact

__all__ = ["REASONS", "Finding", "Findings", "Reason", "Repair", "Said"]

Severity = Literal["error", "warning", "repaired"]


class Reason(NamedTuple):
    """What a code says: the sentence, and what to do about it. `error` sets the row aside, `warning` and `repaired` store it."""

    zh: str
    en: str
    fix_zh: str = ""
    fix_en: str = ""
    severity: Severity = "error"


class Said(NamedTuple):
    """A part of a sentence that is not the same in both languages."""

    zh: str
    en: str


REASONS: dict[str, Reason] = {
    "row_shape": Reason(
        "列数不对（{found}）",
        "has {found} columns; a separator or quotation mark is out of place",
        "用文本编辑器看这一行：多半是名称或地址里有逗号或引号；用双引号括起来，或另存为 Excel",
        "look at the line in a text editor: most likely a comma or quotation mark in a name or address; put the value in quotation marks, or save as a workbook",
    ),
    "undecodable": Reason(
        "有不属于 {found} 编码的字节",
        "holds bytes that are not {found}",
        "在 Excel 中另存为“CSV UTF-8”，或在清单里写对 encoding（gbk、utf-8）",
        "save it as 'CSV UTF-8', or declare the right `encoding` (gbk, utf-8) in the manifest",
    ),
    "name_missing": Reason("没有名称", "has no name", "补填名称", "fill in the name"),
    "key_missing": Reason(
        "没有可识别的编号",
        "has nothing to be known by: no code or id",
        "补填编号或统一社会信用代码，否则下次导入认不出是同一个",
        "fill in the id or credit code: without one, the next import cannot know the row again",
    ),
    "value_missing": Reason("没有填写", "is blank, but needed", "补填这一格", "fill in this cell"),
    "masked_value": Reason(
        "仍是隐去的值（{value}）",
        "still holds a value that was hidden ({value})",
        "填回原值；没有的留空",
        "put the real value back, or leave the cell blank",
    ),
    "duplicate_in_file": Reason(
        "编号 {key} 与第 {other} 行重复",
        "has the same key {key} as row {other}",
        "如果是同一个，删去一行；如果不是，改正编号",
        "where both are the same, delete one of the rows; where not, correct its key",
    ),
    "duplicate_in_store": Reason(
        "编号 {key} 已属于库中另一条记录（{other}）",
        "its key {key} belongs to another stored row ({other})",
        "核对编号：它已属于另一个；如是同一个，请管理员合并",
        "check the key: it belongs to another; where both are the same, an admin can merge them",
    ),
    "merged_site": Reason(
        "已并入场所 {other}",
        "was merged into the site {other} by a person",
        "不必再做什么；可以从文件中删去这一行",
        "nothing to do; the row may be taken out of the file",
    ),
    "held_by_sample": Reason(
        "编号 {key} 属于示例城市",
        "its key {key} belongs to the generated sample city, which is not overwritten",
        "示例城市的记录不会被覆盖：真实数据请装进另一个 GEOAPP_HOME",
        "put real data into a GEOAPP_HOME of their own",
    ),
    "coordinate_missing": Reason(
        "没有坐标",
        "has no coordinates",
        "补填经度和纬度（在天地图上查到后抄入）",
        "fill in longitude and latitude, as a map shows them",
    ),
    "coordinate_not_number": Reason(
        "坐标不是数字：{found}",
        "coordinate is not a number: {found}",
        "在 Excel 中把该列改为数值，只写如 121.341：不要度分秒、单位或文字",
        "make the column numeric in the spreadsheet, like 121.341: no degrees-minutes-seconds, units or words",
    ),
    "coordinate_out_of_range": Reason(
        "坐标超出范围：{found}",
        "coordinate is out of range: {found}",
        "经度在 -180 到 180 之间，纬度在 -90 到 90 之间；多半是少了小数点",
        "longitudes lie within -180..180, latitudes within -90..90; most likely the decimal point is missing",
    ),
    "coordinate_swapped": Reason(
        "经纬度似乎颠倒：{found}",
        "longitude and latitude look swapped: {found}",
        "在清单里交换 lon 与 lat 两列；只有这一行时，交换这两格",
        "exchange the columns for lon and lat in the manifest; where it is this row only, the two cells",
    ),
    "outside_zone": Reason(
        "位置在城市坐标带之外：{found}",
        "lies outside the city's coordinate zone: {found}; check the frame",
        "先核对清单里的 frame（geoapp load … --infer-frame 会逐一试），再核对这一行的坐标",
        "first check `frame` in the manifest (geoapp load … --infer-frame tries them), then this row's coordinates",
    ),
    "outside_district": Reason(
        "在{district}边界之外 {metres} 米",
        "lies {metres} m outside the outline of {district}",
        "如果很多行都这样，核对 frame；只有个别行时，核对坐标，或它不归本区、请删去",
        "where many rows have it, check `frame`; where it is a few, check their coordinates, or take them out as another district's",
    ),
    "outside_named_town": Reason(
        "不在所填的{town}内，相距 {metres} 米",
        "lies {metres} m outside {town}, which it names",
        "核对坐标与所填镇（街道）哪一个不对；边界粗略时可在清单里设 border_tolerance_m",
        "check which is wrong, the coordinates or the town; where outlines are rough, border_tolerance_m allows for it",
    ),
    "unknown_town": Reason(
        "没有这个镇（街道）：{found}",
        "names a town that is not in the register: {found}",
        "改为库中的镇（街道）全名或 9 位、12 位代码；新设的镇先导入 units",
        "write the town's full name as registered, or its code of 9 or 12 digits; load a new town under `units` first",
    ),
    "uscc_invalid": Reason(
        "统一社会信用代码 {found} 不对：{why}",
        "credit code {found} {why}",
        "对照营业执照逐位核对 18 位代码；没有的留空",
        "compare the 18 characters with the business licence; leave the cell blank where there is none",
    ),
    "camera_id_invalid": Reason(
        "国标编号 {found} 不对：{why}",
        "GB/T 28181 id {found} {why}",
        "向视频平台要该通道的 20 位国标编号；在 Excel 中把该列改为文本，否则后几位会变成 0",
        "ask the video platform for the channel's 20 digits; make the column text in the spreadsheet, or its last digits become 0",
    ),
    "unit_code_invalid": Reason(
        "行政区划代码 {found} 不对，应为 12 位（县 6 位、镇 9 位亦可）",
        "division code {found} is not 12 digits (6 for a county and 9 for a town are taken too)",
        "填写 12 位行政区划代码；在 Excel 中把该列改为文本，否则前面的 0 会丢",
        "write the 12-digit division code; make the column text in the spreadsheet, or leading zeros are lost",
    ),
    "unit_elsewhere": Reason(
        "代码 {found} 不属于{district}",
        "code {found} is not of {district}",
        "这一行不归本区，请从文件中删去，或在清单里用 where 选行",
        "it is another district's: take it out of the file, or choose rows by `where` in the manifest",
    ),
    "cell_code_invalid": Reason(
        "网格编码 {found} 不对，应为 18 位",
        "cell code {found} is not 18 digits (12 community, 1 kind, 3 sequence, 2 micro)",
        "核对 18 位网格编码：社区 12 位、类别 1 位、顺序 3 位、细分 2 位；在 Excel 中把该列改为文本",
        "check the 18 digits: 12 community, 1 kind, 3 sequence, 2 micro; make the column text in the spreadsheet",
    ),
    "parent_missing": Reason(
        "上级 {found} 不在库中",
        "its parent {found} is not in the register",
        "先导入上级（区、镇、社区），或核对代码的前几位",
        "load its parent (county, town, community) first, or check the first digits of the code",
    ),
    "parent_mismatch": Reason(
        "所填社区 {found} 与编码不符",
        "the community {found} that it names is not the one in its code",
        "核对网格编码的前 12 位与所填社区哪一个不对",
        "check which is wrong: the first 12 digits of the code, or the community",
    ),
    "geometry_missing": Reason(
        "没有图形",
        "has no geometry",
        "在 GIS 软件中补画，或删去这一行",
        "draw it in the GIS, or delete the row",
    ),
    "geometry_unreadable": Reason(
        "图形无法读取",
        "geometry cannot be read",
        "在 GIS 软件中打开原文件，修复几何后再导出",
        "open the file in a GIS, repair geometries and export it again",
    ),
    "geometry_empty": Reason(
        "图形为空",
        "geometry is empty",
        "在 GIS 软件中补画，或删去这一行",
        "draw it in the GIS, or delete the row",
    ),
    "geometry_wrong_type": Reason(
        "图形类型是 {found}，应为 {expected}",
        "geometry is {found}, expected {expected}",
        "导出时选对图层：点、线、面各有各的图层",
        "export the right layer: points, lines and areas have layers of their own",
    ),
    "geometry_invalid": Reason(
        "图形无效且不能修复：{why}",
        "geometry is invalid and cannot be repaired: {why}",
        "在 GIS 软件中重画这个图形后再导出",
        "draw the shape again in the GIS and export it",
    ),
    "geometry_multi_part": Reason(
        "由 {found} 块组成，应为一块",
        "has {found} parts, expected one",
        "在 GIS 软件中拆成几行，各有自己的编号",
        "split it into rows of their own in the GIS, each with its own code",
    ),
    "same_ground": Reason(
        "与 {other} 重叠 {percent}%",
        "covers {percent} % of the same ground as {other}",
        "两个图形占了同一块地：删去一个，或在 GIS 软件中改好边界",
        "two shapes lie on the same ground: delete one, or mend their border in the GIS",
    ),
    "not_a_number": Reason(
        "不是数字：{found}",
        "is not a number: {found}",
        "在 Excel 中把该列改为数值，去掉单位和文字",
        "make the column numeric in the spreadsheet, without units or words",
    ),
    "out_of_range": Reason(
        "超出范围：{found}（{expected}）",
        "is out of range: {found} (expected {expected})",
        "核对数值和单位",
        "check the number and its unit",
    ),
    "not_a_date": Reason(
        "不是日期：{found}",
        "is not a date: {found} (expected 2026-11-22)",
        "在 Excel 中把该列的单元格格式改为“日期”，写成 2026-11-22",
        "give the column the cell format 'date' in the spreadsheet, like 2026-11-22",
    ),
    "not_allowed": Reason(
        "不是允许的值：{found}（{expected}）",
        "is not an allowed value: {found} (expected {expected})",
        "改为括号里列出的词",
        "write one of the words in brackets",
    ),
    "unknown_site": Reason(
        "库中没有场所 {found}",
        "names a site that is not in the register: {found}",
        "核对信用代码或编号；先导入场所",
        "check the credit code or id; load the sites first",
    ),
    "unknown_rule": Reason(
        "库中没有责任规则 {found}",
        "names a duty rule that is not in the register: {found}",
        "核对规则代码；先导入责任规则",
        "check the rule's code; load the duty rules first",
    ),
    "unknown_department": Reason(
        "库中没有部门 {found}",
        "names a department that is not in the register: {found}",
        "核对部门代码或名称；先导入部门",
        "check the department's code or name; load the departments first",
    ),
    "address_has_password": Reason(
        "地址里的账号口令无法拆开，请另列 username、password 两列，并把地址中的 @ 写成 %40",
        "the address may hold a password and cannot be taken apart; give user name and password in columns of their own, "
        "and write an @ in the path as %40",
        "账号、口令各写一列，地址里不写",
        "give account and password columns of their own, and leave them out of the address",
    ),
    "address_scheme": Reason(
        "地址的开头“{found}”不认识（可用：{expected}）",
        "its address begins with {found}, which is not known (known: {expected})",
        "用括号里的一种写地址，各种写法见 docs/watch.md（Sources）",
        "write the address as one of those in brackets; docs/watch.md (Sources) shows the form of each",
    ),
    "credential_invalid": Reason(
        "账号或口令过长或含控制字符",
        "its user name or password is too long or holds control characters",
        "核对这一格；口令中不能有换行",
        "check the cell; a password has no line breaks",
    ),
    "not_a_time": Reason(
        "不是日期时间：{found}",
        "is not a date and time: {found} (expected 2026-11-22 09:30)",
        "改为 2026-11-22 09:30；文件是别的时区时写明，如 2026-11-22T09:30+08:00",
        "write it as 2026-11-22 09:30; where it is of another zone than the city's, as 2026-11-22T09:30+08:00",
    ),
    "ends_before_it_starts": Reason(
        "结束（{end}）早于开始（{start}）",
        "ends ({end}) before it starts ({start})",
        "核对两个日期，可能填反了",
        "check both dates; they may have changed places",
    ),
    "state_disagrees": Reason(
        "状态（{state}）与销号时间（{closed}）不符",
        "its state ({state}) and its time of closing ({closed}) disagree",
        "已销号的隐患要有销号时间，未销号的不能有",
        "a closed hazard needs the time of closing, an open one must have none",
    ),
    "unknown_unit": Reason(
        "库中没有单位 {found}，或有几个同名",
        "names a unit that is not in the register, or more than one: {found}",
        "填写 12 位行政区划代码",
        "write the 12-digit division code",
    ),
    "unknown_cell": Reason(
        "库中没有网格 {found}",
        "names a grid cell that is not in the register: {found}",
        "核对 18 位网格编码；先导入网格",
        "check the 18-digit code; load the grid first",
    ),
    "place_missing": Reason(
        "没有填网格、单位或部门",
        "says neither a cell nor a unit nor a department",
        "至少填一个",
        "fill in one of them",
    ),
    "id_number_invalid": Reason(
        "身份证号不对：{why}",
        "its ID number is wrong: {why}",
        "核对 18 位号码；号码本身不会出现在报告里",
        "check the 18 digits; the number itself stands in no report",
    ),
    "certificate_not_holders": Reason(
        "证书编号与持证人身份证号不符",
        "its certificate number (T and an ID number) is not its holder's",
        "应急部门的证书编号是 T 加持证人身份证号，核对两列",
        "a certificate of the emergency bureau has T and its holder's ID number; compare the two columns",
    ),
    "job_class_unlisted": Reason(
        "作业类别 {found} 不在特种作业目录中",
        "its job class {found} is not in the catalogue of special operations",
        "已按原文保存；核对类别名称",
        "stored as it is; check the name of the class",
        severity="warning",
    ),
    "permit_too_long": Reason(
        "作业票有效 {hours} 小时，{level}动火最长 {limit} 小时",
        "is valid for {hours} h; a permit of level {level} may last {limit} h (GB 30871)",
        "核对起止时间和级别",
        "check its times and its level",
        severity="warning",
    ),
    "two_leads": Reason(
        "{rule} 在{unit}同时有另一个已确认的牵头部门 {other}",
        "{rule} has another confirmed lead in {unit} at the same time: {other}",
        "已保存，责任缺口里会显示“双牵头”；请安委会明确一个",
        "stored, and shown among the duty gaps as two leads; the committee should name one",
        severity="warning",
    ),
    "cell_retired": Reason(
        "网格编码 {found} 已停用，不再使用",
        "cell code {found} belonged to a cell that there is no more; codes are never used again",
        "给新网格一个新的顺序码；拆分的用末两位（微网格）",
        "give the new cell the next sequence number; parts of a split take the last two digits",
    ),
    "unit_retired": Reason(
        "行政区划代码 {found} 已撤销",
        "division code {found} was abolished",
        "在文件中改为现行代码（民政部每年公布），或先导入新的单位",
        "put the code that is in force now; the ministry publishes the list each year",
    ),
    "unit_level_wrong": Reason(
        "行政区划代码 {found} 不是{level}级的",
        "division code {found} is not that of a {level}",
        "核对代码末尾的零：县 6 位、镇 9 位、村（社区）12 位有效数字",
        "look at the zeros at its end: a county has 6 significant digits, a town 9, a community 12",
    ),
    "camera_id_not_camera": Reason(
        "国标编号 {found} {why}",
        "GB/T 28181 id {found} {why}",
        "这是录像机、服务器等设备的编号；填摄像机通道的编号（第 11 至 13 位是 131 或 132）",
        "it is the id of a recorder or server; put that of the camera's channel (digits 11 to 13 are 131 or 132)",
    ),
    "camera_id_elsewhere": Reason(
        "国标编号 {found} {why}",
        "GB/T 28181 id {found} {why}",
        "已保存；如果摄像头不归本区，请从清单中删去",
        "stored; take it out of the list where the camera is another district's",
        severity="warning",
    ),
    "camera_id_industry": Reason(
        "国标编号 {found} {why}",
        "GB/T 28181 id {found} {why}",
        "已保存；核对第 9、10 位",
        "stored; check digits 9 and 10",
        severity="warning",
    ),
    "date_early": Reason(
        "日期 {found} 早于 {limit}",
        "its date {found} is before {limit}",
        "已保存；核对年份是否填错",
        "stored; check its year",
        severity="warning",
    ),
    "date_late": Reason(
        "日期 {found} 晚于 {limit}",
        "its date {found} is after {limit}",
        "已保存；核对年份是否填错",
        "stored; check its year",
        severity="warning",
    ),
    "coordinate_not_finite": Reason(
        "图形的坐标里有非数值",
        "its geometry holds coordinates that are no numbers (NaN or infinite)",
        "在 GIS 软件中重画这个图形后再导出",
        "draw the shape again in the GIS and export it",
    ),
    "area_tiny": Reason(
        "面积只有 {m2} 平方米",
        "covers {m2} m² only",
        "多半是误画的碎片，请删去；如果单位不对，核对 frame",
        "most likely a scrap: delete it; where the unit is wrong, check `frame`",
    ),
    "length_tiny": Reason(
        "长度只有 {metres} 米",
        "is {metres} m long only",
        "多半是误画的碎片，请删去",
        "most likely a scrap: delete it",
    ),
    "partly_outside": Reason(
        "有 {m2} 平方米（{percent}%）在行政区边界之外",
        "{m2} m² of it ({percent} %) lie outside the district's outline",
        "已保存；核对边界与图形哪一个不准",
        "stored; check which is wrong, the outline or the shape",
        severity="warning",
    ),
    "shape_thin": Reason(
        "图形平均宽度只有 {metres} 米",
        "its mean width is {metres} m only",
        "已保存；多半是两个图形之间的缝隙，确认后请删去",
        "stored; most likely a gap between two shapes: look at it, and delete it",
        severity="warning",
    ),
    # Repaired: stored after a change that is kept, before and after.
    "geometry_made_valid": Reason(
        "图形自相交，已修复",
        "geometry crossed itself and was made valid",
        "看一眼修复后的形状是否正确",
        "look at the shape as it is now",
        severity="repaired",
    ),
    "unit_code_padded": Reason(
        "代码补足 12 位",
        "code was filled up to 12 digits",
        "不必再做什么",
        "nothing to do",
        severity="repaired",
    ),
    "vertices_repeated": Reason(
        "有重复的折点，已去掉",
        "vertices stood twice in a row; the second was taken out",
        "不必再做什么",
        "nothing to do",
        severity="repaired",
    ),
    "spike_removed": Reason(
        "有宽不到 1 厘米的尖刺，已去掉",
        "had a spike narrower than 1 cm, which was taken out",
        "看一眼修复后的形状是否正确",
        "look at the shape as it is now",
        severity="repaired",
    ),
    "parts_dropped": Reason(
        "有小于 1 平方米的碎片，已去掉",
        "had parts under 1 m², which were dropped",
        "看一眼修复后的形状是否正确",
        "look at the shape as it is now",
        severity="repaired",
    ),
    "date_from_serial": Reason(
        "日期是 Excel 的天数，已换算",
        "date was a spreadsheet's day number and was converted",
        "在 Excel 中把该列的单元格格式改为“日期”",
        "give the column the cell format 'date' in the spreadsheet",
        severity="repaired",
    ),
    "camera_id_tidied": Reason(
        "国标编号改为半角、去掉空格",
        "GB/T 28181 id was put in half-width digits without blanks",
        "不必再做什么",
        "nothing to do",
        severity="repaired",
    ),
    "uscc_tidied": Reason(
        "信用代码改为半角大写",
        "credit code was put in half-width capitals",
        "不必再做什么",
        "nothing to do",
        severity="repaired",
    ),
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


def _finding(code: str, field: str | None, values: dict[str, Any]) -> Finding:
    reason = REASONS[code]

    def filled(language: Literal["zh", "en"]) -> dict[str, str]:
        said = {k: str(getattr(v, language) if isinstance(v, Said) else v) for k, v in values.items()}
        return {k: (v if code in _OF_CODES else redact(v))[:120] for k, v in said.items()}

    return Finding(code, field, reason.zh.format(**filled("zh")), reason.en.format(**filled("en")))


def _of_row(values: dict[str, Any], row: int) -> dict[str, Any]:
    """What fills the sentence of one row, from arrays of shape (n,) and constants."""
    of_row = {k: v[row] if isinstance(v, np.ndarray | pa.Array) else v for k, v in values.items()}
    return {k: v.as_py() if isinstance(v, pa.Scalar) else v for k, v in of_row.items()}


class Findings:
    """What was found in the rows of one file, by row index (0..n-1)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.reasons: dict[int, list[Finding]] = defaultdict(list)
        self.repairs: dict[int, list[Repair]] = defaultdict(list)
        self.warnings: dict[int, list[Finding]] = defaultdict(list)
        self.notices: list[str] = []
        # Credentials of a row, by field: sealed when the row is stored, written nowhere else.
        self.secrets: dict[int, dict[str, SecretStr]] = defaultdict(dict)

    def reject(self, mask: NDArray[np.bool_], code: str, field: str | None, **values: Any) -> None:
        """Sets the masked rows (shape (n,)) aside. `values` fill the sentence: arrays of shape (n,) or constants."""
        for row in np.flatnonzero(mask):
            self.reject_row(int(row), code, field, **_of_row(values, int(row)))

    def reject_row(self, row: int, code: str, field: str | None, **values: Any) -> None:
        """Sets one row aside. What is quoted from the row is redacted: ID numbers stand in all kinds of columns."""
        self.reasons[row].append(_finding(code, field, values))

    def warn(self, mask: NDArray[np.bool_], code: str, field: str | None, **values: Any) -> None:
        """Notes of the masked rows (shape (n,)) what somebody should look at; they are stored all the same."""
        for row in np.flatnonzero(mask):
            self.warn_row(int(row), code, field, **_of_row(values, int(row)))

    def warn_row(self, row: int, code: str, field: str | None, **values: Any) -> None:
        """Notes of one row what somebody should look at."""
        self.warnings[row].append(_finding(code, field, values))

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
