"""What a file may say in a column of fixed words, and what is stored for it."""

from typing import Final

__all__ = [
    "CERTIFICATE_ISSUERS",
    "CHECK_KINDS",
    "CHECK_OUTCOMES",
    "DUTY_ROLES",
    "DUTY_STATUSES",
    "EVENT_KINDS",
    "EVENT_SEVERITIES",
    "HAZARD_CLASSES",
    "HAZARD_FINDERS",
    "HAZARD_STATES",
    "JOB_CLASSES",
    "PERMIT_LEVELS",
    "PERMIT_STATUSES",
    "RESOURCE_KINDS",
    "ROAD_KINDS",
    "STAFF_ROLES",
    "WATER_KINDS",
    "Words",
]

Words = dict[str, str]


def _words(**given: str) -> Words:
    """Stored word to what files say for it, separated by blanks; the stored word itself is taken too."""
    return {text.lower(): stored for stored, said in given.items() for text in (stored, *said.split())}


DUTY_ROLES: Final = _words(lead="主管 牵头 主责 牵头部门 主管部门", co="配合 协办 协同 配合部门 协管")
DUTY_STATUSES: Final = _words(
    confirmed="已确认 确认 已明确 明确",
    proposed="拟定 建议 待确认 草案",
    disputed="有争议 争议 存疑",
    designated="指定 已指定 安委会指定",
)
STAFF_ROLES: Final = _words(
    chief="网格长",
    worker="网格员 专职网格员 兼职网格员",
    leader="负责人 主要负责人 分管领导 领导 第一责任人",
    safety_officer="安全员 安全干部 安全专管员 专管员 安监员",
)
CERTIFICATE_ISSUERS: Final = _words(
    MEM="应急 应急管理 应急管理部门 应急管理部 应急管理局 安监",
    MOHURD="住建 住房城乡建设 住建部门 住建局 建设",
    SAMR="市场监管 市场监督管理 市场监管部门 市场监管局 质监",
)
# Classes of special operations (Order 30 of the former work safety administration), by the names that lists use.
JOB_CLASSES: Final = {
    said: stored
    for stored, names in {
        "电工作业": "电工作业 电工 低压电工 高压电工 低压电工作业 高压电工作业 防爆电气作业",
        "焊接与热切割作业": "焊接与热切割作业 焊接与热切割 焊工 电焊工 焊接 熔化焊接与热切割作业 压力焊作业 钎焊作业",
        "高处作业": "高处作业 登高作业 高处 登高架设作业",
        "制冷与空调作业": "制冷与空调作业 制冷空调 制冷作业",
        "煤矿安全作业": "煤矿安全作业 煤矿",
        "金属非金属矿山安全作业": "金属非金属矿山安全作业 非煤矿山",
        "石油天然气安全作业": "石油天然气安全作业 司钻作业",
        "冶金（有色）生产安全作业": "冶金(有色)生产安全作业 冶金（有色）生产安全作业 煤气作业",
        "危险化学品安全作业": "危险化学品安全作业 危化品",
        "烟花爆竹安全作业": "烟花爆竹安全作业 烟花爆竹",
        "其他作业": "其他作业 其他 有限空间作业",
    }.items()
    for said in names.split()
}
PERMIT_LEVELS: Final = _words(
    special="特级 特殊 特级动火", first="一级 1级 一级动火", second="二级 2级 二级动火"
)
PERMIT_STATUSES: Final = _words(
    draft="草稿 待审批 申请中",
    approved="已批准 已审批 批准 已签发",
    active="作业中 进行中 动火中",
    extended="延期 已延期",
    closed="已关闭 已完成 完成 已验收 已结束",
    void="作废 已作废 取消 已取消",
)
HAZARD_CLASSES: Final = _words(
    general="一般 一般隐患", serious="较重 较大 较重隐患 较大隐患", major="重大 重大隐患 重大事故隐患"
)
HAZARD_STATES: Final = _words(
    found="发现 已发现 未整改 待整改",
    assigned="已派 已派单 已交办",
    fixing="整改中",
    submitted="已整改 待复查 待验收",
    verified_closed="已销号 销号 已闭环 闭环 已验收 已关闭 复查合格",
    rejected="退回 整改不合格 复查不合格",
)
CHECK_KINDS: Final = _words(
    patrol="巡查 网格巡查 日常巡查",
    self_check="自查 企业自查",
    remote_check="远程检查 视频巡查 线上检查",
    admin_inspection="行政检查 执法检查 监督检查",
)
HAZARD_FINDERS: Final = CHECK_KINDS | _words(public="群众举报 举报 12345", incident="事件 视频发现")
CHECK_OUTCOMES: Final = _words(
    ok="正常 合格 无隐患 未发现隐患",
    hazard="有隐患 发现隐患 不合格 存在隐患",
    unknown="未检查 未能检查 关门 无法进入",
)
EVENT_KINDS: Final = _words(
    fire="火灾 火警 着火",
    smoke="冒烟 烟雾",
    alarm="报警 误报 自动报警",
    explosion="爆炸",
    leak="泄漏 燃气泄漏 危化品泄漏",
    accident="事故 安全事故 生产安全事故 交通事故",
    rescue="抢险救援 救援 社会救助",
    complaint="投诉 举报 投诉举报",
    other="其他",
)
EVENT_SEVERITIES: Final = _words(general="一般", larger="较大", major="重大", extraordinary="特别重大 特大")
RESOURCE_KINDS: Final = _words(
    fire_station="消防站 消防救援站 消防队",
    micro_fire_station="微型消防站 微站",
    hydrant="消火栓 消防栓 市政消火栓 fire_hydrant",
    water_source="消防水源 取水点 消防取水口 消防水池",
    warehouse="物资库 应急物资库 仓库 物资储备点",
    shelter="避难场所 应急避难场所 安置点",
    hospital="医院 医疗机构 急救站",
    rescue_team="救援队 救援队伍 应急队伍",
    other="其他",
)
# Chinese classes of roads, and the values of OpenStreetMap's key highway.
ROAD_KINDS: Final = _words(
    motorway="高速 高速公路 motorway_link",
    main_road="国道 省道 快速路 主干路 主干道 城市主干路 一级公路 trunk trunk_link primary primary_link secondary secondary_link",
    road=(
        "县道 乡道 村道 次干路 次干道 支路 街巷 道路 公路 二级公路 三级公路 四级公路 tertiary tertiary_link unclassified residential"
        " living_street service pedestrian track footway path cycleway steps bridleway bus_guideway busway construction proposed"
    ),
    railway="铁路 轨道 rail light_rail subway tram narrow_gauge",
)
# Likewise waterway, natural=water and natural=bay.
WATER_KINDS: Final = _words(
    sea="海 海域 海洋 bay coastline",
    water="湖 湖泊 水库 池塘 坑塘 水面 鱼塘 湿地 lake pond reservoir basin wetland riverbank dock",
    river="河 河流 河道 江 溪 水系 渠 沟渠 运河 stream canal drain ditch tidal_channel",
)
