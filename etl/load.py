"""A manifest into the database: one transaction, every row counted, what cannot be stored kept aside with its reasons."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from numpy.typing import NDArray

from etl.batch import batch, record_batch
from etl.city_store import open_store, store_city
from etl.columns import refuse_missing_columns, shown_names, unused_columns
from etl.doubles import propose_merges
from etl.frames import Frame
from etl.freed_memory import give_back_freed_memory
from etl.gone import Gone
from etl.ground import Ground
from etl.kept_aside import plain
from etl.keys_seen import KeysSeen
from etl.manifest import Manifest, Section
from etl.masked import refuse_masks
from etl.notes import Notes
from etl.outlines import derive_outlines, grid_notices
from etl.readers import Source, Table, join_tables, open_source
from etl.reasons import Findings
from etl.result import SectionResult
from etl.run import Origin, Run, running
from etl.section_frame import ChooseFrame, frame_of
from etl.sections import AFTER, PREPARE, RECEIVERS, TARGETS, Values
from etl.store import MATCH, Outcome, Receiver, take
from geoapp.access import sealing
from geoapp.access.redaction import redact
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.territory.simplified import renew_simplified

__all__ = ["LOAD_LOCK", "SectionResult", "load", "open_store"]

LOAD_LOCK = 748_116_312
"""Held by each import, and by each that is taken back: two at once would count each other's rows."""
CHUNK_ROWS = 65_536
Say = Callable[[str], None]
Connection = psycopg.Connection[dict[str, Any]]
Accept = Callable[[Connection, list[SectionResult]], None]
"""Asked before the end of the transaction, with its connection: what it writes is stored with the rows or not at all."""


def load(
    url: str,
    manifest: Manifest,
    *,
    folder: Path,
    dry_run: bool = False,
    into_sample: bool = False,
    say: Say = lambda text: None,
    origin: Origin = "command",
    started_by: str | None = None,
    feed_id: int | None = None,
    named: str = "manifest.yaml",
    moment: datetime | None = None,
    choose_frame: ChooseFrame | None = None,
    corrected: bool = False,
    accept: Accept | None = None,
) -> list[SectionResult]:
    """Loads all files of a manifest in one transaction; on any error nothing of it is stored.

    `url`: a database with the schema (see `open_store`). `folder`: what the manifest's paths are relative to. `say` is
    told what is being done. `moment`: what counts as now (default: the clock). `choose_frame`: asked where a file's
    frame is neither declared nor said by the file (default: refused). `corrected`: the files hold rows that an earlier
    import had kept aside; what they do not hold is not gone. `accept`: may still refuse all of it, by raising Refused. A
    run is in staging.load while it goes on and afterwards, a dry run is not. Raises Refused when a file, a column or a
    frame is missing, when the database holds another city, or when it is the sample city and `into_sample` is not given.
    """
    digest = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()
    following = (
        nullcontext(Run(None, None))
        if dry_run
        else running(
            url,
            manifest=named,
            manifest_sha256=digest,
            origin=origin,
            started_by=started_by,
            feed_id=feed_id,
        )
    )
    results: list[SectionResult] = []
    with following as run, connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOAD_LOCK,))
        with batch(connection, f"load:{manifest.city.code}"):
            job = _Job(
                connection, manifest, folder, run, say, moment or datetime.now(UTC), choose_frame, corrected
            )
            store_city(connection, manifest.city, into_sample=into_sample)
            job.load_all(results)
        if accept is not None:
            accept(connection, results)
        if dry_run:
            connection.rollback()
    if not dry_run and any(r.section in ("units", "grid") for r in results):
        _renew_outlines(url, say)
    return results


def _renew_outlines(url: str, say: Say) -> None:
    """The outlines of small scales follow the ground. A fault here undoes no load: maps then draw the full outlines."""
    say("小比例尺边界 / outlines for small scales …")
    try:
        with connect(url) as connection:
            renew_simplified(connection)
    except psycopg.Error as fault:
        say(
            f"小比例尺边界没有更新，稍后运行 geoapp layers refresh / not renewed, run geoapp layers refresh: {redact(str(fault))}"
        )


class _Job:
    """One manifest inside its transaction."""

    def __init__(
        self,
        connection: Connection,
        manifest: Manifest,
        folder: Path,
        run: Run,
        say: Say,
        moment: datetime,
        choose_frame: ChooseFrame | None,
        corrected: bool,
    ) -> None:
        self.connection, self.manifest, self.folder, self.run = connection, manifest, folder, run
        self.ground = Ground(connection, manifest.city)
        self.today = moment.astimezone(ZoneInfo(manifest.city.timezone)).date()
        self.choose_frame, self.corrected = choose_frame, corrected
        self._say = say

    def say(self, text: str, done: int = 0, total: int | None = None) -> None:
        self._say(text if not done else f"{text} {done:,}" + (f" / {total:,}" if total else ""))
        self.run.step(text, done, total)

    def load_all(self, results: list[SectionResult]) -> None:
        for section in self.manifest.in_order():
            try:
                results.append(self.load_section(section))
            except (psycopg.IntegrityError, psycopg.DataError) as fault:
                raise Refused(
                    f"{section.name}, {section.shown_file}: 数据库拒收 / the database refused it: "
                    f"{redact(str(fault).splitlines()[0])}\n  什么都没有导入 / nothing of this manifest was stored."
                ) from fault
            self.ground.forget()
        self.settle_ground(results)

    def settle_ground(self, results: list[SectionResult]) -> None:
        """What follows from units and cells that changed: outlines, and where the stored things stand."""
        if any(r.section in ("units", "grid") and r.new + r.changed for r in results):
            self.say("行政区边界 / outlines")
            results[0].notices += derive_outlines(self.ground)
            moved = self.connection.execute(read_sql("staging/place_again").encode()).fetchone()
            assert moved is not None
            if moved["sites"] or moved["cameras"]:
                results[0].notices.append(
                    f"因边界或网格改变，{moved['sites']} 个场所、{moved['cameras']} 个摄像头换了网格或镇 / cell or town put right for "
                    f"{moved['sites']} site(s) and {moved['cameras']} camera(s)"
                )
        grids = [r for r in results if r.section == "grid"]
        if grids:
            self.say("网格核对 / grid")
            grids[0].notices += grid_notices(self.ground)
        for result in results:
            _store_notices(self.connection, result)

    def load_section(self, section: Section) -> SectionResult:
        at = section.address(self.folder)
        with (
            ThreadPoolExecutor(1, thread_name_prefix="digest") as aside,
            open_source(
                at, layer=section.layer, encoding=section.encoding, geometry_column=section.geometry
            ) as source,
        ):
            digest = aside.submit(_digest, at)
            self.say(f"{section.name}: {source.name} …")
            refuse_missing_columns(section, source)
            chunks = _chunks(section, source)
            first = next(chunks)
            frame, frame_from, notices = frame_of(section, source, first, self.ground, self.choose_frame)
            batch_id = self.open_batch(section, source, frame)
            result = SectionResult(
                section.name,
                section.shown_file,
                batch_id,
                frame=frame.name if frame else None,
                frame_from=frame_from,
                unused_columns=unused_columns(section, source),
                notices=list(notices),
            )
            file = _File(self, section, source, frame, result)
            try:
                file.take_in(first, chunks)
            finally:
                file.wait()
            file.close(digest.result())
        return result

    def open_batch(self, section: Section, source: Source, frame: Frame | None) -> int:
        row = self.connection.execute(
            "INSERT INTO staging.batch (load_id, section, file, file_sha256, encoding, frame, columns_used, file_columns,"
            " is_correction) VALUES (%s, %s, %s, '', %s, %s, %s, %s, %s) RETURNING id",
            (
                self.run.load_id,
                section.name,
                section.shown_file,
                source.encoding,
                frame.name if frame else None,
                psycopg.types.json.Jsonb(section.named_columns()),
                psycopg.types.json.Jsonb([plain(name) for name in shown_names(source)]),
                self.corrected,
            ),
        ).fetchone()
        assert row is not None
        return int(row["id"])


def _digest(at: Path | str) -> str:
    """SHA-256 of the file; a table elsewhere has none."""
    if isinstance(at, str):
        return ""
    with at.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _chunks(section: Section, source: Source) -> Iterator[Table]:
    """The file's rows: in chunks, or at once where the rows of a section have to be compared with each other."""
    found = source.chunks(CHUNK_ROWS)
    yield join_tables(list(found)) if section.whole else next(found)
    yield from found


class _File:
    """One file on its way into its register."""

    def __init__(
        self, job: _Job, section: Section, source: Source, frame: Frame | None, result: SectionResult
    ) -> None:
        self.job, self.section, self.source, self.frame, self.result = job, section, source, frame, result
        self.connection, self.ground = job.connection, job.ground
        self.target = TARGETS[section.name]
        self.notes = Notes(self.connection, section, result.batch_id, self.ground.srid)
        asked = not job.corrected and not self.ground.is_empty(self.target.table)
        self.gone = Gone(self.connection, section, self.target, result, is_asked=asked)
        keys = (*self.target.alternative_keys, self.target.key)
        self.seen = {key: KeysSeen() for key in keys}
        self.secrets: list[dict[str, Any]] = []
        self.receiver: Receiver

    def take_in(self, first: Table, rest: Iterator[Table]) -> None:
        self.receiver = RECEIVERS[self.section.name](
            self.connection,
            self.target,
            srid=self.ground.srid,
            batch_id=self.result.batch_id,
            is_empty=self.ground.is_empty(self.target.table),
            many=len(first) >= CHUNK_ROWS,
        )
        self.ground.before_asking = self.receiver.wait
        self._take_in(first)
        for table in rest:
            self._take_in(table)

    def wait(self) -> None:
        """Returns when nothing is being written any more: also where the way into the register could not be opened."""
        if hasattr(self, "receiver"):
            self.receiver.wait()

    def _take_in(self, table: Table) -> None:
        section, result = self.section, self.result
        chosen = _selected(section, table)
        result.not_selected += len(table) - int(chosen.sum())
        if not chosen.all():
            table = table.select(chosen)
        result.rows_in += len(table)
        findings = Findings(len(table))
        for row, (code, found) in table.damaged.items():
            findings.reject_row(row, code, None, found=found)
        values = PREPARE[section.name](table, section, self.frame, self.ground, findings)
        if self.job.corrected:
            refuse_masks(table, section, findings)
        self._refuse_repeats(table, values, findings)
        self.receiver.wait()  # from here on the connection is needed
        self._refuse_rows_of_the_sample(values, findings)
        for notice in findings.notices:
            if notice not in result.notices:
                result.notices.append(notice)
        self.notes.write(table, findings, values.get("geom"))
        accepted = findings.accepted
        self.gone.note(values, table, accepted)
        for row, fields in findings.secrets.items():
            if accepted[row]:
                self.secrets.append({"key": values[self.target.key][row], "fields": fields})
        if accepted.any():
            kept = values if accepted.all() else take(values, accepted)
            if section.name in AFTER:
                AFTER[section.name](self.connection, kept, result.batch_id)
            self.receiver.add(kept, table.row_no[accepted])
        if len(table) >= CHUNK_ROWS:
            give_back_freed_memory()
        self.job.say(f"{section.name}: {self.source.name}", result.rows_in, self.source.rows)

    def _refuse_repeats(self, table: Table, values: Values, findings: Findings) -> None:
        """The second of two rows with one key is set aside; a row that is set aside itself does not count as the first."""
        keys = {name: _objects(values[name]) for name in self.seen if name in values}
        for name, column in keys.items():
            accepted = findings.accepted
            other = self.seen[name].earlier(_only(column, accepted), table.row_no)
            for row in np.flatnonzero(other >= 0):
                findings.reject_row(
                    int(row), "duplicate_in_file", name, key=column[row], other=int(other[row])
                )
        accepted = findings.accepted
        for name, column in keys.items():
            self.seen[name].add(_only(column, accepted), table.row_no)

    def _refuse_rows_of_the_sample(self, values: Values, findings: Findings) -> None:
        target = self.target
        if not target.has_generated or self.ground.is_empty(target.table):
            return
        by = MATCH if MATCH in values else target.key
        column = target.row_id if by == MATCH else target.key
        keys = _objects(values[by])
        held = self.connection.execute(
            f"SELECT {column} AS key FROM {target.table} WHERE is_generated AND {column} = ANY (%s)".encode(),
            ([key for key in keys if key is not None],),
        ).fetchall()
        if held:
            taken = {row["key"] for row in held}
            mask = np.fromiter((key in taken for key in keys), dtype=bool, count=len(keys))
            shown = _objects(values[target.key])
            findings.reject(mask & findings.accepted, "held_by_sample", target.key, key=shown)

    def close(self, digest: str) -> None:
        """After the last row: the register is written, and the batch closed with what became of the rows."""
        result, section = self.result, self.section
        outcome = self.receiver.finish(self.job.say)
        self.ground.before_asking = lambda: None
        result.encoding, result.evidence = self.source.encoding, self.source.evidence
        result.notices = [*self.source.notices, *result.notices]
        _refuse_if_none_selected(section, self.source, result)
        self._count(outcome)
        self.gone.settle(self.job.today)
        self._seal_credentials()
        if section.name == "sites":
            self.job.say("可能重复的场所 / probable doubles")
            result.notices += propose_merges(self.connection, result.batch_id)
        _hint_at_the_frame(result)
        self._close_batch(digest)

    def _count(self, outcome: Outcome) -> None:
        result, notes = self.result, self.notes
        result.repaired, result.repaired_rows = notes.repaired(outcome.unchanged_rows)
        result.new, result.changed, result.moved = outcome.new, outcome.changed, outcome.moved
        result.unchanged = outcome.unchanged
        result.stored = outcome.new + outcome.changed - result.repaired
        result.rejected, result.warned = notes.rejected, notes.warned
        result.reasons = dict(notes.reasons.most_common())
        result.warnings = dict(notes.warnings.most_common())
        result.rejected_rows = notes.rejected_rows
        result.difference = {kind: rows for kind, rows in outcome.examples.items() if rows}

    def _seal_credentials(self) -> None:
        """Seals the credentials of the rows that are stored. A blank takes no stored one away."""
        if not self.secrets:
            return
        given = {row["key"]: row["fields"] for row in self.secrets}
        changed = sealing.put_secrets(self.connection, "camera", given, f"load, batch {self.result.batch_id}")
        self.result.notices.append(
            f"{len(given)} 个摄像头的账号口令已加密保存（{len(changed)} 个是新的或有变化） / credentials of {len(given)} camera(s) sealed, "
            f"{len(changed)} of them new or changed; `geoapp secret list` shows which"
        )

    def _close_batch(self, digest: str) -> None:
        result = self.result
        self.connection.execute(
            "UPDATE staging.batch SET rows_in = %(rows_in)s, rows_stored = %(stored)s, rows_unchanged = %(unchanged)s,"
            " rows_repaired = %(repaired)s, rows_rejected = %(rejected)s, rows_warned = %(warned)s, rows_new = %(new)s,"
            " rows_changed = %(changed)s, rows_gone = %(gone)s, rows_moved = %(moved)s, encoding = %(encoding)s,"
            " encoding_evidence = %(evidence)s, frame_from = %(frame_from)s,"
            " file_sha256 = %(digest)s, finished_at = clock_timestamp() WHERE id = %(batch_id)s",
            vars(result) | {"digest": digest, "evidence": plain(result.evidence)},
        )
        counted = ("section", "file", "rows_in", "stored", "unchanged", "repaired", "rejected")
        detail = {name: getattr(result, name) for name in counted} | {"file_sha256": digest}
        record_batch(self.connection, "load", "staging.batch", result.batch_id, detail)


def _store_notices(connection: Connection, result: SectionResult) -> None:
    connection.execute(
        "UPDATE staging.batch SET notices = %s WHERE id = %s",
        (psycopg.types.json.Jsonb([redact(notice) for notice in result.notices]), result.batch_id),
    )


def _objects(column: Any) -> NDArray[np.object_]:
    """A column of values as a numpy array of objects."""
    if isinstance(column, np.ndarray):
        return column
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def _only(column: NDArray[np.object_], rows: NDArray[np.bool_]) -> NDArray[np.object_]:
    """The column with None outside the mask."""
    out = column.copy()
    out[~rows] = None
    return out


def _selected(section: Section, table: Table) -> NDArray[np.bool_]:
    mask = np.ones(len(table), dtype=bool)
    for column, wanted in section.where.items():
        values = {wanted} if isinstance(wanted, str) else set(wanted)
        mask &= np.fromiter((v in values for v in table.columns[column]), dtype=bool, count=len(table))
    return mask


def _refuse_if_none_selected(section: Section, source: Source, result: SectionResult) -> None:
    if section.where and not result.rows_in:
        raise Refused(
            f"{source.name}: `where` 没有选中任何一行 / `where` of {section.name} selects none of {result.not_selected} rows; "
            "check its values (as text)."
        )


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
