"""Words of messages. Those that the screens have too are the same there (tests/detection/test_telling_text.py)."""

from geoapp.watch.telling.receiver import Language

Word = dict[Language, str]

CLASSES: dict[str, Word] = {
    "fire": {"zh": "明火", "en": "Fire"},
    "smoke": {"zh": "烟雾", "en": "Smoke"},
    "welding_arc": {"zh": "焊接弧光", "en": "Welding arc"},
    "sparks": {"zh": "火花", "en": "Sparks"},
}
STATES: dict[str, Word] = {
    "open": {"zh": "进行中", "en": "Open"},
    "quiet": {"zh": "暂停出现", "en": "Quiet"},
    "closed": {"zh": "已结束", "en": "Closed"},
}
REVIEWS: dict[str, Word] = {
    "unreviewed": {"zh": "待核实", "en": "Unreviewed"},
    "confirmed": {"zh": "已核实", "en": "Confirmed"},
    "false": {"zh": "误报", "en": "False alarm"},
    "permitted": {"zh": "有作业票", "en": "Permitted"},
}
ROLES: dict[str, Word] = {
    "worker": {"zh": "网格员", "en": "Grid worker"},
    "chief": {"zh": "网格长", "en": "Grid chief"},
    "lead": {"zh": "牵头部门", "en": "Lead department"},
    "leader": {"zh": "负责人", "en": "Leader"},
    "safety_officer": {"zh": "安全员", "en": "Safety officer"},
}
TRANSITIONS: dict[str, Word] = {
    "opened": {"zh": "发现", "en": "seen"},
    "reopened": {"zh": "再次出现", "en": "seen again"},
    "quiet": {"zh": "暂停出现", "en": "no longer seen"},
    "closed": {"zh": "已结束", "en": "closed"},
    "upgraded": {"zh": "升级", "en": "escalated"},
    "reviewed": {"zh": "已作核实结论", "en": "reviewed"},
    "observed": {"zh": "恢复", "en": "can be looked through again"},
    "unobserved": {"zh": "看不到", "en": "cannot be looked through"},
}
REASONS: dict[str, Word] = {
    "connection_refused": {"zh": "拒绝连接", "en": "connection refused"},
    "unreachable": {"zh": "连不上", "en": "unreachable"},
    "timeout": {"zh": "超时", "en": "timed out"},
    "broken_off": {"zh": "传输中断", "en": "broken off"},
    "bad_address": {"zh": "地址有误", "en": "bad address"},
    "http_3xx": {"zh": "被重定向", "en": "redirected"},
    "http_401": {"zh": "要求登录（401）", "en": "login asked (401)"},
    "unauthorized": {"zh": "账号或口令不对", "en": "account or password refused"},
    "credentials_unreadable": {
        "zh": "口令打不开（核对密钥文件）",
        "en": "password cannot be opened (check the key file)",
    },
    "http_403": {"zh": "被禁止（403）", "en": "forbidden (403)"},
    "http_404": {"zh": "没有这路画面（404）", "en": "no such picture (404)"},
    "http_4xx": {"zh": "请求被拒（4xx）", "en": "request refused (4xx)"},
    "http_5xx": {"zh": "摄像机出错（5xx）", "en": "camera error (5xx)"},
    "too_large": {"zh": "画面过大", "en": "frame too large"},
    "not_an_image": {"zh": "不是图像", "en": "not an image"},
    "damaged_image": {"zh": "图像损坏", "en": "damaged image"},
    "black": {"zh": "画面全黑", "en": "black picture"},
    "covered": {"zh": "镜头被遮挡", "en": "covered lens"},
    "blurred": {"zh": "画面模糊", "en": "blurred picture"},
    "frozen": {"zh": "画面冻结", "en": "frozen picture"},
    "resolution_changed": {"zh": "分辨率变了", "en": "resolution changed"},
    "detector_failed": {"zh": "识别程序失败", "en": "detector failed"},
}
LABELS: dict[str, Word] = {
    "what": {"zh": "事件", "en": "Event"},
    "where": {"zh": "地点", "en": "Place"},
    "cell": {"zh": "网格", "en": "Cell"},
    "when": {"zh": "时间", "en": "Time"},
    "state": {"zh": "状态", "en": "State"},
    "permit": {"zh": "动火作业票", "en": "Hot-work permit"},
    "score": {"zh": "最高置信度", "en": "Highest score"},
    "camera": {"zh": "摄像机", "en": "Camera"},
    "who": {"zh": "责任人", "en": "Who answers"},
    "changes": {"zh": "经过", "en": "What happened"},
    "link": {"zh": "查看", "en": "Open"},
    "key": {"zh": "消息编号", "en": "Message key"},
}
SENTENCES: dict[str, Word] = {
    "lead": {
        "zh": "这是待核实的线索，不是结论。",
        "en": "This is a lead to be verified, not a finding.",
    },
    "no_permit": {"zh": "未查到有效作业票", "en": "no valid permit found"},
    "permit_until": {"zh": "{no}，有效至 {until}", "en": "{no}, valid until {until}"},
    "permit_ended": {"zh": "{no}，已于 {until} 到期", "en": "{no}, ended {until}"},
    "nobody": {"zh": "未登记责任人", "en": "nobody is on record"},
    "no_phone": {"zh": "未登记电话", "en": "no phone on record"},
    "no_place": {"zh": "不在任何网格内", "en": "in no grid cell"},
    "generated": {"zh": "【演示数据】", "en": "[sample data] "},
    "cameras_unobserved": {"zh": "{n} 台摄像机看不到", "en": "{n} camera(s) cannot be looked through"},
    "cameras_observed": {"zh": "{n} 台摄像机恢复", "en": "{n} camera(s) can be looked through again"},
    "more": {"zh": "另有 {n} 项", "en": "{n} more"},
    "blind": {
        "zh": "看不到不等于没有情况。",
        "en": "Not being able to look does not mean that nothing is there.",
    },
    "test": {"zh": "测试消息", "en": "Test message"},
    "test_body": {
        "zh": "这是 GeoApp 的测试消息，没有发生任何事件。",
        "en": "This is a test message of GeoApp. Nothing has happened.",
    },
}


def said(words: dict[str, Word], key: object, lang: Language) -> str:
    """The word for a key; the key itself where it is not known, so that nothing is left out."""
    held = words.get(str(key))
    return str(key) if held is None else held[lang]
