"""`geoapp sample-city`: an invented district to try everything on."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from etl.sample_city.build import DEMO, FARM_URL, SMALL, build_sample_city
from etl.sample_city.facts import SRID
from geoapp.database import migrations
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused
from geoapp.territory.simplified import renew_simplified

_STEPS = {
    "terrain": "地形与边界 / terrain",
    "territory": "行政区划与网格 / units and cells",
    "base map": "底图 / base map",
    "duty": "职责 / duties",
    "sites": "单位 / sites",
    "key risk areas": "重点风险源 / key risk areas",
    "cameras": "摄像机 / cameras",
    "inspection": "检查 / checks",
    "hazards": "隐患与动火票 / hazards and permits",
    "incidents": "历史事件 / past incidents",
    "analyze": "统计 / statistics",
    "done": "完成 / done",
}


def sample_city(
    seed: int = typer.Option(116, help="同一种子得到同一城市 / The same seed makes the same city."),
    small: bool = typer.Option(False, "--small", help="小样本，一秒建成 / A small city, made in a second."),
    communities: int | None = typer.Option(None, min=11, help="社区数 / Communities [200]."),
    cells: int | None = typer.Option(None, min=55, help="网格数 / Grid cells [1200]."),
    sites: int | None = typer.Option(None, min=120, help="单位数 / Sites [3000]."),
    key_risk_areas: int | None = typer.Option(
        None, min=119, help="重点风险源数（张堰 119）/ Key risk areas, 119 of them in Zhangyan [379]."
    ),
    cameras: int | None = typer.Option(None, min=0, help="摄像机数 / Cameras [400]."),
    live_cameras: int | None = typer.Option(None, min=0, help="在线摄像机数 / Live cameras [60]."),
    days: int | None = typer.Option(None, min=1, help="历史天数 / Days of history [90]."),
    as_of: datetime | None = typer.Option(
        None, help="历史截至的时刻（UTC）/ Moment the history leads up to, UTC [now]."
    ),
    farm_url: str = typer.Option(
        FARM_URL, help="在线摄像机的快照地址 / Where live cameras' snapshots come from."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """建一座生成的样例城市 / Make the sample city: a generated district, flagged as such, in an empty database."""
    asked: dict[str, Any] = {
        "communities": communities,
        "cells": cells,
        "sites": sites,
        "key_risk_areas": key_risk_areas,
        "cameras": cameras,
        "live_cameras": live_cameras,
        "days": days,
    }
    size = replace(SMALL if small else DEMO, **{k: v for k, v in asked.items() if v is not None})
    # A command is the edge of the house: here, and only here, the clock is read.
    moment = as_of.replace(tzinfo=UTC) if as_of and as_of.tzinfo is None else as_of or datetime.now(UTC)
    url = database_url()
    held = migrations.stored_srid(url)
    if held is not None and held != SRID:
        raise Refused(
            f"数据库的坐标带是 EPSG:{held}，样例城市要 EPSG:{SRID} / This database is in EPSG:{held}, the sample city "
            f"needs EPSG:{SRID}: use another GEOAPP_HOME."
        )
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=as_json,
    ) as bar:
        task = bar.add_task("数据库 / database", total=1.0)
        migrations.migrate(url, srid=SRID)
        with connect(url) as connection:
            counts = build_sample_city(
                connection,
                size=size,
                seed=seed,
                as_of=moment,
                farm_url=farm_url,
                progress=lambda step, share: bar.update(task, completed=share, description=_STEPS[step]),
            )
        with connect(url) as connection:
            renew_simplified(connection)
    if as_json:
        typer.echo(
            json.dumps({"seed": seed, "as_of": moment.isoformat(), "is_generated": True, "rows": counts})
        )
        return
    typer.echo(f"样例城市已建（生成数据，种子 {seed}）/ Sample city made, generated data, seed {seed}:")
    for table, rows in counts.items():
        typer.echo(f"  {table:28} {rows:>9,}")
