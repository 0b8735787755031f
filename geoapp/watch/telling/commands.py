"""`geoapp tell`: who is told of what happens, besides open maps."""

from __future__ import annotations

import getpass
import json
import signal
import sys
import threading
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from geoapp.database.connection import connect, database_url
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.settings import settings
from geoapp.watch.telling.answer import Outcome
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.connections import Connection, Connections
from geoapp.watch.telling.deliver import deliver_due, try_out, utc_now
from geoapp.watch.telling.receiver import SECRETS
from geoapp.watch.telling.register import (
    add_receiver,
    change_receiver,
    checked,
    held_receiver,
    pause_receiver,
    remove_receiver,
    resume_receiver,
    tell_again,
)
from geoapp.watch.telling.running import running

app = typer.Typer(
    help="推送：网址、企业微信、钉钉、MQTT、邮件 / telling: webhooks, WeCom, DingTalk, MQTT, e-mail.",
    no_args_is_help=True,
)
JSON = typer.Option(False, "--json", help="Print JSON.")
NAME = typer.Argument(..., help="The receiver's name (geoapp tell list).")
_LONGEST_LINE = 20_000
STATES = {
    "ok": "正常 ok",
    "failing": "失败 failing",
    "paused": "已暂停 paused",
    "never": "尚未推送 never told",
    "waiting": "等待 waiting",
    "delivered": "已送达 delivered",
    "refused": "被拒收 refused",
    "given_up": "已放弃 given up",
}


@app.command()
def add(
    name: str = typer.Argument(..., help="A name of small letters, digits and . _ -"),
    kind: str = typer.Argument(..., help="webhook, wecom, dingtalk, mqtt or email."),
    address: str = typer.Argument(
        ..., help="https://…, mqtt(s)://host:port/topic, smtp(s)://host:port; without tokens and passwords."
    ),
    to: list[str] = typer.Option([], "--to", help="E-mail: a recipient (several allowed)."),
    sender: str | None = typer.Option(None, "--from", help="E-mail: the sender's address."),
    secret: list[str] = typer.Option(
        [],
        "--secret",
        help="Which secrets to ask for, or to read as lines of standard input in this order: "
        "token, secret, username, password.",
    ),
    language: str = typer.Option("zh", "--language", help="zh or en."),
    topic: list[str] = typer.Option(["incident"], "--topic", help="incident, camera_health."),
    class_name: list[str] = typer.Option([], "--class", help="Only this class (several; default all)."),
    transition: list[str] = typer.Option([], "--transition", help="Only this step (several; default all)."),
    town: list[str] = typer.Option([], "--town", help="Only this town, 12 digits (several; default all)."),
    min_score: float = typer.Option(0.0, "--min-score", help="Only from this score on, 0..1."),
    only_confirmed: bool = typer.Option(False, "--only-confirmed", help="Only what a person confirmed."),
    cooldown: float = typer.Option(300.0, "--cooldown", help="Seconds between messages about one incident."),
    quiet: str | None = typer.Option(
        None, "--quiet", help='Quiet hours by the city\'s clock: "22:00-07:00".'
    ),
    quiet_passes: list[str] = typer.Option(
        ["fire"], "--quiet-passes", help="Classes that are told in quiet hours too (several)."
    ),
    per_minute: int | None = typer.Option(
        None, "--per-minute", help="Messages a minute at most (robots: 20)."
    ),
    give_up_after: float = typer.Option(21_600.0, "--give-up-after", help="Seconds of trying."),
    as_json: bool = JSON,
) -> None:
    """添加接收方 / Add a receiver. It is told of what happens from now on; `geoapp tell test NAME` tries it."""
    quiet_from, quiet_to = _hours(quiet)
    asked = checked(
        {
            "name": name,
            "kind": kind,
            "address": address,
            "recipients": tuple(to),
            "sender": sender,
            "language": language,
            "topics": tuple(topic),
            "classes": tuple(class_name) or None,
            "transitions": tuple(transition) or None,
            "towns": tuple(town) or None,
            "min_score": min_score,
            "only_confirmed": only_confirmed,
            "cooldown_s": cooldown,
            "quiet_from": quiet_from,
            "quiet_to": quiet_to,
            "quiet_passes": tuple(quiet_passes),
            "per_minute": per_minute,
            "give_up_after_s": give_up_after,
        }
    )
    wanted = [field for field, is_optional in SECRETS[asked.kind].items() if not is_optional]
    wanted += [field for field in secret if field not in wanted]
    with _city() as connection, connection.transaction():
        add_receiver(connection, asked, _asked_secrets(wanted), at=utc_now(), by=_operator())
    _say(
        {"added": name, "secrets": wanted}, f"已添加 {name} / added. geoapp tell test {name}", as_json=as_json
    )


@app.command()
def change(
    name: str = NAME,
    address: str | None = typer.Option(
        None,
        "--address",
        help="Its new address; secrets are asked for again: those sealed go to no other address.",
    ),
    to: list[str] = typer.Option([], "--to", help="E-mail: instead of the recipients held (several)."),
    sender: str | None = typer.Option(None, "--from", help="E-mail: the sender's address."),
    secret: list[str] = typer.Option([], "--secret", help="Which secrets to set anew, as for add."),
    language: str | None = typer.Option(None, "--language", help="zh or en."),
    topic: list[str] = typer.Option([], "--topic", help="Instead of the topics held (several)."),
    class_name: list[str] = typer.Option([], "--class", help="Instead of the classes held (several); all."),
    transition: list[str] = typer.Option(
        [], "--transition", help="Instead of the steps held (several); all."
    ),
    town: list[str] = typer.Option([], "--town", help="Instead of the towns held, 12 digits (several); all."),
    min_score: float | None = typer.Option(None, "--min-score", help="Only from this score on, 0..1."),
    only_confirmed: bool | None = typer.Option(
        None, "--only-confirmed/--unconfirmed-too", help="Only what a person confirmed, or all."
    ),
    cooldown: float | None = typer.Option(
        None, "--cooldown", help="Seconds between messages about one incident."
    ),
    quiet: str | None = typer.Option(
        None, "--quiet", help='Quiet hours by the city\'s clock: "22:00-07:00"; "" takes them away.'
    ),
    quiet_passes: list[str] = typer.Option(
        [], "--quiet-passes", help="Instead of the classes told in quiet hours too (several)."
    ),
    per_minute: int | None = typer.Option(None, "--per-minute", help="Messages a minute at most."),
    give_up_after: float | None = typer.Option(None, "--give-up-after", help="Seconds of trying."),
    as_json: bool = JSON,
) -> None:
    """修改接收方，未给出的不变 / Change a receiver: what is not given stays. It is tried again at once."""
    given = {
        "address": address,
        "recipients": tuple(to) or None,
        "sender": sender,
        "language": language,
        "topics": tuple(topic) or None,
        "min_score": min_score,
        "only_confirmed": only_confirmed,
        "cooldown_s": cooldown,
        "quiet_passes": tuple(quiet_passes) or None,
        "per_minute": per_minute,
        "give_up_after_s": give_up_after,
    }
    new: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    new |= {
        field: None if "all" in words else tuple(words)
        for field, words in (("classes", class_name), ("transitions", transition), ("towns", town))
        if words
    }
    if quiet is not None:
        new["quiet_from"], new["quiet_to"] = _hours(quiet or None)
    if not new and not secret:
        raise Refused("没有说改什么 / nothing to change was given: geoapp tell change --help.")
    with _city() as connection, connection.transaction():
        held, sealed = held_receiver(connection, name)
        asked = checked(held | new)
        wanted, forgotten = list(dict.fromkeys(secret)), list[str]()
        if asked.address != held["address"]:
            needed = [field for field, is_optional in SECRETS[asked.kind].items() if not is_optional]
            wanted = needed + [field for field in wanted if field not in needed]
            forgotten = [field for field in sealed if field not in wanted]
        change_receiver(connection, asked, _asked_secrets(wanted), held=sealed, at=utc_now(), by=_operator())
    changed = sorted(new) + wanted
    text = f"已修改 {name} / changed: {', '.join(changed)}"
    if forgotten:
        text += f"\n  旧地址的密钥已删除 / secrets of the old address are gone: {', '.join(forgotten)}"
    _say({"changed": name, "fields": changed, "forgotten": forgotten}, text, as_json=as_json)


@app.command("list")
def list_receivers(as_json: bool = JSON) -> None:
    """列出接收方与状态 / List receivers: state, what waits, what was given up."""
    with _city() as connection:
        rows = connection.execute(read_sql("watch/receiver_list").encode(), {"at": utc_now()}).fetchall()
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, default=str))
        return
    table = Table(
        "名称 name", "类型 kind", "地址 address", "状态 state", "等待 waiting", "送达 told", "放弃 given up"
    )
    for row in rows:
        lost = row["refused"] + row["given_up"]
        table.add_row(
            row["name"],
            row["kind"],
            escape(row["address"]),
            STATES[row["state"]],
            str(row["waiting"]),
            str(row["delivered"]),
            f"[red]{lost}[/red]" if lost else "0",
        )
    out = Console(width=None if Console().is_terminal else 160)
    out.print(table if rows else "没有接收方 / no receivers")
    for row in rows:
        if row["failing_since"]:
            out.print(
                f"[red]{row['name']}[/red]: 自 {row['failing_since']:%Y-%m-%d %H:%M} 起失败 {row['failures']} 次 / "
                f"failing since then; {escape(row['last_answer'] or '')}"
            )


@app.command("test")
def send_test(name: str = NAME, as_json: bool = JSON) -> None:
    """发一条测试消息 / Send a test message now and print the answer; status 1 where it was not taken."""
    with _city(autocommit=True) as connection:
        answer = try_out(connection, name, TellingConfig.of(settings()), utc_now())
    if answer.outcome is not Outcome.DELIVERED:
        raise Refused(f"{name}: 没有送达 / not taken: {answer.said}")
    _say({"delivered": name, "answer": answer.said}, f"已送达 / delivered: {answer.said}", as_json=as_json)


@app.command()
def pause(name: str = NAME, as_json: bool = JSON) -> None:
    """暂停推送，消息先攒着 / Send nothing for now; messages wait, joined by incident."""
    with _city() as connection:
        pause_receiver(connection, name, at=utc_now(), by=_operator())
    _say({"paused": name}, f"已暂停 / paused: {name}", as_json=as_json)


@app.command()
def resume(name: str = NAME, as_json: bool = JSON) -> None:
    """恢复推送 / Go on after a pause, or at once after failures."""
    with _city() as connection:
        resume_receiver(connection, name, at=utc_now())
    _say({"resumed": name}, f"已恢复 / resumed: {name}", as_json=as_json)


@app.command()
def remove(name: str = NAME, as_json: bool = JSON) -> None:
    """删除接收方及其密钥，保留记录 / Remove a receiver and its secrets; its log stays."""
    with _city() as connection:
        remove_receiver(connection, name, at=utc_now(), by=_operator())
    _say({"removed": name}, f"已删除 / removed: {name}", as_json=as_json)


@app.command()
def again(
    name: str = NAME,
    hours: float = typer.Option(24.0, "--hours", min=0, help="Of the last so many hours."),
    as_json: bool = JSON,
) -> None:
    """重新推送被拒收和已放弃的消息 / Tell again what was refused or given up, with the same keys."""
    with _city() as connection:
        at = utc_now()
        count = tell_again(connection, name, since=at - timedelta(hours=hours), at=at)
    _say({"again": name, "messages": count}, f"重新推送 / waiting again: {count}", as_json=as_json)


@app.command("log")
def show_log(
    name: str | None = typer.Argument(None, help="Only this receiver."),
    most: int = typer.Option(50, "--most", min=1, help="How many, newest first."),
    as_json: bool = JSON,
) -> None:
    """推送记录 / Who was told what, when, and how long it took (analysis.delivery)."""
    with _city() as connection:
        rows = connection.execute(
            "SELECT * FROM analysis.delivery WHERE %(name)s::text IS NULL OR receiver = %(name)s"
            " ORDER BY happened_at DESC, id DESC LIMIT %(most)s",
            {"name": name, "most": most},
        ).fetchall()
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, default=str))
        return
    table = Table(
        "时间 time", "接收方 receiver", "何事 what", "结果 outcome", "次 tries", "用时 took s", "应答 answer"
    )
    for row in rows:
        what = f"#{row['incident_no']} {row['class']}" if row["incident_no"] else row["topic"]
        table.add_row(
            f"{row['happened_at']:%m-%d %H:%M:%S}",
            row["receiver"],
            f"{what} {row['transition']}",
            STATES[row["state"]] + (f" ({row['waits_for']})" if row["waits_for"] else ""),
            str(row["attempts"]),
            "–" if row["took_s"] is None else f"{row['took_s']:.1f}",
            escape((row["last_answer"] or "")[:60]),
        )
    Console(width=None if Console().is_terminal else 160).print(table if rows else "没有记录 / nothing yet")


@app.command()
def run(
    once: bool = typer.Option(False, "--once", help="Tell what is due now and end."), as_json: bool = JSON
) -> None:
    """持续推送直到停止 / Tell until Ctrl-C or SIGTERM. Any number may run, beside watches that tell too."""
    from geoapp.access.service_role import running_watch_url, watch_url
    from geoapp.logs import configure_logs

    configure_logs(as_json=True if as_json else None)
    watch_url()
    config = TellingConfig.of(settings())
    if once:
        connections = Connections(running_watch_url)
        figures = deliver_due(connections.connection, config)
        connections.close()
    else:
        stop = _stop_on_signals()
        with running(running_watch_url, config) as telling:
            stop.wait()
        figures = telling.figures()
    _say(figures, " ".join(f"{k}={v}" for k, v in figures.items()), as_json=as_json)


def _city(*, autocommit: bool = False) -> AbstractContextManager[Connection]:
    return connect(database_url(), autocommit=autocommit)


def _hours(quiet: str | None) -> tuple[str | None, str | None]:
    if quiet is None:
        return None, None
    begins, dash, ends = quiet.partition("-")
    try:
        datetime.strptime(begins.strip(), "%H:%M")
        datetime.strptime(ends.strip(), "%H:%M")
    except ValueError:
        dash = ""
    if not dash:
        raise Refused(f'免打扰时段应写作 / Quiet hours are written "22:00-07:00", not {quiet!r}.')
    return begins.strip(), ends.strip()


def _asked_secrets(fields: list[str]) -> dict[str, SecretStr]:
    """Asked for at a terminal, else one line of standard input each: a secret is never given on the command line."""
    found = {}
    for field in fields:
        if sys.stdin.isatty():
            value = getpass.getpass(f"{field}: ")
        else:
            value = sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
        if not value:
            raise Refused(
                f"缺少 {field} / {field} is needed: it is asked for at a terminal, or read as a line of standard input."
            )
        found[field] = SecretStr(value)
    return found


def _operator() -> str:
    try:
        return f"command line: {getpass.getuser()}"
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "command line"


def _stop_on_signals() -> threading.Event:
    """Set by SIGTERM or Ctrl-C; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def _say(figures: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(figures, ensure_ascii=False) if as_json else text)
