"""Why nobody could look, in both languages: what a source says reads as one sentence in either."""

import ast
import re
from pathlib import Path

import pytest

import detection
from dashboards.camera_blind import said
from detection.config import FetchConfig
from detection.sources.foreign import foreign
from detection.sources.picture import checked
from detection.types import Reason, Unobserved

HOME = Path(detection.__file__).parent
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# A detail without words, such as "HTTP 404" or an address, reads the same in both.
WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")


def texts(call: ast.Call) -> list[str]:
    """The texts among a call's arguments, with {} for what is filled in."""
    out = []
    for argument in call.args[1:]:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            out.append(argument.value)
        if isinstance(argument, ast.JoinedStr):
            out.append("".join(v.value if isinstance(v, ast.Constant) else "{}" for v in argument.values))
    return out


def details() -> list[tuple[str, str]]:
    """Every detail that is written in a source or in the look at its picture, with its place."""
    found = []
    for path in [
        *sorted((HOME / "sources").glob("*.py")),
        HOME / "gate.py",
        *sorted((HOME / "picture_health").glob("*.py")),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Unobserved", "_failed")
            ):
                found += [(f"{path.name}:{node.lineno}", text) for text in texts(node)]
    return found


def test_every_detail_is_in_both_languages() -> None:
    found = details()
    assert len(found) > 40, "the search finds them"
    for place, text in found:
        halves = text.split(" / ")
        if WORDS.search(text):
            assert len(halves) == 2, (place, text)
            assert CHINESE.search(halves[0]), (place, text)
            assert not CHINESE.search(halves[1]), (place, text)
        else:
            assert len(halves) == 1 or (len(halves) == 2 and CHINESE.search(halves[0])), (place, text)
        assert "; " not in text, (place, "it parts two details")


@pytest.mark.parametrize(
    ("kind", "zh", "en"),
    [
        ("text/html; charset=utf-8", "text/html，4 字节", "text/html, 4 bytes"),
        ("", "未说明类型，4 字节", "no type said, 4 bytes"),
        ("a / b", "a | b，4 字节", "a | b, 4 bytes"),
    ],
)  # fmt: skip
def test_words_of_a_device_do_not_part_a_detail(kind: str, zh: str, en: str) -> None:
    answer = checked(b"none", FetchConfig(), kind=kind)
    assert isinstance(answer, Unobserved)
    assert answer.reason is Reason.NOT_AN_IMAGE
    assert (said(answer.detail, "zh"), said(answer.detail, "en")) == (zh, en)


def test_foreign_words_are_one_short_line() -> None:
    assert foreign("stream\r\n not / found; try   again", 30) == "stream not | found, try again"
    assert foreign("x" * 99, 10) == "x" * 10
    assert foreign(None, 10) == "None"
