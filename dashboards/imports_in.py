"""Corrected workbooks that people hand in on the page of imports: kept in a folder until an operator loads them."""

import os
import shlex
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dash import html

from dashboards import shell
from dashboards.board import clock, number
from dashboards.import_batch import command
from dashboards.own_account import row, table
from dashboards.texts import Language, t
from etl.correction import about
from geoapp.errors import Refused
from geoapp.settings import settings

MOST_BYTES = 20_000_000
MOST_UNPACKED = 400_000_000
MOST_WAITING = 100


class Waiting(NamedTuple):
    """A workbook in the folder."""

    path: Path
    size: int
    at: datetime


def folder() -> Path:
    """Where workbooks wait: `imports/incoming` of the installation's folder."""
    return settings().home_path / "imports" / "incoming"


def waiting() -> list[Waiting]:
    """The workbooks that were handed in, newest first. Who has loaded one deletes it."""
    try:
        found = [
            entry for entry in os.scandir(folder()) if entry.name.endswith(".xlsx") and entry.name[0] != "."
        ]
    except FileNotFoundError:
        return []
    held = [(entry, entry.stat()) for entry in found]
    rows = [Waiting(Path(e.path), s.st_size, datetime.fromtimestamp(s.st_mtime, UTC)) for e, s in held]
    return sorted(rows, key=lambda one: one.at, reverse=True)


def take_in(body: bytes, moment: datetime) -> tuple[Path, dict[str, str]]:
    """Keeps a corrected workbook, and says what it says of itself. Raises Refused for anything else."""
    if len(body) > MOST_BYTES:
        raise Refused(
            f"文件超过 {MOST_BYTES // 1_000_000} MB / the file is larger than {MOST_BYTES // 1_000_000} MB."
        )
    if len(waiting()) >= MOST_WAITING:
        raise Refused(
            f"已有 {MOST_WAITING} 份更正表等待导入，请先处理 / {MOST_WAITING} workbooks wait already: have them loaded first."
        )
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{moment:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    partial = folder() / f".{name}.part.xlsx"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(body)
    try:
        _refuse_what_swells(partial)
        said = about(partial)
        batch = said.get("batch", "")
        number_ = batch if batch.isascii() and batch.isdigit() and len(batch) < 19 else "0"
        kept = folder() / f"{number_}-{name}.xlsx"
        partial.rename(kept)
    except Refused as refusal:
        raise Refused(str(refusal).replace(f"{partial.name}: ", "")) from None
    finally:
        partial.unlink(missing_ok=True)
    return kept, said


def _refuse_what_swells(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError):
        raise Refused("不是完好的 .xlsx / this is not a sound .xlsx file.") from None
    if unpacked > MOST_UNPACKED:
        raise Refused("解压后过大 / unpacked, the workbook is too large.")


def load_command(path: Path) -> str:
    """What an operator runs for a workbook."""
    return f"geoapp load MANIFEST.yaml --corrected {shlex.quote(str(path))}"


def handed_in_section(lang: Language, zone: str) -> list[Any]:
    """The form to hand a workbook in, and those that wait."""
    most = MOST_BYTES // 1_000_000
    form = html.Form(
        [
            html.Label(
                [
                    html.Span(t("imports.choose", lang), className="plain"),
                    html.Span(t("imports.no_file", lang), className="quiet chosen"),
                    # Dash has no file input of HTML; 76_imports.js puts it in here.
                    html.Span(**shell.data(file_spot="1")),
                ],
                className="file-choice",
            ),
            html.Button(t("imports.hand_in", lang), type="submit", className="primary"),
            html.P(hidden=True, className="message", role="status", **shell.data(message="1")),
        ],
        action="/imports/corrected",
        method="post",
        className="hand-in",
        **shell.data(
            hand_in="1",
            most=MOST_BYTES,
            too_large=t("imports.too_large", lang, mb=most),
            nothing=t("imports.no_file", lang),
            failed=t("access.failed", lang),
        ),
    )
    parts: list[Any] = [
        html.H2(t("imports.corrected", lang)),
        html.P(t("imports.corrected_lead", lang, mb=most), className="lead"),
        html.Div(form, className="card panel"),
    ]
    held = waiting()
    if held:
        names = [t(f"imports.{c}", lang) for c in ("handed_in", "size", "operator_runs")]
        body = [
            row(
                names,
                [
                    clock(one.at, zone),
                    f"{number(one.size / 1000, 1)} kB",
                    command(load_command(one.path), lang),
                ],
            )
            for one in held[:20]
        ]
        parts.append(html.Div(table(names, body), className="table-card waiting-card"))
    return parts
