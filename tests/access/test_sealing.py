"""Secrets at rest: what is sealed opens in its own place under its own key, and nowhere else."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from geoapp.access import key_file, sealing, secret_commands
from geoapp.access.key_file import KeyFile, KeyFileRefused
from geoapp.access.sealing import SecretUnreadable
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
KEYS = KeyFile((bytes(range(32)),), bytes(range(32, 64)), bytes(range(64, 96)))
OTHER = KeyFile((bytes(range(1, 33)),), bytes(range(33, 65)), bytes(range(65, 97)))
GB_ID = "31011600001320000001"
PLACE = f"camera/{GB_ID}/password"


@pytest.fixture
def store(home: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """An autocommit connection to the installation's database."""
    monkeypatch.setenv("GEOAPP_DATABASE_URL", empty_url)
    settings.cache_clear()
    with connect(empty_url, autocommit=True) as connection:
        yield connection


# -- sealing ----------------------------------------------------------------------------------------------------


@given(st.text(min_size=0, max_size=200), st.text(min_size=1, max_size=60))
def test_what_is_sealed_opens_again(value: str, place: str) -> None:
    try:
        (value + place).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    key_id, sealed = sealing.seal(value, place, under=KEYS)
    assert sealing.unseal(key_id, sealed, place, under=KEYS).get_secret_value() == value
    assert len(value) < 4 or value.encode() not in sealed


@given(st.data())
def test_a_changed_byte_does_not_open(data: st.DataObject) -> None:
    key_id, sealed = sealing.seal("S3cret!", PLACE, under=KEYS)
    at = data.draw(st.integers(0, len(sealed) - 1))
    flip = data.draw(st.integers(1, 255))
    tampered = bytes(b ^ flip if i == at else b for i, b in enumerate(sealed))
    with pytest.raises(SecretUnreadable, match="altered"):
        sealing.unseal(key_id, tampered, PLACE, under=KEYS)


@pytest.mark.parametrize("cut", [0, 1, 13, 20])
def test_a_cut_value_does_not_open(cut: int) -> None:
    key_id, sealed = sealing.seal("S3cret!", PLACE, under=KEYS)
    with pytest.raises(SecretUnreadable):
        sealing.unseal(key_id, sealed[:cut], PLACE, under=KEYS)


@pytest.mark.parametrize(
    "elsewhere", [PLACE.replace("01/", "02/"), f"camera/{GB_ID}/username", "webhook/a/b"]
)
def test_a_value_moved_to_another_row_does_not_open(elsewhere: str) -> None:
    key_id, sealed = sealing.seal("S3cret!", PLACE, under=KEYS)
    with pytest.raises(SecretUnreadable, match="another row"):
        sealing.unseal(key_id, sealed, elsewhere, under=KEYS)


def test_another_key_says_which_key_it_is() -> None:
    key_id, sealed = sealing.seal("S3cret!", PLACE, under=KEYS)
    with pytest.raises(SecretUnreadable) as refusal:
        sealing.unseal(key_id, sealed, PLACE, under=OTHER)
    other_id, _ = sealing.seal("x", PLACE, under=OTHER)
    assert key_id in str(refusal.value)
    assert other_id in str(refusal.value)


def test_the_same_text_is_never_sealed_to_the_same_bytes() -> None:
    assert len({sealing.seal("S3cret!", PLACE, under=KEYS)[1] for _ in range(50)}) == 50


def test_a_secret_does_not_show_itself() -> None:
    opened = sealing.unseal(*sealing.seal("S3cret!", PLACE, under=KEYS), PLACE, under=KEYS)
    assert "S3cret!" not in f"{opened} {opened!r} {KEYS!r}"
    assert "\\x01" not in repr(KEYS)


# -- keyed hashes and derived keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["31011619900101123x", " 310116 19900101 123X ", "３１０１１６１９９００１０１１２３Ｘ"]
)
def test_one_number_has_one_hash_however_it_is_written(home: Path, written: str) -> None:
    assert sealing.keyed_hash(written) == sealing.keyed_hash("31011619900101123X")
    assert sealing.keyed_hash(written) != sealing.keyed_hash("310116199001011231")


def test_a_hash_cannot_be_made_without_the_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = sealing.keyed_hash("31011619900101123X")
    assert len(here) == 64
    monkeypatch.setenv("GEOAPP_HOME", str(home.with_name("elsewhere")))
    settings.cache_clear()
    assert sealing.keyed_hash("31011619900101123X") != here


def test_a_blank_has_no_hash(home: Path) -> None:
    with pytest.raises(ValueError, match="nothing"):
        sealing.keyed_hash(" \t")


def test_derived_keys_differ_by_purpose_and_stay(home: Path) -> None:
    first = sealing.derived("device cookie")
    assert len(first) == 32
    assert first == sealing.derived("device cookie")
    assert (
        len({first, sealing.derived("web role"), *KEYS.seal, sealing.keys().derive, sealing.keys().hash}) == 5
    )


# -- the key file -----------------------------------------------------------------------------------------------


def test_the_key_file_is_made_for_its_owner_alone(home: Path) -> None:
    umask = os.umask(0)
    try:
        sealing.keys()
    finally:
        os.umask(umask)
    path = home / "keys" / "installation.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {p.name for p in path.parent.iterdir()} == {"installation.key", "installation.key.lock"}


def test_its_place_is_a_setting(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOAPP_KEY_FILE", str(tmp_path / "safe" / "geoapp.key"))
    settings.cache_clear()
    sealing.keys()
    assert (tmp_path / "safe" / "geoapp.key").is_file()
    assert not (home / "keys").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_open_to_others_is_refused(home: Path, mode: int) -> None:
    sealing.keys()
    path = settings().key_path
    path.chmod(mode)
    with pytest.raises(KeyFileRefused, match=f"{mode:04o}"):
        sealing.keys()


def test_a_folder_that_others_change_is_refused(home: Path) -> None:
    sealing.keys()
    settings().key_path.parent.chmod(0o777)
    with pytest.raises(KeyFileRefused, match="chmod 700"):
        sealing.keys()


def _spoil(path: Path, how: str) -> None:
    content = path.read_text()
    held = json.loads(content)
    if how == "cut":
        path.write_text(content[:-30])
    elif how == "empty":
        path.write_text("")
    elif how == "binary":
        path.write_bytes(bytes(range(256)))
    elif how == "no keys":
        path.write_text(json.dumps({**held, "seal": []}))
    elif how == "short key":
        path.write_text(json.dumps({**held, "hash": base64.b64encode(b"short").decode()}))
    elif how == "another key":
        path.write_text(json.dumps({**held, "hash": base64.b64encode(bytes(32)).decode()}))
    elif how == "not an object":
        path.write_text("[1, 2]")
    else:
        path.write_text(json.dumps({**held, "format": 2}))


@pytest.mark.parametrize(
    "how", ["cut", "empty", "binary", "no keys", "short key", "another key", "not an object", "newer format"]
)
def test_a_damaged_file_is_said_to_be_damaged(home: Path, how: str) -> None:
    sealing.keys()
    _spoil(settings().key_path, how)
    with pytest.raises(KeyFileRefused, match="damaged") as refusal:
        sealing.keys()
    assert "do not delete" in str(refusal.value)


def test_several_processes_at_once_end_with_one_key(home: Path) -> None:
    code = (
        "import sys; from geoapp.access import sealing; sys.stdin.read(1);"
        "print(sealing.key_fingerprint(), sealing.seal('x', 'a/b/c')[0])"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    said = {process.communicate(timeout=60)[0].strip() for process in started}
    assert said == {f"{sealing.key_fingerprint()} {sealing.seal('x', 'a/b/c')[0]}"}


# -- in the database --------------------------------------------------------------------------------------------


def test_a_stored_secret_comes_back_and_is_not_in_the_row(store: Connection) -> None:
    assert sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    assert not sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    found = sealing.secret_of(store, "camera", GB_ID, "password")
    assert found is not None
    assert found.get_secret_value() == "S3cret!"
    assert sealing.secret_of(store, "camera", GB_ID, "username") is None
    (row,) = store.execute("SELECT * FROM access.secret").fetchall()
    assert b"S3cret!" not in bytes(row["sealed"])
    assert row["set_by"] == "test"
    assert sealing.put_secret(store, "camera", GB_ID, "password", "An0ther", "test")
    assert (
        sealing.secrets_of(store, "camera", GB_ID, ["password", "username"])["password"].get_secret_value()
        == "An0ther"
    )
    assert sealing.forget_secrets(store, "camera", GB_ID) == 1
    assert sealing.secret_of(store, "camera", GB_ID, "password") is None


@pytest.mark.parametrize("value", ["", "a\nb", "a\x00b", "x" * 10_001])
def test_what_is_no_secret_is_refused(store: Connection, value: str) -> None:
    with pytest.raises(Refused, match="nothing was stored"):
        sealing.put_secret(store, "camera", GB_ID, "password", value, "test")
    assert store.execute("SELECT count(*) AS n FROM access.secret").fetchone() == {"n": 0}


@pytest.mark.parametrize("place", [("cam/era", "1", "a"), ("camera", "", "a"), ("camera", "1", "pass/word")])
def test_no_two_places_have_one_name(store: Connection, place: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="place"):
        sealing.put_secret(store, *place, "S3cret!", "test")


def test_a_row_copied_by_sql_does_not_open(store: Connection) -> None:
    sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    store.execute(
        "INSERT INTO access.secret SELECT subject_kind, '31011600001320000002', field, key_id, sealed, set_at, set_by"
        " FROM access.secret"
    )
    with pytest.raises(SecretUnreadable):
        sealing.secret_of(store, "camera", "31011600001320000002", "password")


def test_a_lost_key_file_is_not_replaced_in_silence(store: Connection) -> None:
    sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    settings().key_path.unlink()
    for attempt in (
        lambda: sealing.secret_of(store, "camera", GB_ID, "password"),
        lambda: sealing.put_secret(store, "camera", GB_ID, "password", "An0ther", "test"),
        lambda: sealing.rotate(store),
    ):
        with pytest.raises(KeyFileRefused, match="is missing"):
            attempt()
        assert not settings().key_path.exists()
    assert sealing.forget_unreadable(store) == [PLACE]
    assert sealing.put_secret(store, "camera", GB_ID, "password", "An0ther", "test")


def test_the_wrong_key_file_is_said_plainly(store: Connection) -> None:
    sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    settings().key_path.unlink()
    sealing.keys()
    with pytest.raises(SecretUnreadable, match="sealed under another key"):
        sealing.secret_of(store, "camera", GB_ID, "password")


# -- rotation ---------------------------------------------------------------------------------------------------


def test_rotation_seals_all_again_and_drops_the_old_key(store: Connection) -> None:
    for number in range(5):
        sealing.put_secret(store, "camera", f"{GB_ID[:-1]}{number}", "password", f"pw{number}", "test")
    before, fingerprint = sealing.keys(), sealing.key_fingerprint()
    hashed, derived = sealing.keyed_hash("T1"), sealing.derived("a")
    old_rows = store.execute("SELECT * FROM access.secret").fetchall()
    assert sealing.rotate(store) == 5
    after = sealing.keys()
    assert len(after.seal) == 1
    assert after.seal != before.seal
    assert (sealing.keyed_hash("T1"), sealing.derived("a"), sealing.key_fingerprint()) == (
        hashed,
        derived,
        fingerprint,
    )
    for number in range(5):
        found = sealing.secret_of(store, "camera", f"{GB_ID[:-1]}{number}", "password")
        assert found is not None
        assert found.get_secret_value() == f"pw{number}"
    assert not settings().key_path.with_name("installation.key.old").exists()
    with pytest.raises(SecretUnreadable):
        sealing.unseal(old_rows[0]["key_id"], bytes(old_rows[0]["sealed"]), PLACE)


def test_a_rotation_that_is_cut_off_loses_nothing_and_is_finished_later(
    store: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    steps = iter([None, None])  # the copy and the file with both keys are written; then the power goes
    really_write = key_file.write

    def write(path: Path, keys: KeyFile) -> None:
        if next(steps, "gone") == "gone":
            raise OSError("power cut")
        really_write(path, keys)

    with monkeypatch.context() as patch:
        patch.setattr(key_file, "write", write)
        with pytest.raises(OSError, match="power cut"):
            sealing.rotate(store)
    assert len(sealing.keys().seal) == 2
    found = sealing.secret_of(store, "camera", GB_ID, "password")
    assert found is not None
    assert found.get_secret_value() == "S3cret!"
    assert sealing.rotate(store) == 1
    assert len(sealing.keys().seal) == 1
    found = sealing.secret_of(store, "camera", GB_ID, "password")
    assert found is not None
    assert found.get_secret_value() == "S3cret!"


def test_a_rotation_stops_at_a_value_that_does_not_open(store: Connection) -> None:
    sealing.put_secret(store, "camera", GB_ID, "password", "S3cret!", "test")
    store.execute("UPDATE access.secret SET sealed = sealed || 'x'::bytea")
    before = settings().key_path.read_bytes()
    with pytest.raises(SecretUnreadable):
        sealing.rotate(store)
    assert settings().key_path.read_bytes() == before


# -- the command line -------------------------------------------------------------------------------------------


@pytest.fixture
def camera(store: Connection) -> str:
    store.execute(
        "INSERT INTO registry.camera (gb_id, name_zh, geom) VALUES (%s, '测试', ST_SetSRID(ST_MakePoint(620000, 3410000), 4549))",
        (GB_ID,),
    )
    return GB_ID


def call(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(secret_commands.app, list(arguments), input=typed)


def test_a_password_is_set_from_standard_input_and_listed_without_its_value(camera: str) -> None:
    done = call("set", "camera", camera, "--username", "operator7", "--json", typed="S3cret! ok\n")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["changed"] == ["password", "username"]
    listed = call("list", "--json")
    rows = json.loads(listed.stdout)
    assert [(r["id"], r["field"], r["is_readable"]) for r in rows] == [
        (camera, "password", True),
        (camera, "username", True),
    ]
    table = call("list")
    for said in (done.output, listed.output, table.output):
        assert "S3cret" not in said
        assert "operator7" not in said
    with connect() as connection:
        held = sealing.secrets_of(connection, "camera", camera, ["username", "password"])
    assert {f: v.get_secret_value() for f, v in held.items()} == {
        "username": "operator7",
        "password": "S3cret! ok",
    }


def test_a_password_on_the_command_line_is_refused_and_not_repeated(camera: str) -> None:
    for words in (("S3cret!",), ("--password", "S3cret!"), ("--password=S3cret!",)):
        done = call("set", "camera", camera, "--username", "admin", *words, typed="other\n")
        assert done.exit_code != 0
        assert "never given on the command line" in str(done.exception)
        assert "S3cret!" not in done.output + str(done.exception)
    assert call("list", "--json").stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("camera", "31011600001320009999", "--username", "a"), "There is no camera"),
        (("kamera", GB_ID, "--username", "a"), "unknown kind"),
        (("camera", GB_ID), "name the account"),
    ],
)
def test_what_cannot_be_set_is_refused_in_words(camera: str, words: tuple[str, ...], why: str) -> None:
    done = call("set", *words, typed="S3cret!\n")
    assert isinstance(done.exception, Refused)
    assert why in str(done.exception)


def test_rotation_and_forgetting_on_the_command_line(camera: str) -> None:
    call("set", "camera", camera, "--username", "admin", typed="S3cret!\n")
    before = json.loads(call("list", "--json").stdout)
    rotated = json.loads(call("rotate", "--json").stdout)
    after = json.loads(call("list", "--json").stdout)
    assert rotated["resealed"] == 2
    assert {r["key_id"] for r in after} == {rotated["key_id"]} != {r["key_id"] for r in before}
    settings().key_path.unlink()
    assert [r["is_readable"] for r in json.loads(call("list", "--json").stdout)] == [False, False]
    assert not settings().key_path.exists()
    assert len(json.loads(call("forget-unreadable", "--json").stdout)["removed"]) == 2
    assert isinstance(call("forget", "camera", camera).exception, Refused)
