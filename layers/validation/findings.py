"""What a validation found: figures for JSON, rows for CSV, lines for a person."""

import csv
import json
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.cells import set_cell_size

from layers.event_surface import HORIZON_DAYS, PARTS
from layers.validation.city import FULL_METHODS, FullScore
from layers.validation.cuts import SHARES, TILE_M, Cut, ground_interval, interval
from layers.validation.dated_points import DatedPoints

__all__ = ["event_surface_findings", "full_score_findings", "lines", "written"]

Floats = NDArray[np.float64]
TOP = SHARES.index(0.10)
AREA_NAMES = {
    "near": "有记录地带：首个起点前的事件 500 米内 / ground within 500 m of an event before the first cut",
    "hull": "凸包：首个起点前全部事件 / convex hull of the events before the first cut",
    "boundary": "给定边界 / the boundary given",
}
METHOD_NAMES = {
    "surface": "事件面 event surface",
    "count": "累计次数 plain count",
    "random": "随机 random",
    "best_possible": "事后最优 best possible",
    "full_score": "综合评分 full score",
    "event_count": "累计事件 event count",
    "site_count": "场所数 site count",
}


def _day(number: float) -> str:
    return (date(1970, 1, 1) + timedelta(days=int(number))).isoformat()


def _figure(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _mean(values: Floats) -> float | None:
    values = values[np.isfinite(values)]
    return _figure(values.mean()) if len(values) else None


def _compared(rates: Floats, methods: tuple[str, ...], block: int, seed: int) -> dict[str, Any]:
    """Means and intervals of cuts × methods × shares; differences of the first method from each other one, by cut."""
    found: dict[str, Any] = {"methods": {}, "differences": {}}
    for m, method in enumerate(methods):
        found["methods"][method] = {
            f"{share:g}": {
                "hit_rate": _mean(rates[:, m, s]),
                "interval": _pair(interval(rates[:, m, s], block, seed)),
                "pai": _figure((_mean(rates[:, m, s]) or 0) / share)
                if _mean(rates[:, m, s]) is not None
                else None,
            }
            for s, share in enumerate(SHARES)
        }
        if 0 < m < len(methods) - 1:
            found["differences"][method] = {
                f"{share:g}": {
                    "difference": _mean(rates[:, 0, s] - rates[:, m, s]),
                    "interval": _pair(interval(rates[:, 0, s] - rates[:, m, s], block, seed)),
                    "cuts_ahead": int((rates[:, 0, s] > rates[:, m, s] + 1e-12).sum()),
                    "cuts_behind": int((rates[:, 0, s] < rates[:, m, s] - 1e-12).sum()),
                }
                for s, share in enumerate(SHARES)
            }
    return found


def _pair(bounds: tuple[float, float] | None) -> list[float | None] | None:
    return None if bounds is None else [_figure(bounds[0]), _figure(bounds[1])]


def _rates(scores: list[tuple[Any, ...]]) -> Floats:
    return np.array([[one.hit_rate for one in cut] for cut in scores], dtype=np.float64)


def event_surface_findings(
    points: DatedPoints, cuts: list[Cut], step: float, size: float, seed: int
) -> dict[str, Any]:
    """Everything about the event surface; `hit_rate`, `pai` and their like are of the first area and the top 10 %."""
    block = max(1, int(np.ceil(HORIZON_DAYS / step)))
    areas: dict[str, Any] = {}
    for name in dict.fromkeys(cut.area for cut in cuts):
        own = [cut for cut in cuts if cut.area == name]
        methods = tuple(score.method for score in own[0].scores)
        areas[name] = {
            "cells": own[0].cells,
            "area_km2": round(own[0].cells * size**2 / 1e6, 4),
            "ground_interval": _pair(ground_interval(own)),
            "weights_last": {p.id: round(float(w), 4) for p, w in zip(PARTS, own[-1].weights, strict=True)},
            **_compared(_rates([cut.scores for cut in own]), methods, block, seed),
            "cuts": [
                {
                    "cut": _day(cut.at),
                    "until": _day(cut.at + HORIZON_DAYS - 1),
                    "events_before": cut.events_before,
                    "events": cut.events,
                    "outside": cut.outside,
                    "hit_rates": {s.method: [_figure(h) for h in s.hit_rate] for s in cut.scores},
                    "weights": {p.id: round(float(w), 4) for p, w in zip(PARTS, cut.weights, strict=True)},
                }
                for cut in own
            ],
        }
    first = next(iter(areas))
    top = {method: figures["0.1"] for method, figures in areas[first]["methods"].items()}
    ahead = areas[first]["differences"]["count"]["0.1"]
    return {
        "events": len(points.day),
        "rows": points.rows,
        "left_out": points.left_out,
        "columns": points.columns,
        "frame": points.frame,
        "metric_srid": points.srid,
        "first_day": _day(points.day[0]),
        "last_day": _day(points.day[-1]),
        "cell_m": size,
        "horizon_days": HORIZON_DAYS,
        "step_days": step,
        "cuts": len(areas[first]["cuts"]),
        "tile_m": TILE_M,
        "area": first,
        "top_share": 0.1,
        "shares": list(SHARES),
        "hit_rate": top["surface"]["hit_rate"],
        "hit_rate_count": top["count"]["hit_rate"],
        "hit_rate_random": top["random"]["hit_rate"],
        **{f"hit_rate_{m}": f["hit_rate"] for m, f in top.items() if m.startswith("kde_")},
        "pai": top["surface"]["pai"],
        "pai_count": top["count"]["pai"],
        "difference_from_count": ahead["difference"],
        "difference_interval": ahead["interval"],
        # null: too few cuts that do not overlap to say.
        "beats_count": None if ahead["interval"] is None else bool(ahead["interval"][0] > 0),
        "seed": seed,
        "areas": areas,
    }


def full_score_findings(found: FullScore, seed: int) -> dict[str, Any]:
    """The full score's figures; `known` false with `why` where no past day could be rated."""
    rated = [cut for cut in found.cuts if cut.scores]
    answer: dict[str, Any] = {
        "known": bool(rated),
        "why": found.not_known or None,
        "events": found.events,
        "generated_events": found.generated,
        "cuts": [
            {
                **{k: v for k, v in asdict(cut).items() if k not in ("at", "scores", "not_known")},
                "cut": _day(cut.at),
                "not_known": cut.not_known or None,
                "hit_rates": {s.method: [_figure(h) for h in s.hit_rate] for s in cut.scores},
            }
            for cut in found.cuts
        ],
    }
    if rated:
        block = max(1, int(np.ceil(HORIZON_DAYS / found.step)))
        answer |= _compared(_rates([cut.scores for cut in rated]), FULL_METHODS, block, seed)
    return answer


def _percent(value: float | None) -> str:
    return "  —  " if value is None else f"{100 * value:5.2f}"


def _bounds(pair: list[float] | None) -> str:
    return "(未知 / not known)" if pair is None else f"[{100 * pair[0]:.2f}, {100 * pair[1]:.2f}]"


def _table(figures: dict[str, Any]) -> list[str]:
    head = "  ".join(f"{'top ' + format(share, '.0%'):>7}" for share in SHARES)
    said = [f"    {set_cell_size('命中率 hit rate, %', 28)}{head}   PAI 10 %   95 % 区间 interval (10 %)"]
    for method, by_share in figures["methods"].items():
        name = METHOD_NAMES.get(method, method.replace("kde_", "核密度 KDE ") + " m")
        row = "  ".join(f"{_percent(by_share[f'{share:g}']['hit_rate']):>7}" for share in SHARES)
        ten = by_share["0.1"]
        pai = "—" if ten["pai"] is None else f"{ten['pai']:.2f}"
        said.append(f"    {set_cell_size(name, 28)}{row}   {pai:>8}   {_bounds(ten['interval'])}")
    for method, by_share in figures["differences"].items():
        ten = by_share["0.1"]
        name = METHOD_NAMES.get(method, method.replace("kde_", "KDE ") + " m")
        difference = "—" if ten["difference"] is None else f"{100 * ten['difference']:+.2f}"
        said.append(
            f"    − {name}: {difference} 个百分点 / points (10 %), {_bounds(ten['interval'])}, "
            f"起点 / cuts {ten['cuts_ahead']} > , {ten['cuts_behind']} <"
        )
    return said


def lines(findings: dict[str, Any]) -> list[str]:
    """The findings for a person, in both languages: a table for each area, one line for each cut, and what is not known."""
    said: list[str] = []
    if "areas" in findings:
        left = ", ".join(f"{k} {v}" for k, v in findings["left_out"].items() if v) or "0"
        said.append(
            f"事件面 / event surface: {findings['events']} 起事件 / events, {findings['first_day']} – {findings['last_day']}; "
            f"未采用 / left out: {left}; EPSG:{findings['metric_srid']}, {findings['cell_m']:g} m, "
            f"{findings['cuts']} 个起点 / cuts, 步长 / step {findings['step_days']:g} d, 预测期 / horizon {HORIZON_DAYS:g} d"
        )
        for name, area in findings["areas"].items():
            said.append(f"  {AREA_NAMES[name]}: {area['cells']} 格 / cells, {area['area_km2']:.1f} km²")
            said += _table(area)
            if name == findings["area"]:
                said.append(
                    f"    − {METHOD_NAMES['count']}，按 2 公里方块重抽地面 / on ground drawn anew by squares of 2 km: "
                    f"{_bounds(area['ground_interval'])}"
                )
        said.append("  各起点（前 10 %）/ every cut (top 10 %): 事件面 surface, 次数 count, 范围外 outside")
        for cut in findings["areas"][findings["area"]]["cuts"]:
            rates = cut["hit_rates"]
            said.append(
                f"    {cut['cut']} … {cut['until']}  {cut['events']:>7}  {_percent(rates['surface'][TOP])}  "
                f"{_percent(rates['count'][TOP])}  {cut['outside']}"
            )
        verdict = {
            None: "起点太少，无法判断是否优于累计次数 / too few separate cuts to say whether it beats the plain count",
            True: "优于累计次数，区间不含零 / beats the plain count, the interval excludes zero",
            False: "未显示优于累计次数 / is not shown to beat the plain count",
        }[findings["beats_count"]]
        said.append(f"  {verdict}")
    elif "event_surface_not_known" in findings:
        said.append(f"事件面：未知 / event surface: not known: {findings['event_surface_not_known']}")
    full = findings.get("full_score")
    if full is not None and full["known"]:
        said.append(
            f"综合评分 / full score: {len(full['cuts'])} 个过去日 / past days, {full['events']} 起事件 / events"
            + (
                f", 其中样例生成 / of them generated: {full['generated_events']}"
                if full["generated_events"]
                else ""
            )
        )
        said += _table(full)
        for cut in full["cuts"]:
            rates = cut["hit_rates"]
            shown = (
                f"{_percent(rates['full_score'][TOP])}  {_percent(rates['event_count'][TOP])}"
                if rates
                else f"未知 / not known: {cut['not_known']}"
            )
            said.append(
                f"    {cut['cut']}  {cut['events']:>6}  {shown}  (场所 sites {cut['sites']}, 隐患 hazards {cut['hazards']}, 检查 visits {cut['visits']})"
            )
    elif full is not None:
        said.append(f"综合评分：未知 / full score: not known: {full['why']}")
    return said


def written(findings: dict[str, Any], folder: Path) -> list[Path]:
    """Writes validation.json and cuts.csv (one row a part, area, cut, method and share) into `folder`; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_csv = folder / "validation.json", folder / "cuts.csv"
    as_json.write_text(json.dumps(findings, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    with as_csv.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file)
        out.writerow(
            ["part", "area", "cut", "events", "outside", "method", "share_of_area", "hit_rate", "pai"]
        )
        parts = [("event_surface", name, area["cuts"]) for name, area in findings.get("areas", {}).items()]
        parts.append(("full_score", "district", findings.get("full_score", {}).get("cuts", [])))
        for part, name, cuts in parts:
            for cut in cuts:
                for method, rates in cut["hit_rates"].items():
                    for share, rate in zip(SHARES, rates, strict=True):
                        pai = None if rate is None else round(rate / share, 4)
                        out.writerow(
                            [part, name, cut["cut"], cut["events"], cut["outside"], method, share, rate, pai]
                        )
    return [as_json, as_csv]
