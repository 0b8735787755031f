"""Nothing that goes out holds a secret that was planted in it, however it is written."""

import base64
import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from geoapp import cli
from geoapp.access.redaction import (
    MASK,
    Redacting,
    is_secret_name,
    mask_id_numbers,
    redact,
    redact_event,
    redact_values,
)

# What a password may hold anywhere; what would end it is written as its carrier demands (percent, quotes, base64).
PLAIN = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters="-_.~!*$+@:/"),
    min_size=8,
    max_size=30,
).filter(lambda text: text.strip("*") != "" and "***" not in text and "://" not in text)
ANY = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=6, max_size=30).filter(
    lambda text: text.strip() == text and "***" not in text
)

CARRIERS: dict[str, Callable[[str], str]] = {
    "camera address": lambda s: f"GET http://admin:{s}@10.0.0.5:8000/snap.jpg failed",
    "rtsp address": lambda s: f"rtsp://admin:{s}@10.0.0.5:554/h264/ch1 not reachable",
    "database address": lambda s: (
        f"connection to postgresql://geoapp:{s}@127.0.0.1:5432/geoapp?sslmode=require"
    ),
    "parameter of an address": lambda s: f"http://10.0.0.5/snap.cgi?user=admin&pwd={quote(s, safe='')}&ch=1",
    "libpq": lambda s: f"host=127.0.0.1 user=geoapp password={s} dbname=geoapp",
    "key and value": lambda s: f"token={s}",
    "yaml": lambda s: f"camera_password: {s}",
    "chinese": lambda s: f"口令：{s}",
    "header": lambda s: f"Authorization: Bearer {s}",
    "cookie": lambda s: f"Cookie: _csrf_token=abc; session={s}",
    "csrf": lambda s: f"X-CSRFToken: {s}",
}
QUOTED: dict[str, Callable[[str], str]] = {
    "json": lambda s: json.dumps({"url": "x", "password": s, "next": 1}),
    "json, chinese kept": lambda s: json.dumps({"password": s}, ensure_ascii=False),
    "headers as python shows them": lambda s: str({"Accept": "*/*", "Authorization": s}),
    "headers as httpcore shows them": lambda s: str([(b"Host", b"a"), (b"Cookie", s.encode())]),
    "percent-encoded address": lambda s: f"http://admin:{quote(s, safe='')}@10.0.0.5/snap.jpg",
    "address in an address": lambda s: f"next=http%3A%2F%2Fadmin%3A{quote(s, safe='')}%40host%2Fsnap",
    "parameter in an address in an address": lambda s: (
        "u=" + quote(f"http://h/?password={quote(s, safe='')}&a=1", safe="")
    ),
    "basic": lambda s: "sent Basic " + base64.b64encode(f"admin:{s}".encode()).decode(),
}


@pytest.mark.parametrize("name", CARRIERS)
@given(secret=PLAIN)
def test_a_planted_secret_never_survives(name: str, secret: str) -> None:
    carried = CARRIERS[name](secret)
    assert secret in carried or quote(secret, safe="") in carried
    assert secret not in redact(carried)
    assert quote(secret, safe="") not in redact(carried)


@pytest.mark.parametrize("name", QUOTED)
@given(secret=ANY)
def test_any_secret_is_covered_where_its_carrier_quotes_it(name: str, secret: str) -> None:
    said = redact(QUOTED[name](secret))
    for form in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
        # A text that the carrier itself holds ("Accept", "10.0.0.5") proves nothing.
        assert form not in said or form in QUOTED[name]("")


def test_json_stays_json() -> None:
    said = redact(json.dumps({"password": 'a "b" c', "token": "x", "camera": "3101", "n": 1}))
    assert json.loads(said) == {"password": MASK, "token": MASK, "camera": "3101", "n": 1}


@given(st.text(max_size=300))
def test_any_text_is_taken_and_twice_is_as_good_as_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "camera401.example has 3 passes",
        "http://10.0.0.5:8000/snap.jpg?channel=1 answered in 20 ms",
        "GB/T 28181 id 31011600001320000001, cell 310116103001100700, credit code 91310116MA1FL0XY45",
        "basic authentication is off; the cookie, if any, is short-lived",
        "2026-11-22T01:30:00.123456+00:00 scan 1795308600123456 took 17.5 ms",
        "a 3-degree zone: EPSG:4549, x=426000.123456789, y=3400000.5",
        "ga_zip is not a token; sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_token_of_geoapp_is_known_anywhere() -> None:
    token = "ga_" + "aZ09_-" * 7 + "x"
    assert redact(f"[{token}] was used") == "[ga_***] was used"


# -- ID numbers -------------------------------------------------------------------------------------------------


def id_number(place: int, birthday: str, person: int) -> str:
    """An 18-digit number with its check digit (GB 11643-1999: weights 2^(18-i) mod 11)."""
    first = f"{place:06d}{birthday}{person:03d}"
    total = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(first))
    return first + "10X98765432"[total % 11]


ID_NUMBERS = st.builds(
    lambda place, day, person: id_number(place, day.strftime("%Y%m%d"), person),
    st.sampled_from([310116, 231005, 110101, 659001]),
    st.dates(date(1920, 1, 1), date(2025, 12, 31)),
    st.integers(0, 999),
)


def test_the_check_digit_is_the_standards() -> None:
    # The example of GB 11643-1999, 34052419800101001X.
    assert id_number(340524, "19800101", 1) == "34052419800101001X"


@given(ID_NUMBERS, st.sampled_from(["{}", "身份证{}号", "T{}", "id={},", "（{}）", "name 张三 {} 焊工"]))
def test_an_id_number_is_masked(number: str, around: str) -> None:
    text = around.format(number)
    said = mask_id_numbers(text)
    assert number not in said
    assert said == text.replace(number, f"{number[:3]}***********{number[14:]}")
    lower = redact(text.replace("X", "x"))
    assert number[3:14] not in lower


@given(ID_NUMBERS)
def test_an_id_number_in_groups_or_full_width_is_masked(number: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
    assert wide not in redact(f"证 {wide}")
    assert number[6:14] not in redact(f"{number[:6]} {number[6:14]} {number[14:]}")
    assert number[6:14] not in redact(f"{number[:6]}-{number[6:14]}-{number[14:]}")


@given(ID_NUMBERS)
def test_old_numbers_of_fifteen_digits_are_masked(number: str) -> None:
    try:
        date(int("19" + number[8:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return  # 29 February of another century
    old = number[:6] + number[8:17]
    assert redact(f"旧证 {old} 。") == f"旧证 {old[:3]}********{old[11:]} 。"


@pytest.mark.parametrize(
    "wrong", ["310116199001011234", "310116199013011234", "990116199001011231", "310116103001100700"]
)
def test_other_numbers_of_eighteen_digits_are_not(wrong: str) -> None:
    right = id_number(int(wrong[:6]), wrong[6:14], int(wrong[14:17]))
    number = wrong if wrong != right else wrong[:-1] + "0"
    assert mask_id_numbers(number) == number


def test_a_certificate_number_is_masked_even_with_a_wrong_digit() -> None:
    assert mask_id_numbers("T310116199001011230") == "T310***********1230"


# -- in logs ----------------------------------------------------------------------------------------------------


def test_values_are_redacted_at_any_depth() -> None:
    said = redact_values(
        {
            "password": "S3cret!",
            "camera": {
                "url": "http://a:S3cret!@h/x",
                "credentials": ["S3cret!"],
                "sealed": SecretStr("S3cret!"),
            },
            "token": b"S3cret!",
            "raw": b"Authorization: S3cret!",
            "fault": ValueError("password=S3cret!"),
            "身份证号": "not a number at all",
            "lease_token": 17,
            "count": 3,
            "none": None,
        }
    )
    assert "S3cret!" not in str(said)
    assert (said["lease_token"], said["count"], said["none"], said["身份证号"]) == (17, 3, None, MASK)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "camera_password",
        "PWD",
        "api_key",
        "access-token",
        "Cookie",
        "密码",
        "登录口令",
        "身份证号",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["camera", "reason", "passes", "password_set_at", "holder_hash", "compass", "名称", "author", "token_id"],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


def test_structlog_lines_hold_no_secret() -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.format_exc_info, redact_event, structlog.processors.JSONRenderer()],
    )
    try:
        raise ValueError("postgresql://a:S3cret!@h/x")
    except ValueError:
        log.error(
            "failed at http://a:S3cret!@h", exc_info=True, password="S3cret!", rows=[{"pwd": "S3cret!"}]
        )
    line = json.loads(out.getvalue())
    assert "S3cret!" not in out.getvalue()
    assert "ValueError" in line["exception"]


def test_the_standard_librarys_lines_hold_no_secret() -> None:
    out = io.StringIO()
    logger = logging.Logger("test")
    handler = logging.StreamHandler(out)
    handler.addFilter(Redacting())
    logger.addHandler(handler)
    try:
        raise ValueError("password=S3cret!")
    except ValueError:
        logger.exception("asked %s of %s", "http://a:S3cret!@h/x", {"Authorization": "Basic S3cret!"})
    logger.error("%d", "http://a:S3cret!@h/x")
    assert "S3cret!" not in out.getvalue()
    assert "ValueError" in out.getvalue()
    assert "do not fit" in out.getvalue()


PROGRAM = """
import logging, sys, threading, warnings
import structlog
from geoapp.access.redaction import install
install()
install()
logging.basicConfig(stream=sys.stdout)  # a handler that comes later
logging.getLogger("a.library").error("connect to %s", "postgresql://u:S3cret!@h/d")
access = logging.getLogger("uvicorn.access")
access.error('%s - "%s %s HTTP/%s" %d', "1.1.1.1", "GET", "/x?token=S3cret!", "1.1", 200)
structlog.get_logger().warning("cookie", password="S3cret!", url="http://u:S3cret!@h/")
thread = threading.Thread(target=lambda: 1 / 0 if False else int("password=S3cret!"))
thread.start(); thread.join()
raise RuntimeError("Authorization: Basic S3cret!")
"""


def test_a_whole_process_says_no_secret_not_even_in_its_last_words() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    # Python shows the source line of a fault where it has the source; here it has none.
    assert "S3cret!" not in said
    for expected in (
        "connect to postgresql://***@h/d",
        "/x?token=***",
        "RuntimeError",
        "ValueError",
        "http://***@h/",
    ):
        assert expected in said


@pytest.mark.parametrize(
    "piece",
    [
        "://",
        "://a:",
        "password=",
        "pass",
        "a",
        "1",
        "%3A%2F%2F",
        "'",
        '"',
        "Cookie: ",
        "\\",
        "&a=",
        "token token ",
    ],
)
def test_no_text_holds_up_a_log(piece: str) -> None:
    began = time.monotonic()
    redact(piece * (1_000_000 // len(piece)))
    assert time.monotonic() - began < 2.0


def test_a_fault_on_the_command_line_is_shown_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("could not reach rtsp://viewer:S3cret!@10.0.0.5/ch1")

    monkeypatch.setattr(cli, "build", broken)
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert "S3cret!" not in said
    assert "could not reach rtsp://***@10.0.0.5/ch1" in said
    assert "Traceback" in said  # it is a fault of ours: where, is said
