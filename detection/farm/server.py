"""The camera farm: an HTTP server that answers like a site's cameras and plays the scripted day.

    GET /snapshot/{gb_id}.jpg   what the camera sees now (JPEG); X-Captured-At in ISO 8601
    GET /truth.json             for tests: events and faults of the last minutes
    GET /healthz                how many cameras there are, are played, and have their scene drawn

It knows nothing of the database: cameras come as a list or a JSON file. Run as a process of its
own: `python -m detection.farm.server cameras.json --port 8060 --seed 2`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from detection.farm.scenes import render
from detection.farm.script import FarmCamera, Script, read_cameras

SLOW_S = 20.0
JPEG_QUALITY = 72
DRAW_AHEAD_S = 60.0


class CutShort(Response):
    """Promises a body and closes the connection before it is sent in full."""

    def __init__(self, body: bytes, sent: int) -> None:
        super().__init__(body, media_type="image/jpeg")
        self.sent = sent

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: self.sent]})


def create_app(
    cameras: Sequence[FarmCamera],
    *,
    seed: int,
    clock: Callable[[], datetime],
    auth: tuple[str, str] | None = None,
    faulty: int | None = None,
    hour: float | None = None,
    slow_s: float = SLOW_S,
) -> FastAPI:
    """The farm's application.

    clock: gives the current time with zone. auth: (user, password) for HTTP basic, or None.
    faulty: how many cameras have a fault (None: one of each kind from 12 cameras on).
    hour: hold the light of all scenes at this local hour, 0..24. slow_s: of the slow camera.
    Raises ValueError where there is no camera.
    """
    script = Script(cameras, seed, faulty=faulty, hour=hour)
    app = FastAPI(title="GeoApp camera farm", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.script = script

    async def allowed(request: Request) -> None:
        if auth is None:
            return
        scheme, _ = get_authorization_scheme_param(request.headers.get("Authorization"))
        given: HTTPBasicCredentials | None = None
        if scheme.lower() == "basic":
            given = await HTTPBasic(auto_error=False)(request)
        good = given is not None and (
            secrets.compare_digest(given.username.encode(), auth[0].encode())
            & secrets.compare_digest(given.password.encode(), auth[1].encode())
        )
        if not good:
            raise HTTPException(401, "wrong or no password", {"WWW-Authenticate": "Basic"})

    @app.get("/snapshot/{gb_id}.jpg", dependencies=[Depends(allowed)])
    async def snapshot(gb_id: str) -> Response:
        if gb_id not in script.cameras:
            raise HTTPException(404, f"no camera {gb_id} here")
        now = clock()
        fault = script.fault_at(gb_id, now)
        if fault == "dead":
            raise HTTPException(503, "camera is off line")
        if fault == "slow":
            await asyncio.sleep(slow_s)
        # A frozen encoder goes on answering with an old picture, its clock stands still too.
        taken = datetime(2026, 1, 1, 2, 0, tzinfo=UTC) if fault == "frozen" else now
        body = await asyncio.to_thread(_jpeg, script, gb_id, taken, fault == "black")
        if fault == "closed":
            return CutShort(body, 0)
        if fault == "half":
            body = body[: len(body) // 2]
        headers = {"X-Captured-At": taken.isoformat(), "Cache-Control": "no-store"}
        return Response(body, media_type="image/jpeg", headers=headers)

    @app.get("/truth.json", dependencies=[Depends(allowed)])
    async def truth(minutes: Annotated[float, Query(gt=0, le=1440)] = 5.0) -> dict[str, object]:
        now = clock()
        events = script.events_between(now - timedelta(minutes=minutes), now)
        return {
            "now": now.isoformat(),
            "events": [event.as_json() for event in events],
            "faults": {g: f for g in script.faults if (f := script.fault_at(g, now)) is not None},
        }

    app.state.drawn = 0

    @app.get("/healthz")
    async def healthz() -> dict[str, int]:
        return {
            "cameras": len(script.cameras),
            "playing": len(script.playing),
            "drawn": app.state.drawn,
        }

    return app


def draw_ahead(app: FastAPI, clock: Callable[[], datetime], stop: threading.Event) -> None:
    """Draws each camera's scene before it is asked for, and again before the light changes, until stopped.

    The first picture of a place costs some 0.3 s; a watch that asks 60 cameras at once would time out.
    """
    script: Script = app.state.script
    ahead = timedelta(0)
    while not stop.is_set():
        for number, gb_id in enumerate(script.cameras, 1):
            if stop.is_set():
                return
            _jpeg(script, gb_id, clock() + ahead, black=False)
            app.state.drawn = max(app.state.drawn, number)
        ahead = timedelta(seconds=2 * DRAW_AHEAD_S)
        stop.wait(DRAW_AHEAD_S)


def _is_real_fault(record: logging.LogRecord) -> bool:
    """A camera that breaks off its answer is part of the play; uvicorn would log a traceback for it."""
    return "shorter than Content-Length" not in str(record.exc_info)


def _jpeg(script: Script, gb_id: str, taken: datetime, black: bool) -> bytes:
    pose = script.cameras[gb_id].pose
    if black:
        frame = np.zeros((pose.height_px, pose.width_px, 3), np.uint8)
    else:
        effects = script.effects_at(gb_id, taken)
        frame, _ = render(script.scene_at(gb_id, taken), taken.timestamp(), effects)
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"camera {gb_id}: OpenCV cannot write JPEG")
    return data.tobytes()


def run(
    cameras: Sequence[FarmCamera],
    host: str,
    port: int,
    seed: int,
    *,
    auth: tuple[str, str] | None = None,
    hour: float | None = None,
) -> None:
    """Serve until stopped (blocks). host should be loopback: the farm is for demos and tests."""
    import uvicorn

    # One frame needs one core; more threads only fight with the watch for the machine.
    cv2.setNumThreads(1)
    logging.getLogger("uvicorn.error").addFilter(_is_real_fault)

    def clock() -> datetime:
        return datetime.now(UTC)

    app = create_app(cameras, seed=seed, clock=clock, auth=auth, hour=hour)
    stop = threading.Event()
    threading.Thread(target=draw_ahead, args=(app, clock, stop), name="draw ahead", daemon=True).start()
    try:
        # The slow camera sleeps for long: nobody waits for its answer at the end.
        uvicorn.run(
            app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
    finally:
        stop.set()


def main() -> None:
    """Command line of the farm's own process."""
    parser = argparse.ArgumentParser(prog="python -m detection.farm.server", description=__doc__)
    parser.add_argument("cameras", type=Path, help="JSON list of cameras")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8060)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--hour", type=float, default=None, help="hold the light at this local hour")
    given = parser.parse_args()
    try:
        cameras = read_cameras(given.cameras)
        run(cameras, given.host, given.port, given.seed, hour=given.hour)
    except ValueError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
