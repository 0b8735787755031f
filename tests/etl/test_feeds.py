"""Scheduled imports: what has changed is loaded, what fails keeps the old rows and says so."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest
from clones import AS_OF, clone, drop
from district import District, fetch
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner
from web_server import self_signed, web_server

from etl.feed_commands import app
from etl.feeds import turn as turns
from etl.feeds.addresses import split_database_address, split_web_address
from etl.feeds.download import Limits
from etl.feeds.lease import claim_feeds
from etl.feeds.register import add_feed, feed_states, pause_feed, remove_feed, resume_feed
from etl.feeds.scheduler import run_due, run_until
from etl.feeds.turn import Means, take_turn, tried
from etl.manifest import load_manifest
from etl.rollback import roll_back
from geoapp.database.cluster import DATABASE
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings

ROWS = [(f"S{n}", f"工厂{n}", 100 * n, 100) for n in range(1, 9)]
SECRET = "p4ss/W:ord@x"
ESCAPED = "p4ss%2FW%3Aord%40x"


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def server():
    with web_server() as found:
        yield found


class Feeds:
    """A district's folder, its database, and a clock that only the test moves."""

    def __init__(self, url, folder):
        self.url, self.now = url, AS_OF
        (folder / "files").mkdir()
        self.district = District(folder / "files").sites(ROWS)
        limits = Limits(connect_s=1.0, read_s=0.3, total_s=0.6, most_bytes=300_000)
        self.means = Means(folder / "home" / "feeds", limits, quiet_s=0.0)

    def clock(self):
        return self.now

    def add(self, name="f", source=None, **given):
        options = {"every": "1h", "manifest_name": "manifest.yaml", "moment": self.now, "by": "x"} | given
        with connect(self.url) as connection:
            manifest = load_manifest(self.district.manifest)
            add_feed(connection, name, manifest, source=source or str(self.district.folder), **options)

    def claim(self, name="f"):
        with connect(self.url) as connection:
            (claim,) = claim_feeds(connection, owner="me", at=self.now, only=name)
        return claim

    def turn(self, name="f", after=timedelta(hours=1), **options):
        self.now += after
        return take_turn(self.url, self.claim(name), clock=self.clock, means=self.means, **options)

    def state(self, name="f"):
        with connect(self.url) as connection:
            return next(row for row in feed_states(connection, moment=self.now) if row["name"] == name)

    def names(self):
        return [
            row["name_zh"] for row in fetch(self.url, "SELECT name_zh FROM registry.site ORDER BY local_id")
        ]

    def sites_csv(self, rows=ROWS):
        self.district.sites(rows)
        return (self.district.folder / "sites.csv").read_bytes()


@pytest.fixture(scope="module")
def towns_template(cluster, tmp_path_factory):
    """Name of a database that holds the district's towns, and no trace of how they came."""
    name = clone(cluster, DATABASE)
    District(tmp_path_factory.mktemp("towns")).towns().load(cluster.url(name))
    with connect(cluster.url(name)) as connection:
        connection.execute("UPDATE staging.batch SET load_id = NULL")
        connection.execute("DELETE FROM staging.load")
    yield name
    drop(cluster, name)


@pytest.fixture
def feeds(make_database, towns_template, tmp_path):
    return Feeds(make_database(towns_template), tmp_path)


def renamed(number, name):
    return [(key, name if key == f"S{number}" else old, *place) for key, old, *place in ROWS]


# -- a folder ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_loaded_when_its_content_changes(feeds):
    feeds.add()
    assert feeds.state()["state"] == "never"
    assert feeds.turn().outcome == "loaded"
    first = feeds.state()
    assert (first["state"], first["age"], first["next_due_at"]) == (
        "ok",
        timedelta(0),
        feeds.now + timedelta(hours=1),
    )
    assert feeds.turn().outcome == "unchanged"
    os.utime(feeds.district.folder / "sites.csv", (1, 1))
    assert "saved again" in feeds.turn().message
    state = feeds.state()
    assert state["last_success_at"] == feeds.now
    assert state["last_changed_at"] == first["last_success_at"]
    assert len(fetch(feeds.url, "SELECT FROM staging.load")) == 1
    feeds.sites_csv(renamed(2, "改了名"))
    assert feeds.turn().outcome == "loaded"
    assert feeds.names()[1] == "改了名"
    (load,) = fetch(feeds.url, "SELECT * FROM staging.load ORDER BY id DESC LIMIT 1")
    assert (load["origin"], load["started_by"], load["state"]) == ("feed", "feed f", "done")
    assert load["feed_id"] == fetch(feeds.url, "SELECT id FROM staging.feed")[0]["id"]


def test_a_file_that_disappears_keeps_the_rows_and_says_so(feeds, monkeypatch):
    feeds.add()
    feeds.turn()
    loaded_at = feeds.now
    path = feeds.district.folder / "sites.csv"
    path.rename(path.with_suffix(".away"))
    for failures, pause in ((1, 1), (2, 2), (3, 4)):
        assert feeds.turn().outcome == "failed"
        state = feeds.state()
        assert (state["state"], state["failures"]) == ("failed", failures)
        assert state["next_due_at"] == feeds.now + timedelta(minutes=pause)
    assert len(feeds.names()) == len(ROWS)
    assert state["failing_since"] == loaded_at + timedelta(hours=1)
    assert (state["last_success_at"], state["is_late"]) == (loaded_at, True)
    assert "sites.csv" in state["last_message"]
    monkeypatch.setenv("GEOAPP_DATABASE_URL", feeds.url)
    settings.cache_clear()
    listed = CliRunner().invoke(app, ["list"])
    text = " ".join(listed.output.split())
    for said in ("失败 failed", "late", "3 time(s)", "the data are of", "the file is not there any more"):
        assert said in text
    path.with_suffix(".away").rename(path)
    assert feeds.turn().outcome == "unchanged"
    assert (feeds.state()["failures"], feeds.state()["failing_since"]) == (0, None)


def test_a_file_that_is_being_written_waits(feeds):
    feeds.add()
    feeds.turn()
    content = feeds.sites_csv(renamed(1, "新名"))
    feeds.now += timedelta(days=1)
    part = feeds.district.folder / "sites.csv.part"
    part.write_bytes(content)
    os.utime(part, (feeds.now.timestamp(), feeds.now.timestamp()))
    turn = feeds.turn(after=timedelta(0))
    assert (turn.outcome, feeds.state()["state"], feeds.state()["failures"]) == ("waiting", "waiting", 0)
    assert "sites.csv.part" in turn.message
    # one that was left behind by a break does not hold the feed up for ever
    assert feeds.turn(after=timedelta(minutes=11)).outcome == "loaded"
    part.unlink()

    def grow():
        while not over.wait(0.005):
            with (feeds.district.folder / "sites.csv").open("ab") as stream:
                stream.write(b"\r\n")

    over, feeds.means = threading.Event(), feeds.means._replace(quiet_s=0.05)
    writer = threading.Thread(target=grow)
    writer.start()
    turn = feeds.turn()
    over.set()
    writer.join()
    assert (turn.outcome, "still changing" in turn.message) == ("waiting", True)
    assert feeds.names()[0] == "新名"


def test_a_folder_that_is_gone_is_a_failure(feeds):
    feeds.add()
    feeds.turn()
    feeds.district.folder.rename(feeds.district.folder.with_name("unmounted"))
    assert "is the share mounted" in feeds.turn().message
    assert len(feeds.names()) == len(ROWS)


# -- an address -------------------------------------------------------------------------------------------------------


def with_etag(body, **headers):
    def answer(request):
        etag = headers.get("ETag", '"1"')
        if request.headers.get("If-None-Match") == etag:
            request.answer(304)
        else:
            request.answer(200, body, **({"ETag": etag} | headers))

    return answer


def test_an_address_is_asked_whether_it_has_changed(feeds, server):
    feeds.district.load(feeds.url)
    server.paths["/sites"] = with_etag(
        feeds.sites_csv(renamed(1, "网上")), Last_Modified="Sun, 22 Nov 2026 01:00:00 GMT"
    )
    feeds.add(source=server.url("/sites"))
    assert feeds.turn().outcome == "loaded"
    assert feeds.names()[0] == "网上"
    loads = len(fetch(feeds.url, "SELECT FROM staging.load"))
    assert "304" in feeds.turn().message
    assert server.asked[-1][1]["If-None-Match"] == '"1"'
    assert server.asked[-1][1]["If-Modified-Since"].startswith("Sun, 22 Nov")
    assert feeds.state()["last_success_at"] == feeds.now
    server.paths["/sites"] = with_etag(feeds.sites_csv(renamed(1, "网上")), ETag='"2"')
    assert "content is the same" in feeds.turn().message
    assert len(fetch(feeds.url, "SELECT FROM staging.load")) == loads
    server.paths["/sites"] = with_etag(feeds.sites_csv(renamed(1, "又改")), ETag='"3"')
    assert feeds.turn().outcome == "loaded"
    assert feeds.names()[0] == "又改"
    assert not any((feeds.means.home / "f").iterdir())


def drip(request):
    request.send_response(200)
    request.end_headers()
    while not request.server.over.wait(0.02):
        request.wfile.write(b"x")


def cut_off_chunk(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"ff\r\nhalf")


FAULTS = {
    "500": (lambda r: r.answer(500, b"broken"), "HTTP 500"),
    "401": (lambda r: r.answer(401, b"no"), "account or password"),
    "304 unasked": (lambda r: r.answer(304), "HTTP 304"),
    "cut off": (lambda r: r.answer(200, b"half", length=1000), "cut off"),
    "chunk": (cut_off_chunk, "cut off"),
    "circle": (lambda r: r.answer(302, Location="/f"), "more than 5 redirects"),
    "other scheme": (lambda r: r.answer(302, Location="file:///etc/passwd"), "file:|no address"),
    "web page": (lambda r: r.answer(200, b"\n<!DOCTYPE html><html>login", Content_Type="text/csv"), "a web page"),
    "text/html": (lambda r: r.answer(200, b"please log in", Content_Type="text/html"), "a web page"),
    "silent": (lambda r: r.server.over.wait(2), "nothing came for 0.3 s"),
    "drip": (drip, "not complete after 0.6 s"),
    "declared large": (lambda r: r.answer(200, b"x", length=10**9), "larger than 0 MB"),
    "large": (lambda r: r.answer(200, b"x" * 400_000), "larger than 0 MB"),
    "empty": (lambda r: r.answer(200), "0 bytes"),
    "no zip": (lambda r: r.answer(200, b"PK\x03\x04 and nothing"), "damaged"),
    "not http": (lambda r: r.wfile.write(b"SSH-2.0-server\r\n\r\n"), "no HTTP"),
    "other table": (lambda r: r.answer(200, b"a,b\n1,2\n"), "sites.csv"),
}  # fmt: skip


def test_whatever_an_address_sends_the_rows_stay(feeds, server):
    feeds.district.load(feeds.url)
    stored = fetch(feeds.url, "SELECT s::text FROM registry.site AS s ORDER BY id")
    feeds.add(source=server.url("/f", f"feeder:{ESCAPED}@"))
    for number, (what, (answer, said)) in enumerate(FAULTS.items(), 1):
        server.paths["/f"] = answer
        turn = feeds.turn()
        assert turn.outcome == "failed", what
        assert any(part in turn.message for part in said.split("|")), (what, turn.message)
        assert ESCAPED not in turn.message, what
        assert SECRET not in turn.message, what
        assert feeds.state()["failures"] == number
    assert fetch(feeds.url, "SELECT s::text FROM registry.site AS s ORDER BY id") == stored
    assert feeds.state()["last_success_at"] is None
    server.paths["/f"] = with_etag(feeds.sites_csv(renamed(3, "好了")))
    assert feeds.turn().outcome == "loaded"


def test_nobody_there(feeds, monkeypatch):
    feeds.district.load(feeds.url)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        feeds.add(source=f"http://127.0.0.1:{closed.getsockname()[1]}/x.csv")
        assert "cannot be reached" in feeds.turn().message
    own = socket.getaddrinfo

    def unknown(host, *arguments, **options):
        if host in ("data.invalid", b"data.invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return own(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    feeds.add("dns", source="http://data.invalid/x.csv")
    assert "(DNS)" in feeds.turn("dns").message


def test_certificates_are_checked_and_the_way_back_to_http_is_not_followed(feeds, server, tmp_path):
    own = self_signed(tmp_path / "own.pem")
    server.paths["/x.csv"] = with_etag(feeds.sites_csv())
    with web_server(own) as secure:
        secure.paths["/x.csv"] = lambda r: r.answer(301, Location=server.url("/x.csv"))
        feeds.add(source=secure.url("/x.csv"))
        assert "certificate is not trusted" in feeds.turn().message
        feeds.means = feeds.means._replace(ca_file=own)
        assert "from https to http" in feeds.turn().message
        assert server.asked == []
        secure.paths["/x.csv"] = with_etag(feeds.sites_csv())
        assert feeds.turn().outcome == "loaded"
    feeds.means = feeds.means._replace(ca_file=tmp_path / "missing.pem")
    assert "GEOAPP_FEED_CA_FILE" in feeds.turn().message


def test_an_archive_holds_all_files_of_the_manifest(feeds, server):
    feeds.district.towns()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("towns.gpkg", "sites.csv"):
            archive.write(feeds.district.folder / name, f"城市/{name}")
        archive.writestr("../../evil.csv", "x")
        archive.writestr("城市/sites.xml", "beside it")
    feeds.means = feeds.means._replace(limits=Limits())
    server.paths["/city.zip"] = lambda r: r.answer(200, packed.getvalue())
    feeds.add(source=server.url("/city.zip"))
    assert feeds.turn().outcome == "loaded"
    assert len(feeds.names()) == len(ROWS)
    assert not list(Path(feeds.means.home).rglob("*.csv"))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr("sites.csv", "x")
        archive.infolist()[0].file_size = 9 << 30
    server.paths["/city.zip"] = lambda r: r.answer(200, bomb.getvalue())
    assert "bomb" in feeds.turn().message
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        archive.writestr("sites.csv", "x")
    server.paths["/city.zip"] = lambda r: r.answer(200, packed.getvalue())
    assert "does not hold towns.gpkg" in feeds.turn().message
    server.paths["/city.zip"] = lambda r: r.answer(200, b"id,name\n")
    assert "no .zip of them" in feeds.turn().message
    assert len(feeds.names()) == len(ROWS)


# -- secrets ----------------------------------------------------------------------------------------------------------


def everything(url):
    """All that a listing, a log or a backup could show of feeds, as one text."""
    held = [
        fetch(url, f"SELECT t::text AS t FROM {table} AS t")
        for table in (
            "staging.feed",
            "staging.load",
            "staging.batch",
            "access.audit",
            "analysis.import_feed",
            "access.secret",
        )
    ]
    return json.dumps(held, ensure_ascii=False, default=str)


def test_credentials_of_an_address_are_sealed_and_used(feeds, server):
    feeds.district.load(feeds.url)
    server.paths["/s"] = lambda r: r.answer(302, Location="/t")
    server.paths["/t"] = with_etag(feeds.sites_csv(renamed(1, "新")))
    feeds.add(source=server.url("/s?tk=Topsecret77&type=csv", f"feeder:{ESCAPED}@"))
    assert feeds.turn().outcome == "loaded"
    server.paths["/t"] = lambda r: r.answer(500)
    assert feeds.turn().outcome == "failed"
    assert server.asked[0][0] == "/s?tk=Topsecret77&type=csv"
    assert server.asked[0][1]["Authorization"].startswith("Basic ")
    assert feeds.state()["source"] == server.url("/s?tk=***&type=***")
    for planted in (SECRET, ESCAPED, "Topsecret77", "feeder"):
        assert planted not in everything(feeds.url)
    with connect(feeds.url) as connection:
        remove_feed(connection, "f", by="x")
    assert fetch(feeds.url, "SELECT FROM access.secret") == []


@pytest.mark.parametrize(
    ("address", "shown", "is_secret"),
    [
        ("https://example.org/a/b.csv", "https://example.org/a/b.csv", False),
        ("https://u:p@example.org:8443/a.csv#top", "https://example.org:8443/a.csv", True),
        ("https://example.org/a?sig=x&x=%20", "https://example.org/a?sig=***&x=***", True),
        ("https://example.org/a?justatoken", "https://example.org/a?***", True),
    ],
)
def test_what_is_seen_of_an_address(address, shown, is_secret):
    found = split_web_address(address)
    assert (found.shown, found.secret == address) == (shown, is_secret)


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "gopher://x",
        "https:///x",
        "http://a b/",
        "postgresql://h/d",
    ],
)
def test_other_addresses_are_refused(address):
    with pytest.raises(Refused):
        split_web_address(address)


def test_what_is_seen_of_a_database():
    env = "postgresql://reader:${PW}@10.0.0.1/gis"
    assert split_database_address(env) == (env, None)
    assert split_database_address("postgresql://10.0.0.1/gis").secret is None
    for address in (f"postgresql://u:{SECRET}@h:5432/d", "postgres://h/d?password=x&user=y"):
        found = split_database_address(address)
        assert (found.shown.split("://")[1] in ("h:5432/d", "h/d"), found.secret) == (True, address)


# -- a table elsewhere ------------------------------------------------------------------------------------------------


def test_a_table_elsewhere(feeds, make_database):
    elsewhere = make_database()
    with connect(elsewhere) as connection:
        connection.execute(
            "CREATE TABLE public.firms (id text PRIMARY KEY, name text, geom geometry(Point, 4549))"
        )
        connection.execute(
            "INSERT INTO public.firms SELECT 'S' || n, '工厂' || n, ST_SetSRID(ST_MakePoint(620000 + 100 * n, 3410100), 4549)"
            " FROM generate_series(1, 8) AS n"
        )
    feeds.district.load(feeds.url)
    feeds.district.sections["sites"] = {
        "file": elsewhere,
        "layer": "public.firms",
        "columns": {"id": "id", "name": "name"},
    }
    feeds.add(sections=["sites"])
    password = str(conninfo_to_dict(elsewhere)["password"])
    assert feeds.turn().outcome == "loaded"
    assert feeds.turn().outcome == "unchanged"
    with connect(elsewhere) as connection:
        connection.execute("UPDATE public.firms SET name = '库里改了' WHERE id = 'S4'")
    assert feeds.turn().outcome == "loaded"
    assert feeds.names()[3] == "库里改了"
    with connect(elsewhere) as connection:
        connection.execute("ALTER TABLE public.firms RENAME TO away")
    turn = feeds.turn()
    assert turn.outcome == "failed"
    assert len(feeds.names()) == len(ROWS)
    assert password not in everything(feeds.url) + turn.message


# -- rubbish ----------------------------------------------------------------------------------------------------------


def test_rubbish_is_not_loaded_until_a_person_says_so(feeds):
    feeds.add()
    feeds.turn()
    loaded_at = feeds.now
    feeds.sites_csv([*ROWS[:5], *((key, "", x, y) for key, _, x, y in ROWS[5:])])
    turn = feeds.turn()
    assert (turn.outcome, "38%" in turn.message, "--accept" in turn.message) == ("suspicious", True, True)
    feeds.sites_csv(ROWS[:3])
    assert "only 3 usable rows, 8 the last time" in feeds.turn().message
    feeds.sites_csv([(f"N{n}", *row[1:]) for n, row in enumerate(ROWS)])
    assert "8 of the 8 rows of the last time are gone" in feeds.turn().message
    results, said = tried(feeds.url, feeds.claim(), clock=feeds.clock, means=feeds.means)
    assert (results[-1].new, results[-1].gone, len(said)) == (8, 8, 1)
    state = feeds.state()
    assert (state["failures"], state["last_success_at"]) == (3, loaded_at)
    assert len(feeds.names()) == len(ROWS)
    refused = fetch(feeds.url, "SELECT state FROM staging.load ORDER BY id")
    assert [row["state"] for row in refused] == ["done", "refused", "refused", "refused"]
    feeds.now += timedelta(hours=1)  # the try's claim runs out
    assert feeds.turn(accept=True).outcome == "loaded"
    assert len(feeds.names()) == 2 * len(ROWS)
    # rows that stay stored although the file lacks them are not held against it for ever
    feeds.sites_csv([(f"N{n}", *row[1:]) for n, row in enumerate(ROWS[:6])])
    turn = feeds.turn()
    assert (turn.outcome, "gone 10" in turn.message) == ("unchanged", True)


# -- faults of our own -------------------------------------------------------------------------------------------------


def test_a_fault_of_the_program_is_a_failure_that_is_seen_and_stops_no_other_feed(feeds, monkeypatch):
    feeds.add("a")
    feeds.add("b")
    feeds.turn("a")

    for fault in (
        ZeroDivisionError("postgresql://u:S3cret@h/d"),
        psycopg.OperationalError("disk full\nDETAIL: x"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(turns, "look_at_folder", Mock(side_effect=fault))
            assert feeds.turn("a").outcome == "failed"
    assert "disk full" in feeds.state("a")["last_message"]
    assert "S3cret" not in everything(feeds.url)
    with connect(feeds.url, autocommit=True) as connection:
        connection.execute(
            """UPDATE staging.feed SET manifest = '{"of": "another version"}' WHERE name = 'a'"""
        )
    feeds.now += timedelta(hours=1)
    outcomes = {t.name: t.outcome for t in run_due(feeds.url, means=feeds.means, clock=feeds.clock)}
    assert outcomes == {"a": "failed", "b": "unchanged"}
    assert "does not fit this version" in feeds.state("a")["last_message"]
    assert feeds.state("a")["failures"] == 3


# -- several processes ------------------------------------------------------------------------------------------------


def test_two_at_once_never_take_the_same_feed(feeds):
    for name in ("a", "b", "c"):
        feeds.add(name)

    def claim(_):
        with connect(feeds.url) as connection:
            return [c.name for c in claim_feeds(connection, owner="x", at=feeds.now, most=2)]

    with ThreadPoolExecutor(6) as pool:
        taken = [name for names in pool.map(claim, range(6)) for name in names]
    assert sorted(taken) == ["a", "b", "c"]
    feeds.now += timedelta(hours=1)
    with ThreadPoolExecutor(2) as pool:
        turns = list(pool.map(lambda _: run_due(feeds.url, means=feeds.means, clock=feeds.clock), range(2)))
    assert sorted(t.name for both in turns for t in both) == ["a", "b", "c"]
    assert len(fetch(feeds.url, "SELECT FROM staging.load")) == 3


def test_a_process_that_lost_its_lease_writes_nothing(feeds):
    feeds.add()
    slow = feeds.claim()
    with connect(feeds.url) as connection:
        assert claim_feeds(connection, owner="other", at=feeds.now) == []
    assert feeds.state()["state"] == "running"
    feeds.now += timedelta(minutes=2)
    fresh = feeds.claim()
    assert (fresh.token, fresh.cut_off_owner) == (slow.token + 1, "me")
    assert take_turn(feeds.url, slow, clock=feeds.clock, means=feeds.means).outcome == "lost"
    assert feeds.names() == []
    assert take_turn(feeds.url, fresh, clock=feeds.clock, means=feeds.means).outcome == "loaded"
    failed = feeds.claim()._replace(token=0)
    (feeds.district.folder / "sites.csv").unlink()
    take_turn(feeds.url, failed, clock=feeds.clock, means=feeds.means)
    assert feeds.state()["failures"] == 0


def test_a_lease_is_renewed_while_a_load_waits(feeds):
    feeds.add()
    feeds.means = feeds.means._replace(lease_s=0.3)
    claim = feeds.claim()
    with connect(feeds.url) as blocking, ThreadPoolExecutor(1) as pool:
        blocking.execute("SELECT pg_advisory_xact_lock(748116312)")
        running = pool.submit(take_turn, feeds.url, claim, clock=feeds.clock, means=feeds.means)
        feeds.now += timedelta(minutes=5)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            if fetch(feeds.url, "SELECT FROM staging.feed WHERE lease_until > %s", feeds.now):
                break
            time.sleep(0.02)
        with connect(feeds.url) as connection:
            assert claim_feeds(connection, owner="other", at=feeds.now) == []
        blocking.rollback()
        assert running.result(20).outcome == "loaded"


def test_a_killed_process_is_taken_over_and_its_half_is_not_there(feeds):
    feeds.add()
    feeds.turn()
    feeds.sites_csv(renamed(1, "半路"))
    with connect(feeds.url, autocommit=True) as connection:
        connection.execute("UPDATE staging.feed SET next_due_at = now()")
    with connect(feeds.url) as blocking:
        # the load comes as far as the register, and waits there
        blocking.execute("LOCK TABLE registry.site IN SHARE MODE")
        process = subprocess.Popen(
            [Path(sys.executable).with_name("geoapp"), "feed", "run"],
            env=os.environ | {"GEOAPP_DATABASE_URL": feeds.url},
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            waiting = fetch(
                feeds.url,
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            if waiting:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert waiting
        blocking.rollback()
    (held,) = fetch(feeds.url, "SELECT lease_owner, lease_until FROM staging.feed")
    assert held["lease_owner"].split(":")[1] == str(process.pid)
    assert feeds.names()[0] == ROWS[0][1]
    feeds.now = held["lease_until"] + timedelta(seconds=1)
    with connect(feeds.url) as connection:
        (claim,) = claim_feeds(connection, owner="other", at=feeds.now)
    assert claim.cut_off_owner == held["lease_owner"]
    assert take_turn(feeds.url, claim, clock=feeds.clock, means=feeds.means).outcome == "loaded"
    assert feeds.names()[0] == "半路"
    runs = fetch(feeds.url, "SELECT state, staging.is_held(id) AS held FROM staging.load ORDER BY id")
    assert [(r["state"], r["held"]) for r in runs] == [("done", False), ("running", False), ("done", False)]


def test_the_clockwork_takes_what_is_due_and_stops(feeds):
    feeds.add()
    stop = threading.Event()
    running = threading.Thread(
        target=run_until,
        args=(feeds.url, stop),
        kwargs={"means": feeds.means, "clock": feeds.clock, "tick_s": 0.05},
    )
    running.start()
    ends = time.monotonic() + 20
    while time.monotonic() < ends and feeds.state()["state"] != "ok":
        time.sleep(0.02)
    stop.set()
    running.join(20)
    assert (running.is_alive(), feeds.state()["state"], len(feeds.names())) == (False, "ok", len(ROWS))


# -- to be seen -------------------------------------------------------------------------------------------------------


def test_an_age_that_is_too_old_never_looks_fine(feeds):
    feeds.add()
    feeds.turn()
    seen = {}
    for minutes in (0, 59, 66, 119, 121):
        with connect(feeds.url) as connection:
            (row,) = feed_states(connection, moment=feeds.now + timedelta(minutes=minutes))
        seen[minutes] = (row["state"], row["is_late"])
    assert seen == {
        0: ("ok", False),
        59: ("ok", False),
        66: ("overdue", False),  # nobody came to fetch it
        119: ("overdue", False),
        121: ("overdue", True),
    }
    metrics = {r["name"]: r["value"] for r in fetch(feeds.url, "SELECT * FROM access.metrics()")}
    assert (metrics["feeds_total"], metrics["feeds_failing"], metrics["feeds_late"]) == (1, 0, 1)
    assert metrics["feed_oldest_age_seconds"] > 86_400  # by the server's own clock
    feeds.now += timedelta(days=3)
    with connect(feeds.url) as connection:
        pause_feed(connection, "f", moment=feeds.now, by="x")
        assert claim_feeds(connection, owner="x", at=feeds.now) == []
    paused = feeds.state()
    assert (paused["state"], paused["is_late"], paused["next_due_at"]) == ("paused", True, None)
    with connect(feeds.url) as connection:
        resume_feed(connection, "f", moment=feeds.now, by="x")
        assert [c.name for c in claim_feeds(connection, owner="x", at=feeds.now)] == ["f"]


def test_an_import_that_was_taken_back_does_not_look_fine_and_does_not_come_back(feeds):
    feeds.add()
    feeds.turn()
    feeds.sites_csv(renamed(1, "错的"))
    feeds.turn()
    roll_back(feeds.url, load_id=fetch(feeds.url, "SELECT max(id) AS id FROM staging.load")[0]["id"], by="x")
    assert feeds.turn().outcome == "unchanged"
    assert (feeds.names()[0], feeds.state()["state"]) == (ROWS[0][1], "taken_back")
    feeds.sites_csv(renamed(1, "对的"))
    assert feeds.turn().outcome == "loaded"
    assert (feeds.names()[0], feeds.state()["state"]) == ("对的", "ok")


def test_admins_see_feeds_and_others_do_not(empty_url):
    rights = fetch(
        empty_url,
        "SELECT r AS role, has_table_privilege(r, 'staging.feed', 'SELECT') AS reads,"
        " has_table_privilege(r, 'staging.feed', 'INSERT, UPDATE, DELETE') AS writes"
        " FROM unnest(ARRAY['geoapp_admin', 'geoapp_analyst', 'geoapp_committee', 'geoapp_web']) AS r",
    )
    assert {r["role"]: (r["reads"], r["writes"]) for r in rights} == {
        "geoapp_admin": (True, False),
        "geoapp_analyst": (False, False),
        "geoapp_committee": (False, False),
        "geoapp_web": (False, False),
    }


def test_the_commands(feeds, monkeypatch, server):
    monkeypatch.setenv("GEOAPP_DATABASE_URL", feeds.url)
    settings.cache_clear()
    monkeypatch.setattr(Means, "of_installation", lambda: feeds.means)
    manifest = str(feeds.district.manifest)

    def said(*words, status=0):
        done = CliRunner().invoke(app, list(words))
        if isinstance(done.exception, Refused):
            assert status == 1
            return str(done.exception)
        assert done.exit_code == status, done.output
        return done.stdout

    said("add", "towns", manifest, "--every", "02:30")
    Path(manifest).unlink()  # it was copied
    assert "dry run" in said("try", "towns")
    assert feeds.names() == []
    assert json.loads(said("run", "towns", "--json"))[0]["outcome"] == "loaded"
    (row,) = json.loads(said("list", "--json"))
    assert (row["state"], row["is_late"], row["source"]) == ("ok", False, str(feeds.district.folder))
    assert row["age_s"] < 60
    feeds.district.sites(ROWS[:2])
    assert "suspicious" in said("run", "towns", status=1)
    said("try", "towns", status=1)
    said("run", "towns", "--accept")
    assert said("run", "--once") == ""
    said("pause", "towns")
    assert "paused" in said("list")
    said("resume", "towns")
    assert "unchanged" in said("run", "--once")
    manifest = str(feeds.district.manifest)
    assert "there is a feed" in said("add", "towns", manifest, "--every", "1h", status=1)
    assert "15m, 1h" in said("add", "x", manifest, "--every", "soon", status=1)
    assert "small letters" in said("add", "坏 名", manifest, "--every", "1h", status=1)
    assert "no such section" in said("add", "x", manifest, "--every", "1h", "--section", "grid", status=1)
    assert "not fetched" in said("add", "x", manifest, "--every", "1h", "--from", "file:///x", status=1)
    assert "no such folder" in said("add", "x", manifest, "--every", "1h", "--from", "/nowhere", status=1)
    said("run", "--accept", status=2)
    said("remove", "towns")
    assert "no feed of this name" in said("remove", "towns", status=1)
    assert "there are: -" in said("try", "towns", status=1)
    assert len(feeds.names()) == len(ROWS)
