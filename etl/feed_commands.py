"""`geoapp feed`: manifests that are loaded again and again."""

import json
import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from etl.city_store import open_store
from etl.feeds.lease import claim_feeds, claim_of, new_owner
from etl.feeds.register import add_feed, feed_states, no_such_feed, pause_feed, remove_feed, resume_feed
from etl.feeds.scheduler import run_due, run_until, utc_now
from etl.feeds.turn import Means, Turn, take_turn, tried
from etl.manifest import load_manifest
from etl.run import system_user
from geoapp.access.redaction import redact
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused
from geoapp.logs import configure_logs

app = typer.Typer(
    no_args_is_help=True,
    help="定时导入：文件夹、网址、别处的数据库表 / scheduled imports: a folder, an address, a table elsewhere.",
)
JSON = typer.Option(False, "--json", help="Print JSON.")
NAME = typer.Argument(..., help="The feed's name (geoapp feed list).")
_GOOD = ("loaded", "unchanged", "waiting")


@app.command()
def add(
    name: str = typer.Argument(..., help="A name of small letters, digits and . _ -"),
    manifest: Path = typer.Argument(..., help="City manifest (YAML); it is copied."),
    source: str | None = typer.Option(
        None,
        "--from",
        help="A folder, https://…/city.zip or https://…/one-file (default: the manifest's folder).",
    ),
    section: list[str] = typer.Option(
        [], "--section", help="Only this section of the manifest (several allowed)."
    ),
    every: str = typer.Option(..., "--every", help='15m, 1h, 1d, or a time of the day of the city: "02:30".'),
    data: Path | None = typer.Option(
        None, "--data", help="The same as --from FOLDER, as `geoapp load` has it."
    ),
    most_rejected: float = typer.Option(
        20, min=0, max=100, help="Per cent of rows kept aside from which new content is suspicious."
    ),
    into_sample: bool = typer.Option(False, "--into-sample", help="As `geoapp load` has it."),
) -> None:
    """添加定时导入 / Add a feed. Nothing is loaded yet: `geoapp feed try NAME` shows what would be."""
    if source is not None and data is not None:
        raise typer.BadParameter("--from and --data say the same / --from 与 --data 只写一个")
    asked = load_manifest(manifest)
    with open_store(database_url(), asked.city, dry_run=False) as url, connect(url) as connection:
        add_feed(
            connection,
            name,
            asked,
            manifest_name=manifest.name,
            source=source or str(data or manifest.parent),
            every=every,
            moment=utc_now(),
            by=system_user(),
            sections=section,
            into_sample=into_sample,
            most_rejected=most_rejected / 100,
        )
    typer.echo(
        f"已添加 {name} / added. geoapp feed try {name} 试运行 / shows what it would do; "
        "geoapp feed run 启动定时导入 / is the process that keeps feeds up to date."
    )


@app.command("list")
def list_feeds(as_json: bool = JSON) -> None:
    """列出定时导入、上次成功与数据年龄 / List feeds: last success, and how old what they brought is."""
    with connect(database_url()) as connection:
        rows = feed_states(connection, moment=utc_now())
    if as_json:
        shown = [row | {"age_s": _seconds(row["age"])} for row in rows]
        for row in shown:
            del row["age"]
        typer.echo(json.dumps(shown, ensure_ascii=False, default=str))
        return
    grid = Grid(title="定时导入 feeds")
    for heading in (
        "名称 name",
        "状态 state",
        "数据年龄 age",
        "上次成功 last success",
        "周期 every",
        "下次 next",
    ):
        grid.add_column(heading, no_wrap=True)
    grid.add_column("来源 source", overflow="fold")
    for row in rows:
        state, colour = STATES[row["state"]], _COLOURS.get(row["state"], "red")
        grid.add_row(
            row["name"],
            f"[{colour}]{state}[/{colour}]",
            (_age(row["age"]) or "–") + (" [red]过期 late[/red]" if row["is_late"] else ""),
            _time(row["last_success_at"]) or "从未 never",
            _time(row["last_changed_at"]) or "–",
            row["every"],
            _time(row["next_due_at"]) or "–",
            escape(row["source"]),
        )
    out = Console(width=None if Console().is_terminal else 160)
    out.print(grid)
    for row in rows:
        for line in _troubles(row):
            out.print(f"[red]{row['name']}[/red]: {escape(line)}")


STATES = {
    "ok": "正常 ok",
    "running": "进行中 running",
    "late": "过期 late",
    "overdue": "无人来取 overdue",
    "waiting": "等文件写完 waiting",
    "suspicious": "可疑，未导入 suspicious",
    "failed": "失败 failed",
    "taken_back": "已被撤销 taken back",
    "never": "尚未取过 never",
    "paused": "已暂停 paused",
}
_COLOURS = {"ok": "green", "running": "green", "paused": "yellow", "waiting": "yellow"}


def _troubles(row: dict[str, Any]) -> list[str]:
    """What is to be said of a feed that is not well, and how old the data are that are shown in the meantime."""
    lines = []
    if row["failures"]:
        last = _time(row["last_success_at"])
        kept = (
            f"保留 {last} 的数据 / the data are of {last}, {_age(row['age'])} old"
            if last
            else "还没有数据 / there are no data yet"
        )
        since, times = _time(row["failing_since"]), row["failures"]
        lines.append(f"自 {since} 起失败 {times} 次 / failed {times} time(s) since {since}; {kept}")
    if row["state"] == "overdue":
        lines.append("到期无人来取，请启动 / it was due and nobody came: start `geoapp feed run`")
    if row["state"] == "taken_back":
        lines.append(
            "上次导入已被撤销，内容不变不会重来 / its last import was taken back; the same content is loaded again only by "
            f"geoapp feed run {row['name']} --accept"
        )
    if row["last_message"] and row["state"] not in ("ok", "running"):
        lines.append(row["last_message"])
    return lines


@app.command()
def run(
    name: str | None = typer.Argument(None, help="Only this feed, now, whether it is due or not."),
    once: bool = typer.Option(False, "--once", help="Those that are due, once, and end (for cron)."),
    accept: bool = typer.Option(
        False, "--accept", help="With NAME: load also what is unchanged or suspicious."
    ),
    as_json: bool = JSON,
) -> None:
    """定时导入进程，或立即导入一个 / The process that keeps feeds up to date until Ctrl-C; with NAME, one feed now. Status 1 where one failed."""
    url, means = database_url(), Means.of_installation()
    if name is None and accept:
        raise typer.BadParameter("--accept needs the name of a feed / --accept 要写名称")
    configure_logs(as_json=True if as_json else None)
    if name is None and not once:
        run_until(url, _stop_on_signals(), means=means)
        return
    turns = run_due(url, means=means) if name is None else [_run_now(url, name, means, accept)]
    if as_json:
        typer.echo(json.dumps([turn._asdict() for turn in turns], ensure_ascii=False))
    else:
        for turn in turns:
            typer.echo(f"{turn.name}: {turn.outcome}: {turn.message}")
    if any(turn.outcome not in _GOOD for turn in turns):
        raise typer.Exit(1)


def _run_now(url: str, name: str, means: Means, accept: bool) -> Turn:
    with connect(url) as connection:
        claims = claim_feeds(connection, owner=new_owner(), at=utc_now(), lease_s=means.lease_s, only=name)
        if not claims:
            held = connection.execute(
                "SELECT lease_owner FROM staging.feed WHERE name = %s", (name,)
            ).fetchone()
            if held is None:
                raise no_such_feed(connection, name)
            raise Refused(
                f"{name}: 另一进程正在导入（{held['lease_owner']}） / another process is at work on it; see geoapp feed list."
            )
    with Console(stderr=True).status(name) as status:
        return take_turn(
            url,
            claims[0],
            clock=utc_now,
            means=means,
            accept=accept,
            say=lambda text: status.update(escape(redact(text))),
        )


@app.command("try")
def try_feed(name: str = NAME, as_json: bool = JSON) -> None:
    """试运行：会改变什么 / Dry run: fetches, checks, shows the difference; stores nothing. Status 1 where it would not be loaded."""
    url, moment = database_url(), utc_now()
    with connect(url) as connection:
        row = connection.execute("SELECT * FROM staging.feed WHERE name = %s", (name,)).fetchone()
        if row is None:
            raise no_such_feed(connection, name)
    with Console(stderr=True).status(name) as status:
        results, doubtful = tried(
            url,
            claim_of(row, moment),
            clock=utc_now,
            means=Means.of_installation(),
            say=lambda text: status.update(escape(redact(text))),
        )
    if as_json:
        sections = [result.as_json() for result in results]
        typer.echo(
            json.dumps({"suspicious": doubtful, "sections": sections}, ensure_ascii=False, default=str)
        )
    else:
        _print_difference(results, doubtful)
    if doubtful:
        raise typer.Exit(1)


@app.command()
def pause(name: str = NAME) -> None:
    """暂停 / No turns by themselves until it is resumed; its age goes on being shown."""
    with connect(database_url()) as connection:
        pause_feed(connection, name, moment=utc_now(), by=system_user())
    typer.echo(f"{name}: 已暂停 / paused")


@app.command()
def resume(name: str = NAME) -> None:
    """恢复 / Due again, at once."""
    with connect(database_url()) as connection:
        resume_feed(connection, name, moment=utc_now(), by=system_user())
    typer.echo(f"{name}: 已恢复 / resumed")


@app.command()
def remove(name: str = NAME) -> None:
    """删除定时导入，已导入的数据保留 / Remove a feed and its sealed addresses; what it loaded stays."""
    with connect(database_url()) as connection:
        remove_feed(connection, name, by=system_user())
    typer.echo(f"{name}: 已删除，数据保留 / removed; what it loaded stays")


def _print_difference(results: list[Any], doubtful: list[str]) -> None:
    grid = Grid(title="试运行，什么都没有存 / dry run, nothing stored")
    for heading in ("部分 section", "文件 file"):
        grid.add_column(heading)
    counted = {
        "行 rows in": "rows_in",
        "新 new": "new",
        "改 changed": "changed",
        "移动 moved": "moved",
        "没有了 gone": "gone",
        "未变 unchanged": "unchanged",
        "留置 kept aside": "rejected",
    }
    for heading in counted:
        grid.add_column(heading, justify="right")
    for result in results:
        grid.add_row(
            result.section, escape(result.file), *(f"{getattr(result, name):,}" for name in counted.values())
        )
    out = Console(width=None if Console().is_terminal else 140)
    out.print(grid)
    for result in results:
        for kind, rows in result.difference.items():
            shown = "; ".join(" ".join(str(v) for v in row.values() if v is not None) for row in rows[:3])
            out.print(f"  {result.section}, {kind}: {escape(redact(shown))}{' …' if len(rows) > 3 else ''}")
    for sentence in doubtful:
        out.print(
            f"[red]可疑，不会自动导入 / suspicious, would not be loaded by itself[/red]: {escape(sentence)}"
        )


def _time(moment: Any) -> str:
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)


def _age(age: timedelta | None) -> str:
    if age is None:
        return ""
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes < 48 * 60 else f"{minutes // 1440} d"


def _stop_on_signals() -> threading.Event:
    """Set by SIGTERM or Ctrl-C; a second one ends the process at once: what is being loaded is rolled back."""
    stop = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop
