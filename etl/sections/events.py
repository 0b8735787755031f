"""Events: dated points that another system recorded, up to millions of them."""

import numpy as np

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Events
from etl.sections.named_town import within_named_town
from etl.sections.own_keys import file_keys
from etl.sections.values import Values, constant
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "watch.reported_event",
    "local_id",
    fills=True,
    said_of_place=("source_frame",),
    types={
        "local_id": "text",
        "kind": "text",
        "title": "text",
        "happened_at": "timestamptz",
        "severity": "text",
        "source": "text",
        "geom": "geometry",
        "town_code": "text",
        "cell_code": "text",
        "source_frame": "text",
    },
    name="title",
)


def prepare(table: Table, section: Events, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of watch.reported_event; points in metres of the zone.

    An event without an id of its own is known by when, where and what it was, as the file writes them.
    """
    columns = section.columns
    assert frame is not None
    places, x, y = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    kind = checks.texts(table, columns.kind, default=section.kind)
    when = checks.required(checks.texts(table, columns.happened_at), findings, columns.happened_at)
    title = checks.texts(table, columns.title, default="")
    known = np.isfinite(x) & np.isfinite(y)
    # Degrees or metres to seven decimals: the same whether a file writes 121.30 or 121.3.
    where = [np.where(known, np.round(np.nan_to_num(v) * 1e7), 0).astype(np.int64) for v in (x, y)]
    values: Values = {
        "local_id": file_keys(table, columns.id, "event", [when, *where, kind, title], ground, findings),
        "kind": checks.allowed(
            checks.required(kind, findings, columns.kind or "kind"),
            findings,
            columns.kind or "kind",
            words.EVENT_KINDS,
        ),
        "happened_at": checks.times(when, findings, columns.happened_at, ground.city.timezone),
        "geom": places,
        "town_code": within_named_town(
            table, columns.town_code, columns.town, places, ground, findings, section
        ),
        "cell_code": ground.cells_at(places),
        "source_frame": constant(table, frame.name),
    }
    if columns.title:
        values["title"] = title
    if columns.source or section.source:
        values["source"] = checks.texts(table, columns.source, default=section.source)
    if columns.severity:
        text = checks.texts(table, columns.severity)
        values["severity"] = checks.allowed(text, findings, columns.severity, words.EVENT_SEVERITIES)
    return values
