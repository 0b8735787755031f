"""The SQL of one tile, composed from a layer's declaration: for layers that have no function of their own in sql/tiles."""

from psycopg import sql

from layers.declaration import Classing, Ground, Layer
from layers.rows_query import NOW, Span, all_of, column_of, conditions, source_of

# Below this zoom a tile is wider than the city's zone is true for: no envelope is carried over into it.
ZONE_FROM_ZOOM = 6
# Width of the world in EPSG:3857, metres.
WORLD_M = 40_075_016.685578488


def tile_query(layer: Layer, z: int, x: int, y: int, srid: int, span: Span = NOW) -> sql.Composed:
    """`SELECT … AS tile`: the layer's rows in the tile as MVT (extent 4096, layer name = its id, feature id = its key).

    The box that is searched is the tile's with a margin of 64/4096, on the indexed column as it is stored: the box is carried
    into its frame, never the column into the box's. Points below `grouped_below` are one a 32nd of a tile, with their number `n`
    and, of each classing, the worst class.
    """
    query = sql.SQL(
        # Both made first: else a geometry would be carried over, and drawn, once for the answer and once for what is asked of it.
        "WITH near AS MATERIALIZED ({near}), feature AS MATERIALIZED ({feature})"
        " SELECT ST_AsMVT(f, {name}, 4096, 'geom', 'id') AS tile FROM feature AS f WHERE NOT ST_IsEmpty(f.geom)"
    )
    grouped = z < layer.grouped_below
    return query.format(
        near=_near(layer, z, x, y, srid, span),
        feature=_grouped(layer, z, x, y) if grouped else _single(layer, z, x, y),
        name=sql.Literal(layer.id),
    )


def _address(z: int, x: int, y: int) -> sql.Composed:
    return sql.SQL(", ").join(sql.Literal(n) for n in (z, x, y))


def _tile_fields(layer: Layer, z: int) -> list[str]:
    late = {one.field for one in layer.classings if z < one.from_zoom}
    return [name for name in layer.fields if name not in late | {"n", layer.key}]


def _near(layer: Layer, z: int, x: int, y: int, srid: int, span: Span) -> sql.Composed:
    """The rows in the tile's box: id, fields, and `at`, their geometry in EPSG:3857."""
    box = sql.SQL("tiles.search_box({})").format(_address(z, x, y))
    found = conditions(layer, span)
    source = source_of(layer, span, near=box if z >= ZONE_FROM_ZOOM else None)
    if layer.ground is None:
        at, inside = _searched("s", layer, z, box, srid)
    elif layer.ground.table == "territory.grid_cell":
        # Cells come simplified from far away, their common borders in one piece.
        source += _joined(sql.SQL("tiles.cell_ground({})").format(_address(z, x, y)), layer.ground)
        at, inside = sql.SQL("g.geom_3857"), []
    else:
        source += _joined(sql.Identifier(*layer.ground.table.split(".")), layer.ground)
        at, inside = _searched("g", layer, z, box, srid)
    found += inside
    columns = [
        sql.SQL("{} AS {}").format(column_of(layer, name, span), sql.Identifier(name))
        for name in _tile_fields(layer, z)
    ]
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(
            [
                sql.SQL("{} AS id").format(sql.Identifier("s", layer.key)),
                *columns,
                sql.SQL("{} AS at").format(at),
            ]
        ),
        source,
        all_of(found),
    )


def _joined(table: sql.Composable, ground: Ground) -> sql.Composed:
    return sql.SQL(" JOIN {} AS g ON g.{} = s.{}").format(
        table, sql.Identifier(ground.key), sql.Identifier(ground.column)
    )


def _searched(
    alias: str, layer: Layer, z: int, box: sql.Composable, srid: int
) -> tuple[sql.Composable, list[sql.Composable]]:
    """The geometry in EPSG:3857 and the condition that its stored form meets the box."""
    metric, mercator = layer.shape
    if mercator:
        stored: sql.Composable = sql.Identifier(alias, mercator)
        return stored, [sql.SQL("{} && {}").format(stored, box)]
    stored = sql.Identifier(alias, metric)
    at = sql.SQL("ST_Transform({}, 3857)").format(stored)
    if z < ZONE_FROM_ZOOM:
        return at, [sql.SQL("{} IS NOT NULL").format(stored)]
    # Sides bend between the frames: short ones bend little.
    side = sql.SQL("ST_Transform(ST_Segmentize({}, {}), {})").format(
        box, sql.Literal(WORLD_M / 2**z / 16), sql.Literal(srid)
    )
    return at, [sql.SQL("{} && {}").format(stored, side)]


def _single(layer: Layer, z: int, x: int, y: int) -> sql.Composed:
    names: list[sql.Composable] = [sql.Identifier("n", name) for name in ["id", *_tile_fields(layer, z)]]
    if "n" in layer.fields:
        names.append(sql.SQL("1 AS n"))
    return sql.SQL("SELECT {}, {} FROM near AS n ORDER BY n.id").format(
        sql.SQL(", ").join(names), _drawn(sql.SQL("n.at"), z, x, y)
    )


def _grouped(layer: Layer, z: int, x: int, y: int) -> sql.Composed:
    """Points as groups; what has an extent stays single, as far as it is larger than a pixel of a 512-pixel tile."""
    fields = _tile_fields(layer, z)
    worst = {one.field: _worst(one) for one in layer.classings if z >= one.from_zoom}
    group = [
        sql.SQL("{} AS {}").format(worst.get(name, sql.SQL("NULL")), sql.Identifier(name)) for name in fields
    ]
    # Far out a shape carries its class alone; what else it says is asked for by its id.
    own = [sql.Identifier("n", name) if name in worst else sql.SQL("NULL") for name in fields]
    step = WORLD_M / 2**z / 32
    pixel = WORLD_M / 2**z / 512
    return sql.SQL(
        "SELECT min(n.id) AS id, {group}, count(*)::integer AS n, {bucket} FROM near AS n"
        " WHERE ST_Dimension(n.at) = 0 AND n.at && ST_TileEnvelope({address}) GROUP BY ST_SnapToGrid(n.at, {step})"
        " UNION ALL SELECT n.id, {own}, 1, {shape} FROM near AS n WHERE ST_Dimension(n.at) > 0 AND ST_Area(n.at) > {pixel}"
    ).format(
        group=sql.SQL(", ").join(group),
        own=sql.SQL(", ").join(own),
        bucket=sql.SQL(
            "ST_AsMVTGeom(ST_Centroid(ST_Collect(n.at)), ST_TileEnvelope({}), 4096, 0, true) AS geom"
        ).format(_address(z, x, y)),
        shape=_drawn(sql.SQL("n.at"), z, x, y),
        address=_address(z, x, y),
        step=sql.Literal(step),
        pixel=sql.Literal(pixel**2),
    )


def _worst(one: Classing) -> sql.Composed:
    """The first class, in the order of the legend, that a group has."""
    ids = sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(sql.Literal(known.id) for known in one.classes))
    value = sql.SQL("n.{}::text").format(sql.Identifier(one.field))
    if one.empty:
        value = sql.SQL("coalesce({}, {})").format(value, sql.Literal(one.empty))
    return sql.SQL("({})[min(array_position({}, {}))]").format(ids, ids, value)


def _drawn(geometry: sql.Composable, z: int, x: int, y: int) -> sql.Composed:
    return sql.SQL("tiles.drawn({}, {}) AS geom").format(geometry, _address(z, x, y))
