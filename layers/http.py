"""The layers over HTTP: a FastAPI router over a pool of connections, under the caller's database role.

No caller, no row: 401. No database answer, no picture: 503.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from geoapp.access.caller import Caller, Pool, acting, as_web, current_caller
from geoapp.errors import Refused
from layers import answers
from layers.asked import aware, check_moment, span_of
from layers.catalogue_routes import add_catalogue
from layers.event_heat import add_event_heat
from layers.export_route import add_export
from layers.honest_route import honest_route
from layers.one_tile import OneTile, held_answer, made_answer
from layers.recent_answers import RecentAnswers, knows, packed, serialised
from layers.registry import Layer, layer, layers_for, lens
from layers.tiles import REVALIDATE, TileCopies, layer_version, make_tile, scope_of, tile_address


def router(pool: Pool, copies: TileCopies | None = None) -> APIRouter:
    """Routes of tiles, lenses, features, details and files over `pool`, the web process's own (it takes the caller's role).

    copies: where tiles are kept, if others fill it too. Endpoints run in the thread pool. Raises nothing: see honest_route.
    """
    routes = APIRouter(route_class=honest_route(pool), tags=["layers"])
    copies = TileCopies() if copies is None else copies
    add_event_heat(routes, pool, copies)
    _add_tiles(routes, pool, copies)
    _add_city_answers(routes, pool)
    _add_places(routes, pool)
    add_catalogue(routes, pool)
    add_export(routes, pool)
    return routes


def _add_tiles(routes: APIRouter, pool: Pool, copies: TileCopies) -> None:
    @routes.get("/tiles/{name}/{z}/{x}/{y}.mvt")
    def tile(
        request: Request,
        name: str,
        z: str,
        x: str,
        y: str,
        as_of: datetime | None = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
    ) -> Response:
        """A vector tile; 304 by version before any tile is made, 204 where nothing is drawn. as_of: a past moment, of a layer
        that has a past; from, to: a window, of one that has windows."""
        caller = current_caller()
        declared = _tiled(name, caller)
        address = tile_address(z, x, y)
        if address is None:
            raise Refused(f"没有瓦片 {z}/{x}/{y} / no tile {z}/{x}/{y}: 0 <= x, y < 2^z, z <= 22.")
        # Only a past moment is checked against rows. The version is older than what is made next, never newer: what it names is
        # at most asked for once more.
        with acting(pool, caller) if as_of is not None else as_web(pool) as connection:
            span = span_of(connection, declared, as_of, since, until)
            version = layer_version(connection, declared, caller, span)
        wanted = OneTile(
            caller, name, scope_of(declared, caller), version, address,
            lambda connection: make_tile(connection, declared, *address, span=span),
        )  # fmt: skip
        return held_answer(request.headers, copies, wanted) or made_answer(
            request.headers, pool, copies, wanted
        )

    @routes.get("/tiles/{name}.json")
    def tilejson(request: Request, name: str) -> dict[str, Any]:
        """TileJSON 3.0.0 of a layer."""
        declared = _tiled(name, current_caller())
        with acting(pool) as connection:
            bounds = answers.extent(connection)
        root = str(request.base_url).rstrip("/")
        return {
            "tilejson": "3.0.0",
            "name": f"{declared.name_zh} / {declared.name_en}",
            "tiles": [f"{root}/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt"],
            "minzoom": declared.min_zoom,
            "maxzoom": declared.max_zoom,
            "bounds": bounds or [-180.0, -85.05, 180.0, 85.05],
            "vector_layers": [
                {
                    "id": name,
                    "fields": declared.fields,
                    "minzoom": declared.min_zoom,
                    "maxzoom": declared.max_zoom,
                }
            ],
        }

    @routes.get("/layers.json")
    def layer_list() -> dict[str, Any]:
        """The declarations of the layers that the caller may see, in drawing order."""
        return {"layers": [one.as_declared() for one in layers_for(current_caller().roles).values()]}

    @routes.get("/layers/{name}.json")
    def declaration(name: str) -> dict[str, Any]:
        """One declaration: names, classes, style, fields, lenses."""
        return layer(name, current_caller().roles).as_declared()


def _add_city_answers(routes: APIRouter, pool: Pool) -> None:
    recent = RecentAnswers()

    def answer(
        request: Request,
        name: str,
        as_of: datetime | None,
        ask: Callable[[Any, datetime | None], dict[str, Any]],
    ) -> Response:
        caller = current_caller()

        def compute() -> dict[str, Any]:
            with acting(pool, caller) as connection:
                moment = aware(as_of)
                if moment is not None:
                    check_moment(connection, moment)
                return ask(connection, moment)

        # Only the present is asked for by many; a past moment is computed for the one who asks.
        if as_of is None:
            etag, body = recent.get(caller.scope_key, name, compute)
        else:
            etag, body = serialised(compute(), caller.scope_key)
        headers = {"ETag": etag, "Cache-Control": REVALIDATE}
        if knows(request.headers, etag):
            return Response(status_code=304, headers=headers)
        return packed(request.headers, body, headers, media_type="application/json", gzipped=True)

    @routes.get("/lens/{name}.json")
    def lens_of_cells(
        request: Request,
        name: str,
        as_of: datetime | None = None,
        classing: str = Query(default="", max_length=60),
    ) -> Response:
        """Class of every cell by cell_no."""
        declared = lens(name)
        by = answers.lens_classing(declared, classing).id
        return answer(
            request,
            f"lens/{name}/{by}",
            as_of,
            lambda connection, moment: answers.lens_classes(connection, declared, moment, by),
        )

    @routes.get("/headline.json")
    def figures(request: Request, as_of: datetime | None = None) -> Response:
        """The figures of the first screen."""
        return answer(request, "headline", as_of, answers.headline)

    @routes.get("/towns.json")
    def towns(request: Request, as_of: datetime | None = None) -> Response:
        """Totals by town."""
        return answer(request, "towns", as_of, answers.town_summaries)


def _add_places(routes: APIRouter, pool: Pool) -> None:
    @routes.get("/identify")
    def identify(lon: float = Query(ge=-180, le=180), lat: float = Query(ge=-85, le=85)) -> dict[str, Any]:
        """What stands at a point (EPSG:4326)."""
        with acting(pool) as connection:
            return answers.identify(connection, lon, lat)

    @routes.get("/cell/{code}.json")
    def cell(code: str, as_of: datetime | None = None) -> dict[str, Any]:
        """One cell: score with reasons, sites, cameras, who answers, open incidents, gaps."""
        moment = aware(as_of)
        with acting(pool) as connection:
            if moment is not None:
                check_moment(connection, moment)
            found = answers.cell_details(connection, code.replace("-", ""), moment)
        if found is None:
            raise Refused(f"没有网格 {code} / no cell {code}.")
        return found


def _tiled(name: str, caller: Caller) -> Layer:
    declared = layer(name, caller.roles)
    if declared.kind != "tiles":
        raise Refused(f"图层 {name} 没有瓦片 / layer {name!r} has no tiles: see /features/{name}.geojson.")
    return declared
