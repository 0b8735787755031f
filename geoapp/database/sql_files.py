"""SQL files: read from sql/, with the city's zone filled in."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from geoapp.errors import Refused
from geoapp.settings import SQL_ROOT

ACCESS_DEFINITIONS = ("policies", "grants", "lockdown")


def read_sql(name: str, *, srid: int | None = None) -> str:
    """Text of `sql/<name>.sql`; `:srid` becomes the city's metric zone (EPSG code) where `srid` is given."""
    text = (SQL_ROOT / f"{name}.sql").read_text(encoding="utf-8")
    return text if srid is None else text.replace(":srid", str(int(srid)))


def needs(path: Path) -> list[str]:
    """Names in the first line `-- needs: a, b` of a definition file: files that must run before it."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    if not first.startswith("-- needs:"):
        return []
    return [name.strip() for name in first.removeprefix("-- needs:").split(",") if name.strip()]


def definition_files() -> list[Path]:
    """Files of sql/analysis and sql/tiles in an order in which each runs after those that it needs; then those of
    sql/access that say who may do what on which rows.

    Raises Refused when two files need each other or a needed file is missing.
    """
    files = {f"{p.parent.name}/{p.stem}": p for p in sorted(SQL_ROOT.glob("analysis/*.sql"))}
    files |= {f"{p.parent.name}/{p.stem}": p for p in sorted(SQL_ROOT.glob("tiles/*.sql"))}
    graph: dict[str, list[str]] = {}
    for key, path in files.items():
        wanted = [n if "/" in n else f"{path.parent.name}/{n}" for n in needs(path)]
        missing = [n for n in wanted if n not in files]
        if missing:
            raise Refused(f"sql/{key}.sql needs {', '.join(missing)}, which is not in sql/.")
        graph[key] = wanted
    try:
        ordered = [files[key] for key in TopologicalSorter(graph).static_order()]
    except CycleError as fault:
        raise Refused(f"sql/: definitions need each other in a circle: {fault.args[1]}") from fault
    return [*ordered, *(SQL_ROOT / "access" / f"{name}.sql" for name in ACCESS_DEFINITIONS)]
