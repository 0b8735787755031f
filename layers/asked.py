"""What an address asks for, read and checked: a moment, a window, a box, values of fields. Bad ones get one clear sentence."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from geoapp.errors import Refused
from layers.declaration import Layer
from layers.past_events import past_rows
from layers.rows_query import Span

Connection = psycopg.Connection[dict[str, Any]]
Box = tuple[float, float, float, float]
# A clock may be a little ahead of the database's.
CLOCK_SLACK = timedelta(minutes=1)
# Without a window, that of the last days, by whole hours so that one copy serves many.
WINDOW = timedelta(days=30)
LONGEST_WINDOW = timedelta(days=366)
VALUES_MAX = 50
TEXT_MAX = 200


class WrongValue(Refused):
    """A value that cannot be used; the web answers 422."""


def aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def span_of(
    connection: Connection,
    layer: Layer,
    as_of: datetime | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Span:
    """The moment or window that is asked of a layer.

    Raises WrongValue for a moment or window that has not come, of which nothing is known, that is upside down or longer than
    366 days, or that the layer does not have.
    """
    as_of, since, until = aware(as_of), aware(since), aware(until)
    if as_of is not None:
        if not layer.past:
            raise WrongValue(
                f"图层 {layer.id} 只有现状 / layer {layer.id!r} shows the present only: leave as_of out."
            )
        check_moment(connection, as_of)
        if layer.known_by:
            _check_known(connection, layer.known_by, as_of)
    if (since or until) and not layer.since_field:
        raise WrongValue(
            f"图层 {layer.id} 没有时段 / layer {layer.id!r} has no window: leave from and to out."
        )
    if layer.since_field:
        return _window(since, until)
    if as_of is not None and layer.past_worked_out:
        try:
            return Span(moment=as_of, rows=past_rows(connection, as_of))
        except Refused as why:
            raise WrongValue(str(why)) from None
    return Span(moment=as_of)


def check_moment(connection: Connection, moment: datetime) -> None:
    """Raises WrongValue for a moment that has not come yet, and for one before anything that the register knows of."""
    row = connection.execute("SELECT now() AS now, analysis.known_from() AS known_from").fetchone()
    assert row is not None
    if moment > row["now"] + CLOCK_SLACK:
        raise WrongValue(
            f"{moment.isoformat()} 还没有到 / {moment.isoformat()} has not come yet: nothing is known of it."
        )
    known_from: datetime | None = row["known_from"]
    if known_from is None or moment < known_from:
        first = "" if known_from is None else f"最早的记录 / first record: {known_from.isoformat()}."
        raise WrongValue(
            f"对 {moment.isoformat()} 一无所知 / nothing is known of {moment.isoformat()}. {first}".rstrip()
        )


def _check_known(connection: Connection, lens: str, moment: datetime) -> None:
    """Raises WrongValue for a moment before the first record behind a lens: what would be shown looks like an answer."""
    row = connection.execute(
        "SELECT k.known_since FROM analysis.known_since AS k WHERE k.lens = %s", (lens,)
    ).fetchone()
    first: datetime | None = row["known_since"] if row else None
    if first is None or moment < first:
        zh, en = ("尚无记录", "there is no record") if first is None else (
            f"最早的记录为 {first.isoformat()}", f"the first record is of {first.isoformat()}",
        )  # fmt: skip
        raise WrongValue(
            f"对 {moment.isoformat()} 不可知，{zh} / nothing is known of {moment.isoformat()}: {en}."
        )


def _window(since: datetime | None, until: datetime | None) -> Span:
    now = datetime.now(UTC)
    if since is not None and since > now + CLOCK_SLACK:
        raise WrongValue(
            f"时段还没有开始 / the window from {since.isoformat()} has not begun: nothing is known of it."
        )
    if since is None:
        hour = now.replace(minute=0, second=0, microsecond=0)
        try:
            since = (until or hour) - WINDOW
        except OverflowError:
            raise WrongValue("时段不能用 / this window cannot be used.") from None
    if until is not None and until <= since:
        raise WrongValue(
            f"时段颠倒 / the window is upside down: from {since.isoformat()} to {until.isoformat()}."
        )
    if (until or now) - since > LONGEST_WINDOW:
        raise WrongValue("时段过长，最多 366 天 / the window is too long: 366 days at most.")
    return Span(since=since, until=until)


def box_of(text: str) -> Box | None:
    """West, south, east, north in degrees (EPSG:4326) from `w,s,e,n`; None for "". Raises WrongValue for what is no box."""
    if not text:
        return None
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) != 4 or not all(math.isfinite(side) for side in sides):
        raise WrongValue(
            "bbox 应为四个数：西,南,东,北 / bbox must be four numbers: west,south,east,north, degrees."
        )
    west, south, east, north = sides
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
        raise WrongValue("bbox 超出经纬度范围 / bbox is outside of longitude ±180 and latitude ±90.")
    if west >= east or south >= north:
        raise WrongValue(
            "bbox 颠倒：西应小于东，南应小于北 / bbox is inside out: west < east and south < north."
        )
    return west, south, east, north


def filters_of(
    layer: Layer, types: Mapping[str, str], asked: Sequence[tuple[str, str]]
) -> list[tuple[str, list[Any]]]:
    """Values by field from `field=value` pairs, a field given twice takes either. types: the fields' types in the database.

    Raises WrongValue for a field that the layer does not declare, and for a value that is none of its type.
    """
    found: dict[str, list[Any]] = {}
    for name, text in asked:
        if name not in types:
            raise WrongValue(
                f"没有字段 {name[:40]!r} / no field {name[:40]!r}. 可用 / known: {', '.join(types)}."
            )
        found.setdefault(name, []).append(value_of(name, types[name], text))
    if sum(len(values) for values in found.values()) > VALUES_MAX:
        raise WrongValue(f"过滤值过多 / too many values: {VALUES_MAX} at most.")
    return list(found.items())


def value_of(name: str, type_: str, text: str) -> Any:
    """A text as a value of a type of the database. Raises WrongValue where it is none."""
    try:
        if len(text) > TEXT_MAX or "\0" in text:
            raise ValueError
        if type_ in ("bigint", "integer", "smallint"):
            number = int(text)
            if not -(2**63) <= number < 2**63:
                raise ValueError
            return number
        if type_ in ("double precision", "real", "numeric"):
            real = float(text)
            if not math.isfinite(real):
                raise ValueError
            return real
        if type_ == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if type_.startswith("timestamp"):
            moment = aware(datetime.fromisoformat(text))
            assert moment is not None
            return moment
        if type_ == "date":
            return date.fromisoformat(text)
        if type_ in ("text", "uuid"):
            return str(UUID(text)) if type_ == "uuid" else text
    except (ValueError, KeyError):
        raise WrongValue(f"{name} 的值不合类型 {type_} / this value of {name} is no {type_}.") from None
    raise WrongValue(f"不能按 {name} 过滤 / {name} ({type_}) cannot be asked for.")
