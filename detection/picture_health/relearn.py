"""What is usual for a camera is no longer so after it was turned, cleaned or replaced: it is learned anew."""

from __future__ import annotations

from collections.abc import Sequence

from detection.lease import statement
from geoapp.database.connection import connect
from geoapp.errors import Refused


def forget_usual(url: str, gb_ids: Sequence[str]) -> list[str]:
    """Forgets what is usual for these cameras; the gb_ids of those of which something was known.

    Until enough looks have shown the new picture (GateConfig.learn_looks) only what needs no history is judged. Raises
    Refused, and changes nothing, where a gb_id is not in the register.
    """
    with connect(url) as connection, connection.transaction():
        rows = connection.execute(statement("forgotten_pictures"), {"gb_ids": list(gb_ids)}).fetchall()
        missing = sorted(set(gb_ids) - {row["gb_id"] for row in rows})
        if missing:
            raise Refused(f"没有这些摄像机 / no such camera: {', '.join(missing)}")
    return [row["gb_id"] for row in rows if row["was_known"]]
