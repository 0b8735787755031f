"""A whole run with planted secrets: files in, a watch over cameras that ask for them, an error or two. Then all that was
written anywhere is searched for them: output, logs, staging, the register, the audit, a dump of the database, files.
"""

import base64
import csv
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely
import yaml

from geoapp.database.cluster import PrivateCluster, find_server
from geoapp.database.connection import connect
from geoapp.registry.identifiers import camera_gb_id

X0, Y0 = 620_000.0, 3_410_000.0


def id_number(first: str) -> str:
    total = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(first))
    return first + "10X98765432"[total % 11]


RIGHT = "Zk7!right-P4ss/w:ö"
IN_ADDRESS = "Qx9-in-the-Address"
IN_QUERY = "Wm3-in-the-Query"
WRONG = "Vt5-wrong-P4ssword"
UNSTORED = "Jh2-row-kept-Aside"
REPLACED = "Lb8-set-by-Hand"
ACCOUNT = "viewer-of-cams-77"
ID_CARD = id_number("31011619900101123")
OLD_ID_CARD = "310116900101123"
PLANTED = (RIGHT, IN_ADDRESS, IN_QUERY, WRONG, UNSTORED, REPLACED, ACCOUNT, ID_CARD, OLD_ID_CARD)


def forms() -> Iterator[str]:
    """Every way in which a planted value may have been written."""
    for value in PLANTED:
        yield value
        yield quote(value, safe="")
        yield json.dumps(value)[1:-1]
        yield value.encode().hex()
        for prefix in ("", ACCOUNT + ":"):
            # Base64 of it at any offset: the middle of the encoded text is the same.
            for pad in ("", "x", "xx"):
                coded = base64.b64encode((pad + prefix + value).encode()).decode().rstrip("=")
                yield coded[4:-2]


class Cameras:
    """Cameras on 127.0.0.1 that ask: /basic/…, /digest/…, /query/…; every one knows ACCOUNT and one password."""

    def __init__(self) -> None:
        image = np.random.default_rng(7).integers(60, 130, (360, 640, 3), dtype=np.uint8)
        picture = cv2.imencode(".jpg", image)[1].tobytes()
        self.answers: dict[str, list[int]] = {}
        cameras = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code = 200 if cameras.knows(self) else 401
                cameras.answers.setdefault(self.path.split("?")[0], []).append(code)
                self.send_response(code)
                if code == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="cam"')
                    if self.path.startswith("/digest"):
                        self.send_header("WWW-Authenticate", 'Digest realm="cam", nonce="n1", qop="auth"')
                body = picture if code == 200 else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_port}"

    def knows(self, handler: BaseHTTPRequestHandler) -> bool:
        password = IN_ADDRESS if "in-address" in handler.path else RIGHT
        said = handler.headers.get("Authorization", "")
        if handler.path.startswith("/query"):
            return f"usr={quote(ACCOUNT)}&pwd={quote(IN_QUERY, safe='')}" in handler.path
        if handler.path.startswith("/basic"):
            return said == "Basic " + base64.b64encode(f"{ACCOUNT}:{password}".encode()).decode()
        parts = {k: a or b for k, a, b in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]*))', said)}
        if not said.startswith("Digest "):
            return False
        first = hashlib.md5(f"{ACCOUNT}:cam:{password}".encode()).hexdigest()
        second = hashlib.md5(f"GET:{handler.path}".encode()).hexdigest()
        wanted = f"{first}:n1:{parts['nc']}:{parts['cnonce']}:auth:{second}"
        return parts["response"] == hashlib.md5(wanted.encode()).hexdigest()


def gb(number: int) -> str:
    return camera_gb_id("310116", "04", number)


@pytest.fixture
def cameras() -> Iterator[Cameras]:
    served = Cameras()
    yield served
    served.server.shutdown()
    served.server.server_close()


# Several commands in one process, each as `geoapp` runs it: starting one takes longer than what most of them do.
SEVERAL = """
import io, json, sys
from geoapp.cli import main
for arguments, typed, code in json.load(sys.stdin):
    sys.argv, sys.stdin = ["geoapp", *arguments], io.StringIO(typed)
    try:
        main()
        ended = 0
    except SystemExit as end:
        ended = end.code or 0
    print(flush=True)
    assert ended == code, (arguments[:3], ended)
    print("--- done", flush=True)
"""


class Run:
    """Commands of one installation; all that they say is kept."""

    def __init__(self, folder: Path, url: str) -> None:
        self.environment = os.environ | {"GEOAPP_HOME": str(folder / "home"), "GEOAPP_DATABASE_URL": url}
        self.said: list[str] = []

    def __call__(self, *commands: tuple[list[str], str, int]) -> list[str]:
        """Standard output of each command: (words, what is typed, exit status)."""
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL],
            capture_output=True, text=True, timeout=120, check=False, env=self.environment,
            input=json.dumps(commands),
        )  # fmt: skip
        self.said += [done.stdout, done.stderr]
        assert done.returncode == 0, done.stderr[-3000:]
        outputs = done.stdout.split("--- done\n")[:-1]
        assert len(outputs) == len(commands)
        return outputs

    def watch_until(self, enough: Callable[[], bool]) -> bool:
        """`geoapp detect run` until `enough`, then stopped as a service manager stops it; whether it was enough."""
        process = subprocess.Popen(
            [sys.executable, "-m", "geoapp.cli", "detect", "run"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip
        ends = time.monotonic() + 30
        was_enough = False
        while time.monotonic() < ends and process.poll() is None and not was_enough:
            time.sleep(0.2)
            was_enough = enough()
        process.send_signal(signal.SIGTERM)
        self.said += process.communicate(timeout=30)
        assert process.returncode == 0
        return was_enough


def write_files(folder: Path, host: str) -> Path:
    towns = gpd.GeoDataFrame(
        {"DM": ["310116101000"], "MC": ["甲镇"]},
        geometry=[shapely.box(X0, Y0, X0 + 4000, Y0 + 4000)],
        crs=4549,
    )
    towns.to_file(folder / "towns.gpkg")
    lon, lat = gpd.GeoSeries([shapely.Point(X0 + 500, Y0 + 500)], crs=4549).to_crs(4326).iloc[0].coords[0]
    rows = [
        (gb(1), "摘要", f"http://{host}/digest/1.jpg", ACCOUNT, RIGHT, ""),
        (gb(2), "基本", f"http://{host}/basic/2.jpg", ACCOUNT, RIGHT, ""),
        (gb(3), "地址", f"http://{ACCOUNT}:{IN_ADDRESS}@{host}/digest/in-address.jpg", "", "", ""),
        (gb(4), "参数", f"http://{host}/query/4.jpg?usr={ACCOUNT}&pwd={IN_QUERY}&ch=1", "", "", ""),
        (gb(5), "错口令", f"http://{host}/digest/5.jpg", ACCOUNT, WRONG, ""),
        (gb(6), "错口令", f"http://{host}/basic/6.jpg", ACCOUNT, WRONG, ""),
        (gb(7), "不通", "http://127.0.0.1:1/7.jpg", ACCOUNT, WRONG, ""),
        (gb(8), "改口令", f"http://{host}/digest/8.jpg", ACCOUNT, WRONG, ""),
        ("123", "编号错", f"http://{ACCOUNT}:{UNSTORED}@{host}/9.jpg", ACCOUNT, UNSTORED, f"同 {UNSTORED}"),
        (gb(10), "拆不开", f"http://{ACCOUNT}:{UNSTORED}/x@{host}/10.jpg", "", "", f"负责人 {ID_CARD}"),
        (gb(11), "坏字符", f"http://{host}/11.jpg", ACCOUNT, f"{UNSTORED}\x07", OLD_ID_CARD),
        (ID_CARD, "列错位", f"http://{host}/12.jpg", ACCOUNT, UNSTORED, f"T{ID_CARD}"),
        (gb(13), "多一列", f"http://{host}/13.jpg", ACCOUNT, UNSTORED, ID_CARD, "多出"),
    ]
    with (folder / "cameras.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "lon", "lat", "url", "user", "password", "note", "every"])
        for row in rows:
            # In the last row the values stand one column too far to the right.
            writer.writerow([*row[:2], lon, lat, *row[2:], "1"])
    with (folder / "sites.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "lon", "lat", "people", "法人身份证号"])
        writer.writerow([ID_CARD, "缺坐标", "", "", "3", ID_CARD])
        writer.writerow(["S2", "人数错", lon, lat, ID_CARD, "尾号 " + OLD_ID_CARD])
    sections = {
        "city": {"name_zh": "试县", "name_en": "Test", "code": "310116", "metric_srid": 4549},
        "units": {"file": "towns.gpkg", "columns": {"code": "DM", "name": "MC"}},
        "sites": {
            "file": "sites.csv",
            "frame": "wgs84",
            "columns": {"id": "id", "name": "name", "lon": "lon", "lat": "lat", "people": "people"},
        },
        "cameras": {
            "file": "cameras.csv",
            "frame": "wgs84",
            "columns": {
                "gb_id": "id", "name": "name", "lon": "lon", "lat": "lat", "snapshot_url": "url",
                "username": "user", "password": "password", "period_s": "every",
            },
        },
    }  # fmt: skip
    manifest = folder / "manifest.yaml"
    manifest.write_text(yaml.safe_dump(sections, allow_unicode=True), encoding="utf-8")
    return manifest


def test_a_full_run_leaves_no_secret_anywhere(
    tmp_path: Path, empty_url: str, cluster: PrivateCluster, cameras: Cameras
) -> None:
    manifest = write_files(tmp_path, cameras.host)
    run = Run(tmp_path, empty_url)

    *_, again, _, _, _, _, _, looks = run(
        # Files in: looked at, checked, loaded twice.
        (["inspect", str(tmp_path / "cameras.csv")], "", 0),
        (["load", str(manifest), "--dry-run"], "", 0),
        (["load", str(manifest)], "", 0),
        (["load", str(manifest), "--json"], "", 0),
        # By hand, and the way in which people get it wrong.
        (["secret", "set", "camera", gb(8), "--username", ACCOUNT], RIGHT + "\n", 0),
        (["secret", "set", "camera", gb(7), "--username", ACCOUNT, REPLACED], "", 1),
        (["secret", "set", "webhook", "police-desk", "--username", ""], REPLACED + "\n", 0),
        (["secret", "list"], "", 0),
        (["secret", "rotate", "--json"], "", 0),
        # Cameras that ask, with right accounts and wrong ones.
        (["detect", "once", "--json", *(w for n in range(1, 9) for w in ("--camera", gb(n)))], "", 0),
    )
    rejected = {s["section"]: s["rejected"] for s in json.loads(again)["sections"]}
    assert rejected == {"units": 0, "sites": 2, "cameras": 5}
    assert {r["what"]: r["reason"] for r in json.loads(looks)} == {
        gb(1): None, gb(2): None, gb(3): None, gb(4): None, gb(8): None,
        gb(5): "unauthorized", gb(6): "unauthorized", gb(7): "connection_refused",
    }  # fmt: skip
    before = {path: len(codes) for path, codes in cameras.answers.items()}
    key = tmp_path / "home" / "keys" / "installation.key"
    kept = key.read_bytes()

    def seen_with_and_without_the_key() -> bool:
        if len(cameras.answers["/digest/1.jpg"]) < before["/digest/1.jpg"] + 3:
            return False
        key.unlink(missing_ok=True)  # lost while the watch runs: said as a reason, camera by camera
        with connect(empty_url) as connection:
            told = "SELECT FROM watch.observation WHERE reason = 'credentials_unreadable' LIMIT 1"
            return connection.execute(told).fetchone() is not None

    assert run.watch_until(seen_with_and_without_the_key)
    # A watch of several looks tried the wrong one once (a challenge and an answer), not at every look.
    assert len(cameras.answers["/digest/5.jpg"]) == before["/digest/5.jpg"] + 2
    assert not key.exists()
    run((["secret", "rotate"], "", 1), (["secret", "list"], "", 0))
    key.write_bytes(kept)
    key.chmod(0o600)

    # A fault of the server that quotes the rows it was given.
    with connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE registry.camera ADD CONSTRAINT camera_no_stop CHECK (name_zh <> '停') NOT VALID"
        )
        connection.execute(
            "UPDATE access.secret SET sealed = sealed || 'x'::bytea WHERE subject_id = %s", (gb(2),)
        )
    files = tmp_path / "cameras.csv"
    files.write_text(files.read_text(encoding="utf-8").replace("基本", "停"), encoding="utf-8")
    run((["secret", "rotate"], "", 1), (["load", str(manifest)], "", 1))

    assert "camera_no_stop" in run.said[-1]
    found = leaks(run, tmp_path, empty_url, cluster)
    assert not found


def leaks(run: Run, folder: Path, url: str, cluster: PrivateCluster) -> list[str]:
    """Where a planted value is found, in everything that the run wrote."""
    dump = subprocess.run(
        [find_server() / "pg_dump", "--no-owner", url], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "access.secret" in dump
    assert f"{ID_CARD[:3]}***********{ID_CARD[14:]}" in dump  # the rows are there, masked
    assert "COPY staging.rejected" in dump
    places = {"output": "\n".join(run.said), "dump": dump, "dump, bytes unhexed": unhexed(dump)}
    for path in (folder / "home").rglob("*"):
        if path.is_file():
            places[str(path.relative_to(folder))] = path.read_bytes().decode("latin-1")
    places["the server's log"] = (cluster.root / "log").read_text(encoding="utf-8", errors="replace")
    assert "camera_no_stop" in places["the server's log"]
    return [
        f"{form!r} in {name}: …{text[max(0, at - 80) : at + 40]!r}"
        for name, text in places.items()
        for form in forms()
        if (at := text.find(form)) >= 0
    ]


def unhexed(dump: str) -> str:
    """The bytes of all bytea values: a sealed one shows nothing, one that is only packed would."""
    found = re.findall(r"\\\\x((?:[0-9a-f]{2})+)", dump)
    return "\n".join(bytes.fromhex(one).decode("latin-1") for one in found)


def test_the_search_finds_what_is_there() -> None:
    """A search that finds nothing anywhere proves nothing."""
    for value in PLANTED:
        for text in (
            f"x{value}x",
            f"http://{ACCOUNT}:{quote(value, safe='')}@h/",
            json.dumps({"a": value}),
            "Basic " + base64.b64encode(f"{ACCOUNT}:{value}".encode()).decode(),
            value.encode().hex(),
        ):
            assert any(form in text for form in forms())


def test_random_bytes_are_no_find() -> None:
    noise = base64.b64encode(secrets.token_bytes(300_000)).decode() + secrets.token_hex(300_000)
    assert not any(form in noise for form in forms())
