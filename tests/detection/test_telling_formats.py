"""What each kind of receiver gets, against servers of its own kind: robots, a real MQTT broker, an SMTP server."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr
from told import AT, HttpReceiver, MailServer, certificate, reply

from dashboards.texts import catalogue
from geoapp.errors import Refused
from geoapp.watch.telling import mail, mqtt, robots, words
from geoapp.watch.telling.answer import Answer, Outcome
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.message import Change, Message, lines, title
from geoapp.watch.telling.receiver import Kind, Language, Receiver
from geoapp.watch.telling.register import checked

ZONE = ZoneInfo("Asia/Shanghai")
CONFIG = TellingConfig(connect_s=2, total_s=4)
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")


def receiver(kind: Kind, address: str, language: Language = "zh", **secrets: str) -> Receiver:
    return Receiver(
        id=1,
        name="r",
        kind=kind,
        address=address,
        recipients=("duty@example.org", "second@example.org"),
        sender="geoapp@example.org",
        language=language,
        cooldown_s=300,
        quiet_from=None,
        quiet_to=None,
        quiet_passes=frozenset(),
        per_minute=20,
        failures=0,
        tokens=1,
        tokens_at=AT,
        lease_token=1,
        secrets={name: SecretStr(value) for name, value in secrets.items()},
    )


def incident(**more: Any) -> dict[str, Any]:
    """As watch.told_incident gives it."""
    return {
        "id": str(uuid.uuid4()),
        "incident_no": 41,
        "class": "fire",
        "state": "open",
        "review": "unreviewed",
        "first_seen_at": "2026-11-22T01:29:50+00:00",
        "last_seen_at": "2026-11-22T01:30:00+00:00",
        "peak_score": 0.912,
        "camera_zh": "北门球机",
        "site_zh": "海川化工",
        "key_risk_area_zh": "罐区",
        "key_risk_area_en": "Tank farm",
        "town_zh": "金山卫镇",
        "town_en": "Jinshanwei",
        "community_zh": "海岸社区",
        "community_en": "Coast",
        "cell_code": "310116103001100700",
        "cell_zh": "七号网格",
        "lon": 121.3,
        "lat": 30.7,
        "error_m": 12.5,
        "permit_no": None,
        "permit_ends_at": None,
        "is_generated": False,
        "answering": [
            {
                "role": "worker",
                "where_zh": "七号网格",
                "where_en": "",
                "name_zh": "王安",
                "phone": "13900000001",
            },
            {
                "role": "leader",
                "where_zh": "金山卫镇",
                "where_en": "Jinshanwei",
                "name_zh": "李全",
                "phone": None,
            },
        ],
    } | more


def message(*transitions: str, facts: dict[str, Any] | None = None, link: str | None = None) -> Message:
    facts = incident() if facts is None else facts
    steps = tuple(
        Change("incident", t, facts["class"], {"review": facts["review"]}, AT + timedelta(seconds=n))
        for n, t in enumerate(transitions or ("opened",))
    )
    return Message(uuid.UUID(int=7), "r", "incident", steps, facts, AT, ZONE, link)


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    held = HttpReceiver()
    yield held
    held.close()


# -- words ------------------------------------------------------------------------------------------------------


def test_words_are_the_screens_words() -> None:
    screens = catalogue()
    for group, held in {
        "class": words.CLASSES,
        "state": words.STATES,
        "review": words.REVIEWS,
        "reason": words.REASONS,
        "role": {k: v for k, v in words.ROLES.items() if k != "lead"},
    }.items():
        for name, word in held.items():
            shown = screens.get(f"{group}.{name}")
            assert shown is None or shown == word, f"{group}.{name}"
    assert screens["class.fire"] == words.CLASSES["fire"]


def test_a_message_says_what_where_when_and_who_in_both_languages() -> None:
    told = message("opened", "upgraded")
    assert title(told, "zh") == "明火升级：金山卫镇 · 海川化工 · 罐区"
    assert title(told, "en") == "Fire escalated: Jinshanwei · 海川化工 · Tank farm"
    zh, en = dict(lines(told, "zh")), dict(lines(told, "en"))
    # By the city's clock, not UTC.
    assert zh["时间"] == "2026-11-22 09:29:50 – 2026-11-22 09:30:00 (Asia/Shanghai)"
    assert zh["网格"] == "海岸社区 · 七号网格 · 310116103001-1-007-00"
    assert zh["状态"] == "进行中 · 待核实"
    assert ("责任人", "七号网格 网格员 王安 13900000001") in lines(told, "zh")
    assert ("责任人", "金山卫镇 负责人 李全 未登记电话") in lines(told, "zh")
    assert ("", "这是待核实的线索，不是结论。") in lines(told, "zh")
    assert en["Cell"] == "Coast · 七号网格 · 310116103001-1-007-00"
    assert "动火作业票" not in zh  # a fire needs none


def test_missing_data_never_look_safe() -> None:
    bare = message(
        facts=incident(
            **{"class": "welding_arc"}, town_zh=None, town_en=None, site_zh=None, key_risk_area_zh=None,
            key_risk_area_en=None, cell_code=None, answering=[],
        )
    )  # fmt: skip
    zh = dict(lines(bare, "zh"))
    assert zh["地点"] == "121.3, 30.7 (WGS84) ±12.5 m"
    assert zh["动火作业票"] == "未查到有效作业票"
    assert zh["责任人"] == "未登记责任人"
    assert zh["网格"] == "不在任何网格内"


def test_a_permit_that_ended_in_the_middle_of_the_work_is_said_to_have_ended() -> None:
    held = {"class": "sparks", "permit_no": "DH-7", "review": "unreviewed"}
    valid = message(facts=incident(**held, permit_ends_at="2026-11-22T03:00:00+00:00"))
    ended = message(facts=incident(**held, permit_ends_at="2026-11-22T01:29:59+00:00"))
    assert dict(lines(valid, "zh"))["动火作业票"] == "DH-7，有效至 2026-11-22 11:00:00"
    assert dict(lines(ended, "en"))["Hot-work permit"] == "DH-7, ended 2026-11-22 09:29:59"


# -- robots -----------------------------------------------------------------------------------------------------


def test_wecom_gets_markdown_and_its_key_from_the_seal(hook: HttpReceiver) -> None:
    hook.replies["/send"] = [reply(200, {"errcode": 0, "errmsg": "ok"})]
    answer = robots.send_wecom(
        receiver("wecom", hook.url("/send"), token="tok-1"), message(), config=CONFIG, at=AT
    )
    assert answer.outcome is Outcome.DELIVERED
    (asked,) = hook.asked
    assert asked.query == {"key": "tok-1"}
    assert asked.json["msgtype"] == "markdown"
    content = asked.json["markdown"]["content"]
    assert content.startswith("### 明火发现：金山卫镇")
    assert str(uuid.UUID(int=7)) in content


@pytest.mark.parametrize(
    ("code", "outcome", "after_s"),
    [
        (0, Outcome.DELIVERED, None),
        (45009, Outcome.LATER, 60.0),
        (45033, Outcome.LATER, 10.0),
        (130101, Outcome.LATER, 600.0),
        (-1, Outcome.LATER, None),
        (93000, Outcome.REFUSED, None),
        (310000, Outcome.REFUSED, None),
        (40008, Outcome.REFUSED, None),
    ],
)
def test_a_robots_refusal_stands_in_an_answer_of_200(
    hook: HttpReceiver, code: int, outcome: Outcome, after_s: float | None
) -> None:
    hook.replies["/send"] = [reply(200, {"errcode": code, "errmsg": "said"})]
    answer = robots.send_wecom(
        receiver("wecom", hook.url("/send"), token="t"), message(), config=CONFIG, at=AT
    )
    assert (answer.outcome, answer.after_s) == (outcome, after_s)


@pytest.mark.parametrize("body", ["<html>sign in</html>", "[]", "{}", "", '"0"'])
def test_an_answer_that_is_no_robots_is_not_taken_for_success(hook: HttpReceiver, body: str) -> None:
    hook.replies["/send"] = [reply(200, body)]
    answer = robots.send_wecom(
        receiver("wecom", hook.url("/send"), token="t"), message(), config=CONFIG, at=AT
    )
    assert answer.outcome is Outcome.LATER


def test_dingtalk_is_signed_with_timestamp_and_secret(hook: HttpReceiver) -> None:
    hook.replies["/robot"] = [reply(200, {"errcode": 0})]
    held = receiver("dingtalk", hook.url("/robot"), "en", token="tok", secret="SECabc")
    assert robots.send_dingtalk(held, message(), config=CONFIG, at=AT).outcome is Outcome.DELIVERED
    (asked,) = hook.asked
    stamp = str(int(datetime(2026, 11, 22, 1, 30, tzinfo=UTC).timestamp()) * 1000)
    sign = base64.b64encode(
        hmac.new(b"SECabc", f"{stamp}\nSECabc".encode(), hashlib.sha256).digest()
    ).decode()
    assert asked.query == {"access_token": "tok", "timestamp": stamp, "sign": sign}
    assert asked.json["markdown"]["title"].startswith("Fire seen")


@given(
    site=st.text(min_size=1, max_size=3000),
    people=st.integers(0, 60),
    steps=st.integers(1, 40),
    lang=st.sampled_from(["zh", "en"]),
)
def test_wecoms_markdown_fits_whatever_the_register_says(
    site: str, people: int, steps: int, lang: Language
) -> None:
    one = {
        "role": "worker",
        "where_zh": "网格" * 9,
        "where_en": "",
        "name_zh": "人" * 9,
        "phone": "13900000001",
    }
    told = message(
        *["quiet"] * steps,
        facts=incident(site_zh=site, answering=[one] * people),
        link="https://map.example.org/review?incident=1",
    )
    text = robots.markdown(told, lang, robots.WECOM_MOST_BYTES)
    assert len(text.encode()) <= robots.WECOM_MOST_BYTES
    # Whatever was cut, the link and the key are there.
    assert "(https://map.example.org/review?incident=1)" in text
    assert str(told.key) in text
    # One link, ours: none from the register, nobody called by name, no line of its own.
    assert text.count("](") == 1
    assert "<@" not in text


def test_what_was_left_out_is_said() -> None:
    one = {"role": "worker", "where_zh": "格" * 90, "where_en": "", "name_zh": "人", "phone": "13900000001"}
    text = robots.markdown(message(facts=incident(answering=[one] * 20)), "zh", robots.WECOM_MOST_BYTES)
    assert "另有" in text


def test_the_register_cannot_write_markdown() -> None:
    evil = "海川](http://evil.example.com) **x** <@all>\n# title"
    text = robots.markdown(message(facts=incident(site_zh=evil)), "zh", 4096)
    assert "](" not in text
    assert "<@" not in text
    assert sum(line.startswith("#") for line in text.splitlines()) == 1


# -- MQTT -------------------------------------------------------------------------------------------------------


class Broker:
    """A mosquitto of its own."""

    def __init__(
        self, folder: Path, *, tls: tuple[Path, Path] | None = None, account: tuple[str, str] | None = None
    ):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        rows = [f"listener {self.port} 127.0.0.1", "persistence false"]
        if os.geteuid() == 0:
            rows.append("user root")  # else it becomes another account, which may not enter the tests' folder
        folder.chmod(0o755)
        if tls is not None:
            rows += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        if account is None:
            rows.append("allow_anonymous true")
        else:
            passwords = folder / "passwords"
            subprocess.run(
                ["mosquitto_passwd", "-b", "-c", str(passwords), *account], check=True, capture_output=True
            )
            passwords.chmod(0o644)
            rows += ["allow_anonymous false", f"password_file {passwords}"]
        (folder / "mosquitto.conf").write_text("\n".join(rows) + "\n")
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 30  # a machine that is busy with other tests
        while time.monotonic() < ends:
            with socket.socket() as probe:
                probe.settimeout(0.5)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)


needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed (make system-test)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)  # the broker runs under an account of its own
    return tmp_path


def listening(port: int, topic: str) -> tuple[Client, list[MQTTMessage]]:
    heard: list[MQTTMessage] = []
    client = Client(CallbackAPIVersion.VERSION2)
    ready = threading.Event()
    client.on_message = lambda _, __, one: heard.append(one)
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(5)
    return client, heard


def wait_for(heard: list[Any], count: int) -> None:
    ends = time.monotonic() + 5
    while len(heard) < count and time.monotonic() < ends:
        time.sleep(0.01)


@needs_broker
def test_mqtt_publishes_with_qos_1_and_takes_its_will_back(folder: Path) -> None:
    broker = Broker(folder)
    client, heard = listening(broker.port, "geoapp/#")
    try:
        held = receiver("mqtt", f"mqtt://127.0.0.1:{broker.port}/geoapp/incidents")
        answer = mqtt.send(held, message(), config=CONFIG, at=AT)
        assert answer.outcome is Outcome.DELIVERED
        wait_for(heard, 1)
        time.sleep(0.2)  # a will would come now
        assert [(m.topic, m.qos) for m in heard] == [("geoapp/incidents", 1)]
        told = json.loads(heard[0].payload)
        assert told["key"] == str(uuid.UUID(int=7))
        assert told["incident"]["incident_no"] == 41
    finally:
        client.disconnect()
        client.loop_stop()
        broker.close()


@needs_broker
def test_mqtt_over_tls_with_an_account(folder: Path) -> None:
    crt, key = certificate(folder)
    broker = Broker(folder, tls=(crt, key), account=("teller", "its-password"))
    try:
        address = f"mqtts://127.0.0.1:{broker.port}/geoapp/incidents"
        trusting = CONFIG.model_copy(update={"ca_file": crt})
        held = receiver("mqtt", address, username="teller", password="its-password")
        assert mqtt.send(held, message(), config=trusting, at=AT).outcome is Outcome.DELIVERED
        # A certificate that nobody vouches for is not talked to.
        assert mqtt.send(held, message(), config=CONFIG, at=AT).outcome is Outcome.LATER
        wrong = receiver("mqtt", address, username="teller", password="another")
        assert mqtt.send(wrong, message(), config=trusting, at=AT).outcome is Outcome.REFUSED
    finally:
        broker.close()


def test_mqtt_without_a_broker_is_for_later() -> None:
    held = receiver("mqtt", "mqtt://127.0.0.1:9/geoapp/incidents")
    assert mqtt.send(held, message(), config=CONFIG, at=AT).outcome is Outcome.LATER


def test_mqtt_waits_for_the_acknowledgement(hook: HttpReceiver) -> None:
    """Something that takes the connection and says nothing has not taken the message."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held = receiver("mqtt", f"mqtt://127.0.0.1:{silent.getsockname()[1]}/t")
        began = time.monotonic()
        answer = mqtt.send(held, message(), config=CONFIG.model_copy(update={"total_s": 1.0}), at=AT)
        assert answer.outcome is Outcome.LATER
        assert time.monotonic() - began < 4


# -- e-mail -----------------------------------------------------------------------------------------------------


def sent(server: MailServer, **more: Any) -> Answer:
    config = CONFIG.model_copy(update={"ca_file": more.pop("ca_file", None)})
    held = receiver("email", server.url, more.pop("language", "zh"), **more)
    return mail.send(held, message(link="https://map.example.org/review?incident=1"), config=config, at=AT)


def test_mail_holds_both_languages_as_text_and_as_html() -> None:
    server = MailServer()
    try:
        assert sent(server, language="en").outcome is Outcome.DELIVERED
    finally:
        server.close()
    (envelope,) = server.mails
    assert envelope[:2] == ("geoapp@example.org", ["duty@example.org", "second@example.org"])
    read = email.message_from_bytes(envelope[2], policy=email.policy.default)
    assert read["Subject"] == "Fire seen: Jinshanwei · 海川化工 · Tank farm"
    assert read["X-GeoApp-Key"] == str(uuid.UUID(int=7))
    assert read["Message-ID"] == f"<{uuid.UUID(int=7)}@example.org>"
    assert not list(read.iter_attachments())
    for kind in ("plain", "html"):
        part = read.get_body((kind,))
        assert part is not None
        text = part.get_content()
        # The receiver's own language comes first.
        assert 0 <= text.index("Who answers") < text.index("责任人")
        assert "13900000001" in text
        assert "https://map.example.org/review?incident=1" in text


def test_the_register_cannot_write_html_or_headers() -> None:
    held = receiver("email", "smtp://127.0.0.1")
    evil = "<script>alert(1)</script>\r\nBcc: all@example.org"
    made = mail.mail(held, message(facts=incident(site_zh=evil)), AT)
    assert made["Bcc"] is None
    html = made.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()


def test_mail_goes_over_starttls_and_signs_in(tmp_path: Path) -> None:
    crt, key = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(crt, key)
    account = base64.b64encode(b"\0teller\0its-password").decode()
    server = MailServer(tls=tls, account=account)
    try:
        login = {"username": "teller", "password": "its-password"}
        assert sent(server, ca_file=crt, **login).outcome is Outcome.DELIVERED
        assert [m[3] for m in server.mails] == [True]
        # Nobody vouches for the certificate: no password is given to it.
        before = len(server.logins)
        assert sent(server, **login).outcome is Outcome.LATER
        assert len(server.logins) == before
        assert sent(server, ca_file=crt, username="teller", password="x").outcome is Outcome.REFUSED
    finally:
        server.close()


def test_without_starttls_nothing_is_sent_beyond_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "LOOPBACK", frozenset())
    server = MailServer()
    try:
        assert sent(server).outcome is Outcome.REFUSED
        assert server.mails == []
    finally:
        server.close()


def test_a_mail_server_that_takes_it_for_some_says_for_whom_not() -> None:
    server = MailServer(refuse=frozenset({"second@example.org"}))
    try:
        answer = sent(server)
        assert answer.outcome is Outcome.DELIVERED
        assert "second@example.org" in answer.said
    finally:
        server.close()


@pytest.mark.parametrize(
    ("refuse", "code", "outcome"),
    [
        (frozenset({"duty@example.org", "second@example.org"}), 250, Outcome.REFUSED),
        (frozenset(), 451, Outcome.LATER),
        (frozenset(), 554, Outcome.REFUSED),
    ],
)
def test_a_mail_servers_refusals(refuse: frozenset[str], code: int, outcome: Outcome) -> None:
    server = MailServer(refuse=refuse, data_code=code)
    try:
        assert sent(server).outcome is outcome
    finally:
        server.close()


# -- what an operator may enter ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "address", "more", "said"),
    [
        ("webhook", "ftp://127.0.0.1/x", {}, "https://"),
        ("webhook", "https://user:secret-word@127.0.0.1/x", {}, "sealed"),
        ("webhook", "https://127.0.0.1/x?token=secret-word-abcdefgh", {}, "token"),
        ("wecom", "https://127.0.0.1/send?key=secret-word", {}, "sealed"),
        ("dingtalk", "https://127.0.0.1/send?access_token=secret-word", {}, "sealed"),
        ("mqtt", "mqtt://127.0.0.1:1883", {}, "topic"),
        ("mqtt", "mqtt://127.0.0.1:1883/a/%23", {}, "topic"),
        ("mqtt", "mqtt://127.0.0.1:x/a", {}, "port"),
        ("email", "smtp://127.0.0.1", {}, "--to"),
        ("email", "smtp://127.0.0.1", {"recipients": ("a",), "sender": "b@c"}, "e-mail address"),
        ("webhook", "https://127.0.0.1", {"classes": ("volcano",)}, "volcano"),
        ("webhook", "https://127.0.0.1", {"quiet_from": "22:00"}, "quiet hours"),
        ("webhook", "https://127.0.0.1", {"min_score": 2}, "min_score"),
        ("pigeon", "https://127.0.0.1", {}, "kind"),
    ],
)
def test_a_receiver_that_cannot_work_is_refused_in_words(
    kind: str, address: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused) as refusal:
        checked({"name": "r", "kind": kind, "address": address} | more)
    assert said in str(refusal.value)
    assert "secret-word" not in str(refusal.value)
