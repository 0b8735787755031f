"""A manifest into the database: one transaction, every row counted, what cannot be stored kept aside with its reasons."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray

from etl.batch import batch, record_batch
from etl.frames import Frame, parse_frame
from etl.ground import Ground
from etl.kept_aside import column_names, plain, row_as_json
from etl.manifest import City, Manifest, Section
from etl.readers import Table, read_table
from etl.reasons import REASONS, Findings, Repair
from etl.sections import PREPARE, TARGETS, Values
from etl.store import upsert
from geoapp.access import sealing
from geoapp.access.redaction import redact
from geoapp.database import migrations
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.territory.coverage import coverage_problems

__all__ = ["SectionResult", "load", "open_store"]

# Two imports into one database would count each other's rows; any constant that nothing else locks.
_LOAD_LOCK = 748_116_312
# Tables that views or triggers fill by themselves: rows there are no data of anybody's.
_DERIVED = ("layer_version", "no_cell_piece", "no_cell_made_from")
Say = Callable[[str], None]


@dataclass
class SectionResult:
    """What became of one file. rows_in = stored + unchanged + repaired + rejected, always."""

    section: str
    file: str
    batch_id: int
    rows_in: int
    stored: int
    unchanged: int
    repaired: int
    rejected: int
    not_selected: int
    encoding: str | None
    evidence: str
    frame: str | None
    frame_from: str
    unused_columns: list[str]
    reasons: dict[str, int]
    notices: list[str]
    rejected_rows: list[dict[str, Any]] = field(default_factory=list)
    repaired_rows: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@contextmanager
def open_store(url: str, city: City, *, dry_run: bool) -> Iterator[str]:
    """URL of a database with the schema in the manifest's zone.

    A database without a schema is migrated to it, as is one whose schema is still wholly empty; a dry run of a new
    city works in a scratch database that is dropped at the end. Raises Refused when the database holds another zone.
    """
    held = migrations.stored_srid(url)
    if held == city.metric_srid:
        if not dry_run:
            migrations.migrate(url, srid=held)
        elif migrations.current(url) != migrations.head():
            raise Refused(
                "数据库结构较旧，试运行不升级它 / The database's schema is older than this program, and a dry run does not change it.\n"
                "  Run `geoapp db up` first."
            )
        yield url
        return
    if held is not None and not _is_empty(url):
        stored = _stored_city(url)
        name = f"{stored['name_zh']} ({stored['code']})" if stored else "别的数据 (other data)"
        raise Refused(
            f"数据库已装有{name}，坐标带 EPSG:{held}；清单要求 EPSG:{city.metric_srid} / This database holds {name} in EPSG:{held}, "
            f"the manifest asks for EPSG:{city.metric_srid}.\n"
            "  One database holds one city: set GEOAPP_HOME to a new folder for the other city."
        )
    if dry_run:
        with _scratch(url, city.metric_srid) as scratch:
            yield scratch
        return
    if held is not None:
        migrations.migrate(url, srid=held, to="base")
    migrations.migrate(url, srid=city.metric_srid)
    yield url


@contextmanager
def _scratch(url: str, srid: int) -> Iterator[str]:
    name = "geoapp_dry_run_" + hashlib.sha256(url.encode()).hexdigest()[:12]
    with connect(url, autocommit=True) as connection:
        try:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
        except psycopg.errors.InsufficientPrivilege:
            raise Refused(
                "试运行要临时建库，但账号没有权限 / A dry run of a new city makes a scratch database, and this account may not.\n"
                "  Run `geoapp db migrate --srid N` first, then the dry run works inside the database."
            ) from None
        try:
            scratch = re.sub(r"/[^/?]+(\?|$)", rf"/{name}\1", url, count=1) if "/" in url[13:] else url
            migrations.migrate(scratch, srid=srid)
            yield scratch
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _is_empty(url: str) -> bool:
    """Whether no table of the schema holds a row (tables that the schema fills by itself excepted)."""
    with connect(url) as connection:
        tables = connection.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN"
            " ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'staging')"
            " AND tablename <> ALL (%s)",
            (list(_DERIVED),),
        ).fetchall()
        for table in tables:
            if connection.execute(f"SELECT FROM {table['name']} LIMIT 1").fetchone() is not None:
                return False
    return True


def _stored_city(url: str) -> dict[str, Any] | None:
    with connect(url) as connection:
        return connection.execute("SELECT * FROM territory.city").fetchone()


def load(
    url: str,
    manifest: Manifest,
    *,
    folder: Path,
    keep: Path | None = None,
    dry_run: bool = False,
    into_sample: bool = False,
    say: Say = lambda text: None,
) -> list[SectionResult]:
    """Loads all files of a manifest in one transaction; on any error nothing of it is stored.

    `url`: a database with the schema (see `open_store`). `folder`: what the manifest's paths are relative to.
    `keep`: folder for the rows that were repaired, with their form before and after (none: not kept). `say` is told
    what is being done. Raises Refused when a file, a column or a frame is missing, when the database holds another
    city, or when it is the sample city and `into_sample` is not given.
    """
    later = manifest.not_loaded()
    if later:
        raise Refused(
            f"这一版还不能导入 / this version does not load: {', '.join(later)}.\n"
            "  Take these sections out of the manifest for now; nothing was loaded."
        )
    results: list[SectionResult] = []
    with connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOAD_LOCK,))
        with batch(connection, f"load:{manifest.city.code}"):
            _load_all(connection, manifest, folder, results, into_sample=into_sample, say=say)
        if dry_run:
            connection.rollback()
            return results
        if keep is not None:
            _keep_repairs(keep, results)
    return results


def _load_all(
    connection: psycopg.Connection[dict[str, Any]],
    manifest: Manifest,
    folder: Path,
    results: list[SectionResult],
    *,
    into_sample: bool,
    say: Say,
) -> None:
    _store_city(connection, manifest.city, into_sample=into_sample)
    ground = Ground(connection, manifest.city)
    for section in manifest.in_order():
        try:
            results.append(_load_section(connection, section, ground, folder, say))
        except (psycopg.IntegrityError, psycopg.DataError) as fault:
            raise Refused(
                f"{section.name}, {section.file}: 数据库拒收 / the database refused it: {redact(str(fault).splitlines()[0])}\n"
                "  什么都没有导入 / nothing of this manifest was stored."
            ) from fault
        ground.forget()
    if any(r.section in ("units", "grid") and r.stored + r.repaired for r in results):
        say("行政区边界 / outlines")
        results[0].notices += _derive_outlines(ground)
        moved = connection.execute(read_sql("staging/place_again").encode()).fetchone()
        assert moved is not None
        if moved["sites"] or moved["cameras"]:
            results[0].notices.append(
                f"因边界或网格改变，{moved['sites']} 个场所、{moved['cameras']} 个摄像头换了网格或镇 / cell or town put right for "
                f"{moved['sites']} site(s) and {moved['cameras']} camera(s)"
            )
    for result in results:
        if result.section == "grid":
            say("网格核对 / grid")
            result.notices += _grid_notices(ground)
            break


def _store_city(connection: psycopg.Connection[dict[str, Any]], city: City, *, into_sample: bool) -> None:
    stored = connection.execute("SELECT * FROM territory.city").fetchone()
    if stored is not None:
        if stored["code"] != city.code or stored["metric_srid"] != city.metric_srid:
            raise Refused(
                f"数据库里是{stored['name_zh']} ({stored['code']}, EPSG:{stored['metric_srid']})，清单是{city.name_zh} "
                f"({city.code}, EPSG:{city.metric_srid}) / This database holds {stored['name_en']}, the manifest is of {city.name_en}.\n"
                "  One database holds one city: set GEOAPP_HOME to a new folder for the other city."
            )
        if stored["is_generated"] and not into_sample:
            raise Refused(
                f"数据库里是生成的示例城市（{stored['name_zh']}），真实数据不能混入 / This database holds the generated sample city; "
                "real data is not mixed into it.\n"
                "  For the real city: GEOAPP_HOME=<a new folder> geoapp load …. To try your files on the sample city: --into-sample "
                "(every screen still says that the city is generated)."
            )
    if stored is None or not stored["is_generated"]:
        # is_generated is not among the columns written: the sample city's mark cannot be lost here.
        connection.execute(
            "INSERT INTO territory.city AS c (name_zh, name_en, code, metric_srid, timezone)"
            " VALUES (%(name_zh)s, %(name_en)s, %(code)s, %(metric_srid)s, %(timezone)s) ON CONFLICT (only_row) DO UPDATE"
            " SET name_zh = excluded.name_zh, name_en = excluded.name_en, timezone = excluded.timezone"
            " WHERE (c.name_zh, c.name_en, c.timezone) IS DISTINCT FROM (excluded.name_zh, excluded.name_en, excluded.timezone)",
            city.model_dump(),
        )
    held = connection.execute(
        "SELECT FROM territory.unit WHERE code = %s", (city.code + "000000",)
    ).fetchone()
    if held is None:
        connection.execute(
            "INSERT INTO territory.unit (code, level, name_zh, name_en, source_frame) VALUES (%s, 'county', %s, %s, 'derived')",
            (city.code + "000000", city.name_zh, city.name_en),
        )


def _load_section(
    connection: psycopg.Connection[dict[str, Any]], section: Section, ground: Ground, folder: Path, say: Say
) -> SectionResult:
    path = (folder / section.file).expanduser()
    say(f"{section.name}: {path.name} …")
    table = read_table(path, layer=section.layer, encoding=section.encoding)
    _refuse_missing_columns(section, table)
    chosen = _selected(section, table)
    not_selected = len(table) - int(chosen.sum())
    table = table.select(chosen)
    frame, frame_from, frame_notices = _frame_of(section, table)
    findings = Findings(len(table))
    findings.notices += [*table.notices, *frame_notices]
    for row, (code, found) in table.damaged.items():
        findings.reject_row(row, code, None, found=found)
    say(f"{section.name}: {path.name}, {len(table):,} 行 / rows …")
    values = PREPARE[section.name](table, section, frame, ground, findings)
    _refuse_repeats(table, values, findings, TARGETS[section.name].key)
    batch_id = _open_batch(connection, section, path, table, frame)
    outcome = _store(connection, section, values, findings, ground, batch_id)
    _seal_credentials(connection, section, values, findings, outcome, batch_id)
    return _close_batch(
        connection,
        section,
        SectionResult(
            section=section.name,
            file=path.name,
            batch_id=batch_id,
            rows_in=len(table),
            stored=0,
            unchanged=0,
            repaired=0,
            rejected=0,
            not_selected=not_selected,
            encoding=table.encoding,
            evidence=table.evidence,
            frame=frame.name if frame else None,
            frame_from=frame_from,
            unused_columns=[
                redact(c)
                for c in table.columns
                if c not in section.named_columns().values() and c not in section.where
            ],
            reasons=dict(findings.top()),
            notices=findings.notices,
        ),
        table,
        findings,
        outcome,
    )


def _refuse_missing_columns(section: Section, table: Table) -> None:
    import difflib

    wanted = section.named_columns() | {f"where.{column}": column for column in section.where}
    present = list(table.columns)
    wrong = []
    for name, column in wanted.items():
        key = name if name.startswith("where.") else f"columns.{name}"
        if column in table.repeated:
            wrong.append(
                f"  {section.name}.{key}: 列 {column!r} 出现多次 / this column is in the file more than once"
            )
        elif column not in table.columns:
            near = difflib.get_close_matches(column, present, n=1, cutoff=0.5)
            hint = f"; 是不是 / did you mean {near[0]!r}?" if near else ""
            wrong.append(f"  {section.name}.{key}: 没有列 {column!r} / no column {column!r}{hint}")
    if wrong:
        held = ", ".join(column_names(table)) or "没有任何属性列 / no columns at all"
        notes = "".join(f"\n  {notice}" for notice in table.notices)
        raise Refused(
            f"{table.path.name}: 清单里写的列文件里没有 / columns of the manifest are not in the file:\n"
            + "\n".join(wrong)
            + f"\n  文件的列 / its columns: {held}{notes}\n  什么都没有导入 / nothing was loaded."
        )


def _selected(section: Section, table: Table) -> NDArray[np.bool_]:
    mask = np.ones(len(table), dtype=bool)
    for column, wanted in section.where.items():
        values = {wanted} if isinstance(wanted, str) else set(wanted)
        mask &= np.fromiter((v in values for v in table.columns[column]), dtype=bool, count=len(table))
    if section.where and not mask.any():
        raise Refused(
            f"{table.path.name}: `where` 没有选中任何一行 / `where` of {section.name} selects none of {len(table)} rows; "
            "check its values (as text)."
        )
    return mask


def _frame_of(section: Section, table: Table) -> tuple[Frame | None, str, list[str]]:
    """The frame of the section's coordinates: declared, else the file's own statement; never a guess."""
    columns = section.named_columns()
    by_columns = "lon" in columns and "lat" in columns
    if not section.spatial or (section.name == "units" and not by_columns and table.geometry is None):
        return None, "", []
    if not by_columns and table.geometry is None:
        raise Refused(
            f"{table.path.name}: 没有图形，清单也没有写坐标列 / has no geometry, and {section.name}.columns names no lon and lat.\n"
            f"  文件的列 / its columns: {', '.join(table.columns)}"
        )
    own = _own_frame(table) if table.geometry is not None else None
    if section.frame is not None:
        declared = parse_frame(section.frame)
        return declared, "declared", _compare_frames(section, table, declared, own)
    if own is not None and not (by_columns and section.name != "units"):
        return own, f"said by {table.crs_from}", []
    if table.crs is not None and own is None:
        raise Refused(
            f"{table.path.name}: 它的坐标系 {table.crs.name!r} 没有 EPSG 编号 / its coordinate system has no EPSG code; "
            f"declare `frame: epsg:NNNN` in {section.name}."
        )
    raise Refused(
        f"{table.path.name}: 没有声明坐标框架 / {section.name}.frame is not declared and the file does not say it.\n"
        "  wgs84 (GPS), cgcs2000 (天地图, surveys), gcj02 (高德, 腾讯), bd09 (百度) or epsg:NNNN; they differ by up to 1 km, so "
        f"GeoApp does not guess. `geoapp inspect {table.path.name}` shows the coordinates."
    )


def _own_frame(table: Table) -> Frame | None:
    if table.crs is None:
        return None
    code = 4326 if table.crs.name in ("WGS 84 (CRS84)", "WGS 84") else table.crs.to_epsg(min_confidence=50)
    if code is None:
        return None
    return {4326: Frame("wgs84", 4326), 4490: Frame("cgcs2000", 4490)}.get(code, Frame(f"epsg:{code}", code))


def _compare_frames(section: Section, table: Table, declared: Frame, own: Frame | None) -> list[str]:
    if own is None or own == declared or "lon" in section.named_columns():
        return []
    if declared.is_geographic and own.is_geographic:
        return [
            f"文件自称 {own.name}，按清单读作 {declared.name} / the file says {own.name}, read as declared: {declared.name}"
        ]
    raise Refused(
        f"{table.path.name}: 文件说是 {own.name}，清单说是 {declared.name} / {table.crs_from} says {own.name}, the manifest says "
        f"{declared.name}: one is in degrees, or they are two zones. Correct `frame`, or leave it out to take the file's."
    )


def _refuse_repeats(table: Table, values: Values, findings: Findings, key: str) -> None:
    """The second of two rows with one key is set aside; a row that is set aside itself does not count as the first."""
    for column in ("uscc", "local_id") if key == "local_id" else (key,):
        if column not in values:
            continue
        first: dict[str, int] = {}
        for row in np.flatnonzero(findings.accepted):
            text = values[column][row]
            if text is None:
                continue
            if text in first:
                other = int(table.row_no[first[text]])
                findings.reject_row(int(row), "duplicate_in_file", column, key=text, other=other)
            else:
                first[text] = int(row)


def _open_batch(
    connection: psycopg.Connection[dict[str, Any]],
    section: Section,
    path: Path,
    table: Table,
    frame: Frame | None,
) -> int:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    row = connection.execute(
        "INSERT INTO staging.batch (section, file, file_sha256, encoding, frame, rows_in) VALUES (%s, %s, %s, %s, %s, %s)"
        " RETURNING id",
        (section.name, path.name, digest, table.encoding, frame.name if frame else None, len(table)),
    ).fetchone()
    assert row is not None
    return int(row["id"])


def _store(
    connection: psycopg.Connection[dict[str, Any]],
    section: Section,
    values: Values,
    findings: Findings,
    ground: Ground,
    batch_id: int,
) -> NDArray[np.object_]:
    """Writes the accepted rows; gives each row's outcome: new, changed, unchanged or rejected."""
    target = TARGETS[section.name]
    outcome = np.full(findings.count, "rejected", dtype=object)
    rows = np.flatnonzero(findings.accepted)
    for key, part in _by_key(section, values, rows, connection):
        found = upsert(
            connection,
            target,
            {name: column[part] for name, column in values.items()},
            srid=ground.srid,
            batch_id=batch_id,
            key=key,
        )
        outcome[part] = found
        for row in part[found == "sample"]:
            findings.reject_row(int(row), "held_by_sample", key, key=values[key][row])
            outcome[row] = "rejected"
    return outcome


def _seal_credentials(
    connection: psycopg.Connection[dict[str, Any]],
    section: Section,
    values: Values,
    findings: Findings,
    outcome: NDArray[np.object_],
    batch_id: int,
) -> None:
    """Seals the credentials of the rows that are stored. A blank takes no stored one away."""
    given = {
        values[TARGETS[section.name].key][row]: fields
        for row, fields in findings.secrets.items()
        if outcome[row] != "rejected"
    }
    if not given:
        return
    changed = sealing.put_secrets(connection, "camera", given, f"load, batch {batch_id}")
    findings.notices.append(
        f"{len(given)} 个摄像头的账号口令已加密保存（{len(changed)} 个是新的或有变化） / credentials of {len(given)} camera(s) sealed, "
        f"{len(changed)} of them new or changed; `geoapp secret list` shows which"
    )


def _by_key(
    section: Section,
    values: Values,
    rows: NDArray[np.int64],
    connection: psycopg.Connection[dict[str, Any]],
) -> list[tuple[str, NDArray[np.int64]]]:
    """Which column identifies which rows. A site is known by its credit code, else by its local id.

    A site that is stored by local id without a credit code, and now comes with one, is known by its local id.
    """
    if section.name != "sites":
        return [(TARGETS[section.name].key, rows)]
    if "uscc" not in values:
        return [("local_id", rows)]
    if "local_id" not in values:
        return [("uscc", rows)]
    without_code = {
        r["local_id"]
        for r in connection.execute("SELECT local_id FROM registry.site WHERE uscc IS NULL").fetchall()
    }
    by_id = np.array(
        [values["uscc"][r] is None or values["local_id"][r] in without_code for r in rows], dtype=bool
    )
    return [("local_id", rows[by_id]), ("uscc", rows[~by_id])]


def _close_batch(
    connection: psycopg.Connection[dict[str, Any]],
    section: Section,
    result: SectionResult,
    table: Table,
    findings: Findings,
    outcome: NDArray[np.object_],
) -> SectionResult:
    written = np.isin(outcome, ("new", "changed"))
    mended = np.zeros(len(table), dtype=bool)
    mended[[row for row in findings.repairs if outcome[row] != "rejected"]] = True
    result.stored = int((written & ~mended).sum())
    result.repaired = int((written & mended).sum())
    result.unchanged = int((outcome == "unchanged").sum())
    result.rejected = int((outcome == "rejected").sum())
    result.reasons = dict(findings.top())
    with connection.cursor().copy(
        "COPY staging.rejected (batch_id, row_no, reason_code, field, reason_zh, reason_en, columns) FROM STDIN"
    ) as copy:
        for row in sorted(findings.reasons):
            columns = row_as_json(table, row, section, findings)
            for reason in findings.reasons[row]:
                assert reason.code in REASONS
                said = (reason.code, reason.field, plain(reason.zh), plain(reason.en))
                copy.write_row((result.batch_id, int(table.row_no[row]), *said, columns))
    closed = connection.execute(
        "UPDATE staging.batch SET rows_stored = %s, rows_unchanged = %s, rows_repaired = %s, rows_rejected = %s,"
        " finished_at = clock_timestamp() WHERE id = %s RETURNING file_sha256",
        (result.stored, result.unchanged, result.repaired, result.rejected, result.batch_id),
    ).fetchone()
    assert closed is not None
    counted = ("section", "file", "rows_in", "stored", "unchanged", "repaired", "rejected")
    detail = {name: getattr(result, name) for name in counted} | {"file_sha256": closed["file_sha256"]}
    record_batch(connection, "load", "staging.batch", result.batch_id, detail)
    _hint_at_the_frame(result)
    result.rejected_rows = [
        {
            "row_no": int(table.row_no[row]),
            "reasons": [
                {**reason._asdict(), "zh": plain(reason.zh), "en": plain(reason.en)}
                for reason in findings.reasons[row]
            ],
        }
        for row in sorted(findings.reasons)
    ]
    result.repaired_rows = [
        {"row_no": int(table.row_no[row]), **_repair_as_json(change)}
        for row in np.flatnonzero(mended & written)
        for change in findings.repairs[int(row)]
    ]
    return result


def _repair_as_json(change: Repair) -> dict[str, str]:
    if change.field == "geometry":
        return change._asdict()
    return change._replace(before=redact(change.before), after=redact(change.after))._asdict()


def _hint_at_the_frame(result: SectionResult) -> None:
    """When a great part of the rows is out of place, it is rarely the rows: says what to look at first."""
    placed = (
        "outside_district",
        "outside_zone",
        "outside_named_town",
        "coordinate_out_of_range",
        "coordinate_swapped",
    )
    misplaced = sum(result.reasons.get(code, 0) for code in placed)
    if result.rows_in and misplaced >= 0.2 * result.rows_in and misplaced > 1:
        result.notices.append(
            f"{misplaced / result.rows_in:.0%} 的行位置不对，先核对 frame（现为 {result.frame}）和坐标列 / {misplaced / result.rows_in:.0%} of the rows "
            f"are out of place: check `frame` (now {result.frame}) and the coordinate columns first, unless the file is of a wider area"
        )


def _derive_outlines(ground: Ground) -> list[str]:
    """Outlines of towns, then of the county, from what they consist of, where no file gave one; says how they compare.

    An outline that a file gave is kept, and compared with the union of its parts.
    """
    notices: list[str] = []
    for level, parts_level in (("town", "community"), ("county", "town")):
        parts: dict[str, list[shapely.Geometry]] = {}
        for unit in ground.units.values():
            if unit.level == parts_level and unit.geom is not None:
                parent = unit.code[:9] + "000" if level == "town" else unit.code[:6] + "000000"
                parts.setdefault(parent, []).append(unit.geom)
        for code, shapes in parts.items():
            parent_unit = ground.units.get(code)
            if parent_unit is not None and not parent_unit.is_generated:
                notices += _derive_outline(ground, code, parent_unit.name, level, shapely.union_all(shapes))
        ground.forget()
    return notices


def _derive_outline(ground: Ground, code: str, name: str, level: str, union: shapely.Geometry) -> list[str]:
    if union.geom_type == "Polygon":
        union = shapely.multipolygons([union])
    held = ground.connection.execute(
        "SELECT ST_AsBinary(geom) AS wkb, source_frame FROM territory.unit WHERE code = %s", (code,)
    ).fetchone()
    assert held is not None
    outline = None if held["wkb"] is None else shapely.from_wkb(bytes(held["wkb"]))
    if outline is not None and held["source_frame"] != "derived":
        if level != "county":
            return []
        both, either = shapely.intersection(outline, union).area, shapely.union(outline, union).area
        return [
            f"{name}的边界 {outline.area / 1e6:,.1f} km²，各镇合计 {union.area / 1e6:,.1f} km²，IoU {both / either:.3f} / its outline has "
            f"{outline.area / 1e6:,.1f} km², the union of its towns {union.area / 1e6:,.1f} km² "
            f"({shapely.difference(outline, union).area / 1e6:,.1f} km² of the outline is in no town)"
        ]
    if outline is None or outline.wkb != union.wkb:
        ground.connection.execute(
            "UPDATE territory.unit SET geom = ST_GeomFromWKB(%s, %s), source_frame = 'derived', version = version + 1 WHERE code = %s",
            (union.wkb, ground.srid, code),
        )
    if level != "county":
        return []
    return [
        f"{name}的边界由各镇合成，{union.area / 1e6:,.1f} km² / outline of {code} made as the union of its towns, {union.area / 1e6:,.1f} km²"
    ]


def _grid_notices(ground: Ground) -> list[str]:
    """Whether the stored cells are a valid grid of the district, and if not, what is wrong, in m²."""
    if not ground.cells or ground.district is None:
        return ["没有网格或没有边界可比 / the grid was not compared: no cell or no outline is stored"]
    declared = ground.connection.execute(
        "SELECT ST_AsBinary(geom) AS wkb FROM territory.no_cell_ground"
    ).fetchall()
    problems = coverage_problems(
        [code for code, _ in ground.cells],
        np.array([cell for _, cell in ground.cells], dtype=object),
        ground.district,
        [shapely.from_wkb(bytes(row["wkb"])) for row in declared],
    )
    if not problems:
        return [
            "网格有效：不重叠、无缝隙 / the grid is valid: every place in the district is in one cell, or declared"
        ]
    notices = []
    for name in dict.fromkeys(problem.name for problem in problems):
        same = [problem for problem in problems if problem.name == name]
        cells = list(dict.fromkeys(code for problem in same for code in problem.codes))
        of = f": {', '.join(cells[:4])}{' …' if len(cells) > 4 else ''}" if cells else ""
        area = sum(problem.area_m2 for problem in same)
        notices.append(
            f"{same[0].zh} {area:,.0f} m² / {same[0].en}, {len(same)} place(s), {area:,.0f} m²{of}"
        )
    return notices


def _keep_repairs(keep: Path, results: list[SectionResult]) -> None:
    """One JSON line for each change that made a row storable, before and after, in imports/batch-N-repaired.jsonl."""
    for result in results:
        if not result.repaired_rows:
            continue
        keep.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(row, ensure_ascii=False) for row in result.repaired_rows]
        path = keep / f"batch-{result.batch_id}-repaired.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        result.notices.append(f"修复前后见 / before and after of the repaired rows: {path}")
