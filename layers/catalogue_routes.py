"""Routes that every layer has by its declaration: features page by page, one feature by id, the legend with its counts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse

from geoapp.access.caller import Pool, acting, current_caller
from geoapp.errors import Refused
from layers import answers
from layers.asked import aware, box_of, filters_of, span_of
from layers.features import PAGE, PAGE_MAX, feature_page, field_types, one_feature
from layers.legend import legend
from layers.recent_answers import RecentAnswers, knows, packed, serialised
from layers.registry import layer
from layers.rows_query import Span
from layers.tiles import REVALIDATE

GEOJSON = "application/geo+json"
# What an address may say beside values of fields.
PLAIN = frozenset({"bbox", "limit", "after", "as_of", "from", "to"})
INCIDENTS_SINCE = timedelta(hours=24)


def add_catalogue(routes: APIRouter, pool: Pool) -> None:
    """Adds `/features/{layer}.geojson`, `/identify/{layer}/{id}.json` and `/legend/{layer}.json` to the routes.

    All take `as_of` (a layer with a past) or `from` and `to` (one with a window); 422 for a moment that has not come or of which
    nothing is known.
    """
    recent = RecentAnswers()

    @routes.get("/features/{name}.geojson")
    def features(
        request: Request,
        name: str,
        bbox: str = Query(default="", max_length=200),
        limit: int = Query(default=PAGE, ge=1, le=PAGE_MAX),
        after: str = Query(default="", max_length=100),
        as_of: datetime | None = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
        seen_since: Annotated[datetime | None, Query(alias="since")] = None,
    ) -> Response:
        """Rows as GeoJSON (EPSG:4326) in a box (west,south,east,north) and of values (`field=value`, twice = either). Of
        `incident`, asked for without any of these: what goes on and what was last seen since `since` (the last 24 hours where not
        given), with ellipses."""
        declared = layer(name, current_caller().roles)
        if name == "incident" and set(request.query_params) <= {"since"}:
            with acting(pool) as connection:
                return _geojson(
                    answers.incident_features(
                        connection, aware(seen_since) or datetime.now(UTC) - INCIDENTS_SINCE
                    )
                )
        box = box_of(bbox)
        asked = [(field, value) for field, value in request.query_params.multi_items() if field not in PLAIN]
        with acting(pool) as connection:
            span = span_of(connection, declared, as_of, since, until)
            filters = filters_of(declared, field_types(connection, declared), asked)
            found = feature_page(
                connection, declared, span, box=box, limit=limit, after=after, filters=filters
            )
        return _geojson(found)

    @routes.get("/identify/{name}/{key}.json")
    def identify_one(
        name: str,
        key: str,
        as_of: datetime | None = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
    ) -> Response:
        """One feature by its id: fields with names, classes, geometry (EPSG:4326), the view that it is a row of. from, to: of a
        layer that adds up a window, else of no account."""
        declared = layer(name, current_caller().roles)
        with acting(pool) as connection:
            span = span_of(connection, declared, as_of)
            # Whatever its day: who has an id is not asked for a window.
            if declared.since_field:
                span = Span(since=aware(since), until=aware(until)) if declared.between else Span()
            found = one_feature(connection, declared, span, key)
        if found is None:
            raise Refused(f"{declared.name_zh}里没有 {key[:60]} / there is no {key[:60]} in {declared.id}.")
        return JSONResponse(jsonable_encoder(found), headers={"Cache-Control": "private, no-store"})

    @routes.get("/legend/{name}.json")
    def counted(
        request: Request,
        name: str,
        classing: str = Query(default="", max_length=60),
        as_of: datetime | None = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
    ) -> Response:
        """The classes of a layer with the number of rows of each in the caller's area, zero too."""
        caller = current_caller()
        declared = layer(name, caller.roles)

        def compute() -> dict[str, Any]:
            with acting(pool, caller) as connection:
                return legend(
                    connection, declared, span_of(connection, declared, as_of, since, until), classing
                )

        is_now = as_of is None and since is None and until is None
        etag, body = _kept(recent, caller.scope_key, f"legend/{name}/{classing}", compute, is_now=is_now)
        headers = {"ETag": etag, "Cache-Control": REVALIDATE}
        if knows(request.headers, etag):
            return Response(status_code=304, headers=headers)
        return packed(request.headers, body, headers, media_type="application/json", gzipped=True)


def _geojson(found: dict[str, Any]) -> Response:
    return JSONResponse(
        jsonable_encoder(found), media_type=GEOJSON, headers={"Cache-Control": "private, no-store"}
    )


def _kept(
    recent: RecentAnswers, scope_key: str, name: str, compute: Callable[[], dict[str, Any]], *, is_now: bool
) -> tuple[str, bytes]:
    """Only the present is asked for by many; a past moment is computed for the one who asks."""
    return recent.get(scope_key, name, compute) if is_now else serialised(compute(), scope_key)
