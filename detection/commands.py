"""`geoapp detect`: the watch on the command line."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import signal
import threading
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from detection import attention_commands
from geoapp.errors import Refused
from geoapp.settings import settings

if TYPE_CHECKING:
    from detection.backends.base import Detector
    from detection.config import WatchConfig
    from detection.scanning import Scanning

# Nothing may be fetched at run time, whatever a library would like to.
os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")


class Kind(StrEnum):
    """What the ledger is added up by."""

    district = "district"
    town = "town"
    site = "site"
    key_risk_area = "key_risk_area"
    camera = "camera"


app = typer.Typer(help="看护：扫描、训练、评估 / the watch: scan, train, evaluate.", no_args_is_help=True)
_console = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON.")
CONFIG = typer.Option(None, "--config", help="YAML file of the watch's settings.")


@app.command()
def run(
    config: Path | None = CONFIG,
    cluster: str | None = typer.Option(
        None, "--cluster", metavar="tcp://HOST:PORT", help="Look on the workers of this Dask cluster."
    ),
    resources: list[str] = typer.Option(
        [], "--resources", metavar="NAME=NUMBER", help="What a worker of the cluster must offer, as GPU=1."
    ),
    as_json: bool = JSON,
) -> None:
    """持续看护直到停止 / Watch the connected cameras until Ctrl-C or SIGTERM. Any number may run side by side."""
    from detection.config import read_config
    from detection.watch import run_scanning
    from geoapp.access.service_role import running_watch_url
    from geoapp.logs import configure_logs
    from geoapp.watch.telling.config import TellingConfig
    from geoapp.watch.telling.running import running

    configure_logs(as_json=True if as_json else None)
    rules = read_config(config)
    _watch_database()
    scanning, stop = _open_scanning(rules, cluster, resources), _stop_on_signals()
    with running(running_watch_url, TellingConfig.of(settings())):
        summary = run_scanning(
            running_watch_url,
            scanning,
            stop=stop,
            evidence_folder=settings().evidence_path,
            config=rules,
        )
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))


@app.command()
def once(
    camera: list[str] = typer.Option(
        [], "--camera", help="gb_id of a camera to look through now (several allowed)."
    ),
    folder: Path | None = typer.Option(
        None, "--folder", help="Look at a folder's pictures; nothing is stored."
    ),
    config: Path | None = CONFIG,
    as_json: bool = JSON,
) -> None:
    """看一遍 / One pass over the due cameras, or the given ones; or over a folder of pictures.

    Status 1 where a named camera is held by a running watch, or a look could not be written.
    """
    from detection.config import read_config
    from detection.once import look_at_cameras, look_at_folder
    from geoapp.logs import configure_logs

    configure_logs(as_json=True if as_json else None)
    rules = read_config(config)
    if folder is not None:
        _show_looks(look_at_folder(folder, _open_detector(rules), rules), as_json=as_json)
        return
    done = look_at_cameras(_watch_database(), camera, _open_detector(rules), rules, settings().evidence_path)
    if done.rows or as_json:
        _show_looks(done.rows, as_json=as_json)
    missed = []
    if done.held:
        missed.append(
            f"另一个看护进程正在看 / a running watch holds these, try again soon: {', '.join(done.held)}"
        )
    if done.not_written:
        missed.append(
            f"看了但没能写入，见日志 / looked, but nothing was written, see the log: {', '.join(done.not_written)}"
        )
    if missed:
        raise Refused("\n".join(missed))
    if not done.rows:
        _console.print("没有到期的摄像机 / Nothing was due: no camera waits for a look just now.")


def _show_looks(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table("看什么 / what", "结果 / result", "看到 / seen")
    for row in rows:
        seen = ", ".join(f"{b['class']} {b['score']:.2f}" for b in row["boxes"]) or "-"
        table.add_row(row["what"], "observed" if row["observed"] else f"UNOBSERVED({row['reason']})", seen)
    Console().print(table)


@app.command()
def simulate(
    cameras: int = typer.Option(..., min=1, help="How many cameras."),
    period: float = typer.Option(..., min=1, help="Seconds between two looks through one camera."),
    seconds: float = typer.Option(..., min=1, help="How long to run."),
    dead: float = typer.Option(0.02, min=0, max=1, help="Share of the cameras that do not answer."),
    processes: int = typer.Option(1, min=1, help="Watch processes that share the cameras (without a model)."),
    cluster: str | None = typer.Option(
        None,
        "--cluster",
        help="Dask scheduler, tcp://host:8786, whose workers do the scans (without a model).",
    ),
    with_model: bool = typer.Option(False, "--with-model", help="Run the real model on every frame."),
    workers: int = typer.Option(4, min=1, help="Threads that examine and write."),
    as_json: bool = JSON,
) -> None:
    """压力测试 / Many cameras through the real lease table and store, in a database that is thrown away."""
    if cluster is not None and (with_model or processes > 1):
        raise Refused(
            "--cluster 不与 --with-model、--processes 同用 / goes with neither --with-model nor --processes."
        )
    from detection.config import FetchConfig, ScheduleConfig, WatchConfig
    from detection.simulate import ScanModel
    from detection.simulate import simulate as simulate_watch
    from geoapp.logs import configure_logs

    configure_logs(as_json=True)
    rules = WatchConfig(
        schedule=ScheduleConfig(workers=workers, batch=512, write_batch=512, tick_s=0.05),
        # Scans on their way, as many as the pace needs when each takes a second.
        fetch=FetchConfig(in_flight=max(64, round((2 + 8 * dead) * cameras / period))),
    )
    detector = _open_detector(rules) if with_model else None
    with _console.status(f"{cameras} cameras, {seconds:g} s …"):
        figures = simulate_watch(
            _database(),
            cameras,
            period,
            seconds,
            config=rules,
            detector=detector,
            scan=ScanModel(dead_share=dead),
            processes=processes,
            cluster=cluster,
        )
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in figures.items():
        typer.echo(f"{name}: {value}")


@app.command()
def farm(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    seed: int | None = typer.Option(None, help="Another scripted day."),
) -> None:
    """摄像机农场 / The camera farm: plays the sample city's live cameras over HTTP until stopped."""
    from detection.farm_command import run_farm

    run_farm(_database(), host=host, port=settings().farm_port, seed=seed)


@app.command()
def relearn(
    camera: list[str] = typer.Argument(..., help="gb_id of a camera (several allowed)."),
) -> None:
    """重新学习摄像机平时的画面 / Forgets what is usual for cameras that were turned, cleaned or replaced."""
    from detection.picture_health.relearn import forget_usual

    known = forget_usual(_watch_database(), camera)
    _console.print(
        f"已忘记 {len(known)} 台平时的画面，随后几次查看重新学习 / forgotten of {len(known)}: the next looks learn it anew."
    )


@app.command()
def ledger(
    day: datetime | None = typer.Option(
        None, "--day", formats=["%Y-%m-%d"], help="A day of the city, as 2026-11-22; today by default."
    ),
    by: Kind = typer.Option(Kind.district, "--by", help="Add up by."),
    recount: bool = typer.Option(
        False, "--recount", help="Count the day's ended hours again from the looks that are still kept."
    ),
    as_json: bool = JSON,
) -> None:
    """看护台账 / The ledger of a day, hour by hour: what share of the due looks saw a picture, and why not the rest."""
    from detection.ledger_command import day_of, recounted_day, share_words

    rows = recounted_day(_database(), day) if recount else day_of(_database(), day, by.value)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, default=lambda moment: moment.isoformat()))
        return
    if recount:
        table = Table("时 / hour", "摄像机 / cameras", "更正 / changed")
        for row in rows:
            changed = str(row["changed"]) if row["is_known"] else "not_known"
            table.add_row(f"{row['hour']:%m-%d %H:%M}", str(row["cameras"]), changed)
    else:
        table = Table("时 / hour", "何处 / place", "看到 / watched", "应看 / due", "未看到 / not seen")
        for row in rows:
            why = ", ".join(f"{name} {n}" for name, n in sorted(row["reasons"].items(), key=lambda p: -p[1]))
            due = "-" if row["due"] is None else str(row["due"])
            table.add_row(
                f"{row['starts']:%m-%d %H:%M}", row["place"] or by.value, share_words(row), due, why or "-"
            )
    Console().print(table)


def _watch_database() -> str:
    """URL of the city's database for the watch's own login (started where it is private).

    Raises Refused where it holds no schema.
    """
    from geoapp.access.service_role import watch_url

    if settings().watch_database_url is None:
        _database()  # roles come with the schema
    return _with_schema(watch_url())


def _database() -> str:
    """URL of the city's database for its owner (started where it is private). Raises Refused where it holds no schema."""
    from geoapp.database.connection import database_url

    return _with_schema(database_url())


def _with_schema(url: str) -> str:
    from geoapp.database.connection import connect

    with connect(url) as connection:
        found = connection.execute(
            "SELECT FROM pg_class AS c WHERE c.relname = 'scan_due' AND c.relnamespace = to_regnamespace('watch')"
        ).fetchone()
    if found is None:
        raise Refused("数据库还没有结构 / The database holds no schema yet. Run: geoapp db up")
    return url


def _open_detector(rules: WatchConfig) -> Detector:
    from detection.backends import open_detector
    from detection.backends.weights import find_weights

    configured = settings()
    weights = find_weights(configured)
    with _console.status("模型 / model …"):
        return open_detector(weights, rules.detector, home=configured.home_path)


def _open_scanning(rules: WatchConfig, cluster: str | None, resources: list[str]) -> Scanning:
    """This process's own looking, or that of a cluster."""
    from detection.scanning import LocalScanning
    from detection.sources.dispatch import open_source
    from detection.watch import utc_now

    if cluster is not None:
        from detection.cluster import ClusterScanning, open_scanning, parse_resources

        wanted = parse_resources(resources)
        with _console.status(f"Dask {cluster} …"):
            return ClusterScanning(cluster, functools.partial(open_scanning, rules), resources=wanted)
    import cv2

    cv2.setNumThreads(1)  # worker threads decode beside each other already
    source = open_source(rules, clock=utc_now)
    return LocalScanning(source, _open_detector(rules), config=rules, clock=utc_now)


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


def _mount_training() -> None:
    """train, evaluate and export live in their own room of this workshop."""
    name = "detection.training.commands"
    if importlib.util.find_spec(name) is None:
        return
    commands: Any = importlib.import_module(name)
    app.add_typer(commands.app)


_mount_training()
app.add_typer(attention_commands.app)

__all__ = ["Refused", "app"]
