"""The page of modes at a thousand cameras: the server's time for what it shows, and how large that is.

    python -m benchmarks.modes_page [--cameras 1000] [--incidents 20000] [--rounds 15] [--json FILE]

A sample city with so many cameras, incidents over them in the last 30 days (a quarter false alarms, which propose masks), a
mode set for every third camera; a running server, asked over HTTP as a browser asks it, signed in as a planner of the district's
first town and as the committee. Medians of the rounds, milliseconds; the browser's own drawing is not in it.
"""

import argparse
import json
import socket
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from dashboards.app import create_app
from etl.sample_city.build import CitySize, build_sample_city
from geoapp.access.accounts import add_account
from geoapp.access.sessions import CSRF_COOKIE, CSRF_HEADER, csrf_of, open_session
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate

SRID = 4549
SEARCHES = {
    "first page": "",
    "last page": "?page={last}",
    "shadow only": "?mode=shadow",
    "by name": "?text=1",
}
# Reviews come one by one: each may propose a mask.
INCIDENTS = """
INSERT INTO watch.incident (
    class, camera_id, state, first_seen_at, last_seen_at, opened_at, closed_at, peak_score, model_hash, box, geom,
    placing_method, cell_code, town_code
)
SELECT
    (ARRAY['fire', 'smoke', 'welding_arc', 'sparks'])[1 + n %% 4], c.id, 'closed', t.at, t.at + interval '5 minutes', t.at,
    t.at + interval '20 minutes', 0.7, repeat('e', 64), '{10,20,60,90}', c.geom, 'camera_point', c.cell_code, c.town_code
FROM generate_series(1, %(incidents)s) AS n
JOIN (SELECT x.*, row_number() OVER (ORDER BY x.id) - 1 AS place FROM registry.camera AS x) AS c
    ON c.place = n %% (SELECT count(*) FROM registry.camera)
CROSS JOIN LATERAL (SELECT now() - make_interval(mins => 30 + (n * 7919) %% 43000) AS at) AS t
"""
LOOKS = """
INSERT INTO watch.incident_observation (incident_id, observation_id, camera_id, captured_at, score)
SELECT i.id, gen_random_uuid(), i.camera_id, i.first_seen_at, 0.7 FROM watch.incident AS i WHERE i.model_hash = repeat('e', 64)
"""
FRAMES = """
INSERT INTO watch.evidence (
    id, incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at, received_at, boxes
)
SELECT
    gen_random_uuid(), i.id, o.observation_id, repeat('0', 64), 'none.jpg', 1, 640, 360, o.captured_at, o.captured_at,
    jsonb_build_array(jsonb_build_object('class', i.class, 'score', 0.7, 'box', jsonb_build_array(10, 20, 60, 90)))
FROM watch.incident AS i
JOIN watch.incident_observation AS o ON o.incident_id = i.id
WHERE i.model_hash = repeat('e', 64)
"""
REVIEWS = """
UPDATE watch.incident SET review = 'false', false_cause = 'lamp_sun', review_reason = '路灯'
WHERE incident_no %% 4 = 0 AND model_hash = repeat('e', 64)
"""
MODES = """
INSERT INTO watch.camera_mode (camera_id, class, mode, reason, set_at, set_by)
SELECT c.id, NULL, 'shadow', '试运行', now(), 'benchmark' FROM registry.camera AS c WHERE c.id %% 3 = 0
"""


def filled(url: str, cameras: int, incidents: int) -> dict[str, int]:
    """Makes the city and what was found in it; how many of each there are."""
    size = CitySize(
        communities=200, cells=1200, sites=3000, key_risk_areas=379, cameras=cameras, live_cameras=60, days=90
    )
    with connect(url) as connection:
        build_sample_city(connection, size=size, seed=7, as_of=datetime.now(UTC))
    with connect(url, autocommit=True) as connection:
        connection.execute(INCIDENTS.encode(), {"incidents": incidents})
        connection.execute(LOOKS.encode(), {})
        connection.execute(FRAMES.encode(), {})
        connection.execute(REVIEWS.encode(), {})
        connection.execute(MODES.encode(), {})
        connection.execute("ANALYZE")
        row = connection.execute(
            "SELECT (SELECT count(*) FROM registry.camera) AS cameras, (SELECT count(*) FROM watch.incident) AS incidents,"
            " (SELECT count(*) FROM watch.mask) AS masks"
        ).fetchone()
    assert row is not None
    return dict(row)


def asked(client: httpx.Client, search: str) -> tuple[float, int]:
    """What the page shows for an address: milliseconds, and bytes as sent (compressed where the server does)."""
    question = {
        "output": "modes-found.children",
        "outputs": {"id": "modes-found", "property": "children"},
        "inputs": [{"id": "address", "property": "search", "value": search}],
        "changedPropIds": ["address.search"],
        "state": [
            {
                "id": "modes-page",
                "property": "data",
                "value": {"lang": "zh", "theme": "", "zone": "Asia/Shanghai"},
            }
        ],
    }
    began = time.perf_counter()
    answer = client.post("/_dash-update-component", json=question)
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200, answer.text
    return took, len(answer.content)


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--incidents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="geoapp-modes-"))
    home.chmod(0o755)
    cluster = PrivateCluster(home, throwaway=True)
    cluster.up()
    try:
        url = cluster.url()
        migrate(url, srid=SRID)
        found: dict[str, Any] = {"rows": filled(url, options.cameras, options.incidents)}
        with connect(url) as connection:
            town = connection.execute(
                "SELECT min(code) AS code FROM territory.unit WHERE level = 'town'"
            ).fetchone()
            assert town is not None
            people = {
                "committee": add_account(connection, "committee", "安委会", ["committee"]),
                "planner": add_account(connection, "planner", "编制员", ["planner"], areas=[town["code"]]),
            }
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        server = uvicorn.Server(
            uvicorn.Config(create_app(url), host="127.0.0.1", port=port, log_level="error")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        for login, account in people.items():
            with connect(url) as connection:
                token = open_session(
                    connection, account, method="password", at=datetime.now(UTC), ip="127.0.0.1"
                )
            client = httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=60, headers={CSRF_HEADER: csrf_of(token)}
            )
            client.cookies.set("geoapp_session", token, domain="127.0.0.1")
            client.cookies.set(CSRF_COOKIE, csrf_of(token), domain="127.0.0.1")
            found[login] = {}
            for name, search in SEARCHES.items():
                times = [
                    asked(client, search.format(last=options.cameras // 25))
                    for _ in range(options.rounds + 1)
                ][1:]
                found[login][name] = {
                    "median_ms": round(statistics.median(ms for ms, _ in times), 1),
                    "worst_ms": round(max(ms for ms, _ in times), 1),
                    "kilobytes": round(times[0][1] / 1000),
                }
            client.close()
        server.should_exit = True
        thread.join(15)
    finally:
        cluster.destroy()
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
