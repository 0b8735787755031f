"""One turn of a feed: look at the source, load what has changed, write down what became of it."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psycopg
import structlog
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from etl.feeds.doubts import doubts
from etl.feeds.download import Limits
from etl.feeds.folder import QUIET_S, look_at_folder
from etl.feeds.lease import LEASE_S, Claim, Clock, Connection, LeaseLost, keeping_lease, refuse_if_lost
from etl.feeds.look import Look, Waiting
from etl.feeds.register import SECRET_FIELD, SECRET_KIND, is_database, with_addresses
from etl.feeds.schedule import next_due, parse_every, retry_due
from etl.feeds.web import look_at_address
from etl.load import load
from etl.manifest import Manifest
from etl.result import SectionResult
from geoapp.access import sealing
from geoapp.access.redaction import redact
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.settings import settings

__all__ = ["Means", "Suspicious", "Turn", "take_turn", "tried"]

Outcome = Literal["loaded", "unchanged", "waiting", "suspicious", "failed", "lost"]
log = structlog.get_logger("feeds")


class Suspicious(Refused):
    """The content looks like rubbish beside what was loaded before; a person may accept it."""


class Means(NamedTuple):
    """What a turn works with: the folder for downloads, limits of the network, how long a file must be quiet."""

    home: Path
    limits: Limits
    ca_file: Path | None = None
    quiet_s: float = QUIET_S
    lease_s: float = LEASE_S

    @classmethod
    def of_installation(cls) -> "Means":
        """As the settings say."""
        found = settings()
        limits = Limits(most_bytes=found.feed_most_mb * 1_000_000)
        return cls(found.home_path / "feeds", limits, found.feed_ca_file)


class Turn(NamedTuple):
    """What became of one turn. `lost`: another process has the feed now, and nothing was written here."""

    name: str
    outcome: Outcome
    message: str


def take_turn(
    url: str,
    claim: Claim,
    *,
    clock: Clock,
    means: Means,
    accept: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Turn:
    """One turn of a feed that is held. `accept`: loads also what is unchanged or suspicious.

    Whatever goes wrong with the source or its rows is the turn's outcome, stored with the feed; what was loaded before
    stays as it is. Raises psycopg.OperationalError where the database is away: the lease runs out, and the feed is
    still due.
    """
    try:
        with (
            keeping_lease(url, claim, clock=clock, lease_s=means.lease_s),
            _work_folder(means.home, claim) as work,
        ):
            return _loaded(url, claim, work, clock=clock, means=means, accept=accept, say=say)
    except LeaseLost as lost:
        return Turn(claim.name, "lost", str(lost))
    except (Refused, psycopg.OperationalError) as fault:
        outcome, message = _named(fault)
    except Exception as fault:
        # A fault of ours, or of a file that no reader was made for: the feed goes on, and says so.
        log.exception("feed_fault", feed=claim.name)
        outcome = "failed"
        message = f"程序出错，见日志 / a fault of the program, see its log: {type(fault).__name__}"
    return _not_done(url, claim, outcome, message, clock)


def _named(fault: Refused | psycopg.OperationalError) -> tuple[Outcome, str]:
    if isinstance(fault, psycopg.OperationalError):
        first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
        return "failed", f"数据库出错 / the database failed: {first}"
    if isinstance(fault, Waiting):
        return "waiting", str(fault)
    return "suspicious" if isinstance(fault, Suspicious) else "failed", str(fault)


def tried(
    url: str, claim: Claim, *, clock: Clock, means: Means, say: Callable[[str], None] = lambda text: None
) -> tuple[list[SectionResult], list[str]]:
    """What a turn would do now, and what is suspicious of it; nothing is stored. Raises Refused as the turn would fail."""
    found: list[str] = []

    def note_doubts(connection: Connection, results: list[SectionResult]) -> None:
        found.extend(doubts(connection, manifest, results, claim.most_rejected))

    with _work_folder(means.home, claim, name="try") as work:
        at, manifest, address = clock(), *_whole(url, claim)
        look = _look(claim, manifest, address, {}, at, work, means)
        results = load(
            url,
            manifest,
            folder=look.folder,
            dry_run=True,
            into_sample=claim.into_sample,
            say=say,
            named=claim.manifest_name,
            moment=at,
            accept=note_doubts,
        )
    return results, found


def _loaded(
    url: str,
    claim: Claim,
    work: Path,
    *,
    clock: Clock,
    means: Means,
    accept: bool,
    say: Callable[[str], None],
) -> Turn:
    looked_at = clock()
    manifest, address = _whole(url, claim)
    say(claim.source)
    look = _look(claim, manifest, address, {} if accept else claim.fingerprint, looked_at, work, means)
    done = {
        "id": claim.id,
        "token": claim.token,
        "looked_at": looked_at,
        "next_due_at": next_due(parse_every(claim.every), claim.at, claim.timezone),
        "fingerprint": Jsonb(look.fingerprint),
    }
    if not look.is_changed:
        with connect(url) as connection:
            refuse_if_lost(connection, claim)
            _write(
                connection,
                "feed_done",
                done,
                outcome="unchanged",
                message=look.said,
                is_change=False,
                load_id=None,
            )
        return Turn(claim.name, "unchanged", look.said)
    turn = Turn(claim.name, "failed", "")

    def settle(connection: Connection, results: list[SectionResult]) -> None:
        """In the transaction of the load: all that the feed remembers of it is stored with the rows, or not at all."""
        nonlocal turn
        if not look.is_still():
            raise Waiting(
                f"{claim.source}: 导入时文件又变了 / a file changed while it was loaded; it is taken when it is complete."
            )
        if not accept and (found := doubts(connection, manifest, results, claim.most_rejected)):
            raise Suspicious(_refusal(claim, found))
        refuse_if_lost(connection, claim)
        turn = _turn_of(claim, manifest, results)
        load_id = connection.execute(
            "SELECT load_id AS id FROM staging.batch WHERE id = %s", (results[0].batch_id,)
        ).fetchone()
        _write(
            connection,
            "feed_done",
            done,
            outcome=turn.outcome,
            message=turn.message,
            is_change=turn.outcome == "loaded",
            load_id=load_id["id"] if load_id else None,
        )

    load(
        url,
        manifest,
        folder=look.folder,
        into_sample=claim.into_sample,
        say=say,
        origin="feed",
        started_by=f"feed {claim.name}",
        feed_id=claim.id,
        named=claim.manifest_name,
        moment=looked_at,
        accept=settle,
    )
    return turn


def _look(
    claim: Claim,
    manifest: Manifest,
    address: str,
    before: dict[str, Any],
    at: datetime,
    work: Path,
    means: Means,
) -> Look:
    named = dict.fromkeys(section.file for section in manifest.in_order())
    files = [file for file in named if not is_database(file)]
    if claim.kind == "http":
        return look_at_address(
            address, files, before, shown=claim.source, work=work, limits=means.limits, ca_file=means.ca_file
        )
    if not files:
        return Look(True, work, {})
    # A table elsewhere does not say whether it has changed: it is read, and the load tells.
    return look_at_folder(
        Path(address), files, before if len(files) == len(named) else {}, moment=at, quiet_s=means.quiet_s
    )


def _whole(url: str, claim: Claim) -> tuple[Manifest, str]:
    """The manifest and the source with their secrets; these stay in memory."""
    try:
        manifest = Manifest.model_validate(claim.manifest)
    except ValidationError as fault:  # stored by another version of the program
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors()[:3])
        raise Refused(
            f"{claim.name}: 保存的清单与程序版本不符 / the stored manifest does not fit this version of the program ({wrong}): "
            "remove the feed and add it again."
        ) from None
    if not claim.has_secret:
        return manifest, claim.source
    with connect(url) as connection:
        secret = sealing.secret_of(connection, SECRET_KIND, claim.name, SECRET_FIELD)
    if secret is None:
        raise Refused(
            f"{claim.name}: 加密的地址不在了 / its sealed address is gone (geoapp secret list): remove the feed and add it again."
        )
    held = json.loads(secret.get_secret_value())
    return with_addresses(manifest, held["files"]), held["source"] or claim.source


def _turn_of(claim: Claim, manifest: Manifest, results: list[SectionResult]) -> Turn:
    changes = sum(r.new + r.changed for r in results)
    # Rows that a file lacks only once change nothing: the manifest keeps them, or they were ended before.
    changes += sum(r.gone for r in results if _ends_rows(manifest, r.section))
    said = "; ".join(
        f"{r.section} {r.rows_in:,}: 新 new {r.new:,}, 改 changed {r.changed:,}, 没有了 gone {r.gone:,}, 留置 aside {r.rejected:,}"
        for r in results
    )
    return Turn(claim.name, "loaded" if changes else "unchanged", said)


def _ends_rows(manifest: Manifest, section: str) -> bool:
    return any(s.name == section and s.gone == "retire" for s in manifest.in_order())


def _refusal(claim: Claim, found: list[str]) -> str:
    return (
        "内容可疑，没有导入，保留原有数据 / suspicious, not loaded, what is stored stays: "
        + "; ".join(found)
        + f". 核对后接受 / If it is right: geoapp feed run {claim.name} --accept"
    )


def _not_done(url: str, claim: Claim, outcome: Outcome, message: str, clock: Clock) -> Turn:
    message, now, is_failure = redact(message), clock(), outcome != "waiting"
    every = parse_every(claim.every)
    with connect(url) as connection:
        _write(
            connection,
            "feed_not_done",
            {"id": claim.id, "token": claim.token, "at": claim.at},
            outcome=outcome,
            message=message,
            is_failure=is_failure,
            next_due_at=retry_due(every, now, claim.timezone, claim.failures + 1 if is_failure else 1),
        )
    return Turn(claim.name, outcome, message)


def _write(connection: Connection, name: str, given: dict[str, Any], **more: Any) -> None:
    connection.execute(read_sql(f"staging/{name}").encode(), given | more)


@contextmanager
def _work_folder(home: Path, claim: Claim, name: str | None = None) -> Iterator[Path]:
    """A folder for this turn's downloads; what an earlier turn of the feed left behind (a kill) goes."""
    own = home / claim.name / (name or f"turn-{claim.token}")
    try:
        for left in (home / claim.name).glob("turn-*") if name is None else ():
            shutil.rmtree(left, ignore_errors=True)
        own.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise Refused(f"{own}: 建不了文件夹 / the folder cannot be made: {fault.strerror}.") from None
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
