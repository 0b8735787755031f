"""Passwords: argon2id hashes, and which passwords are not taken.

Parameters: 3 passes over 64 MiB, as RFC 9106 §4 recommends for machines with little memory to spare, in two lanes
instead of four, because the house's smallest machine has two cores: about 95 ms there. At most two are computed at a
time, so that a rush of sign-ins takes at most 128 MiB and leaves the map its memory.
"""

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from geoapp.access.common_passwords import COMMON
from geoapp.errors import Refused

__all__ = [
    "LONGEST",
    "SHORTEST",
    "PasswordRefused",
    "TooBusy",
    "hash_password",
    "is_too_long",
    "needs_rehash",
    "one_time_password",
    "problems_of",
    "refuse_problems",
    "verify_password",
]

SHORTEST = 10
LONGEST = 128
# Longer text is not even normalised: what is composed of more than four code points a character is no password.
LONGEST_RAW = 4 * LONGEST
# From this length on the kinds of characters no longer matter (a sentence is a good password).
LONG = 16
KINDS = 3
AT_A_TIME = 2
PATIENCE_S = 5.0

_hasher = PasswordHasher(
    time_cost=3, memory_cost=65536, parallelism=2, hash_len=32, salt_len=16, type=Type.ID
)
_turns = threading.BoundedSemaphore(AT_A_TIME)

_RUN = 4
# No 0 and o, 1 and l and i: it is read out on the telephone.
_CLEAR = "abcdefghjkmnpqrstuvwxyz23456789"
_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_COLUMNS = ("1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik", "9ol", "0p")
_NEIGHBOURS = frozenset(
    pair for row in (*_ROWS, *_COLUMNS) for line in (row, row[::-1]) for pair in pairwise(line)
)
_UNDO = str.maketrans("@013457$!|", "aoieastsii")


class PasswordRefused(Refused):
    """A password that is not taken; `problems` says why, as (zh, en)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("\n  ".join(f"{zh} / {en}" for zh, en in problems))


class TooBusy(Refused):
    """So many passwords are being checked that this one would wait too long."""


def is_too_long(typed: str) -> bool:
    """Whether this is longer than any password; costs nothing, however long it is."""
    return len(typed) > LONGEST_RAW or len(_plain(typed)) > LONGEST


def hash_password(password: str) -> str:
    """The argon2id hash (PHC string) of a password, NFKC first, so that one text has one hash on every keyboard.

    Takes about 0.1 s. Raises PasswordRefused for more than 128 characters, TooBusy after 5 s of waiting for a turn.
    """
    if is_too_long(password):
        raise PasswordRefused([_too_long()])
    with _turn():
        return _hasher.hash(_plain(password))


def verify_password(kept: str | None, typed: str) -> bool:
    """Whether `typed` is the password whose hash is `kept`; None (no account, no password) costs the same and is False.

    More than 128 characters are False at once, whoever asks. Raises TooBusy after 5 s of waiting for a turn.
    """
    if is_too_long(typed):
        return False
    plain = _plain(typed).encode("utf-8", "surrogatepass")
    against = kept or _nobodys_hash()
    with _turn():
        try:
            matches = _hasher.verify(against, plain)
        except (VerificationError, InvalidHashError):
            return False
    return matches and kept is not None


def needs_rehash(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def problems_of(password: str, login: str, name: str) -> list[tuple[str, str]]:
    """Why a password is not taken, as (zh, en); empty = it is. login, name: the account's (name in Chinese or Latin)."""
    if is_too_long(password):
        return [_too_long()]
    plain = _plain(password)
    found: list[tuple[str, str]] = []
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in plain):
        found.append(("含看不见的控制字符", "it holds control characters that cannot be seen"))
    if len(plain) < SHORTEST:
        found.append((f"至少 {SHORTEST} 个字符", f"it needs at least {SHORTEST} characters"))
    if len(plain) < LONG and _kinds(plain) < KINDS:
        found.append(
            (
                f"大写、小写、数字、符号（汉字算符号）至少三种，或者不少于 {LONG} 个字符",
                f"use three of capitals, small letters, digits and signs, or at least {LONG} characters",
            )
        )
    small = plain.casefold()
    if any(word in small or word in small.translate(_UNDO) for word in _own_words(login, name)):
        found.append(("不能含账号或姓名", "it may not hold the login or the name"))
    if not _cores(small).isdisjoint(COMMON):
        found.append(("太常见，容易被猜到", "it is one of the passwords that are tried first"))
    elif _patterned(small) * 2 > len(small):
        found.append(
            ("重复、顺序或键盘相邻的字符太多", "most of it is repeats, sequences or neighbouring keys")
        )
    return found


def refuse_problems(password: str, login: str, name: str) -> None:
    """Raises PasswordRefused for a password that is not taken."""
    problems = problems_of(password, login, name)
    if problems:
        raise PasswordRefused(problems)


def one_time_password() -> str:
    """A password to be told once and changed at the first sign-in: 19 characters that are not taken for one another, 79 bits."""
    while True:
        groups = ["".join(secrets.choice(_CLEAR) for _ in range(4)) for _ in range(4)]
        made = "-".join(groups)
        if not problems_of(made, "", ""):
            return made


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=PATIENCE_S):
        raise TooBusy("现在登录的人太多，请稍后再试 / too many sign-ins at this moment: try again shortly.")
    try:
        yield
    finally:
        _turns.release()


@cache
def _nobodys_hash() -> str:
    """A hash that no password matches: verified against where there is no account, so that it takes as long."""
    return _hasher.hash("nobody's password")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _too_long() -> tuple[str, str]:
    return (f"最多 {LONGEST} 个字符", f"it may have at most {LONGEST} characters")


def _kinds(plain: str) -> int:
    """Of four: capitals, small letters, digits, anything else."""
    kinds = {
        "upper" if c.isupper() else "lower" if c.islower() else "digit" if c.isdigit() else "sign"
        for c in plain
    }
    return len(kinds)


def _own_words(login: str, name: str) -> list[str]:
    """What of the account may not be in its password: the login, the name, the name in pinyin."""
    from pypinyin import lazy_pinyin  # its dictionary takes 0.4 s, and most commands set no password

    plain_name = "".join(_plain(name).casefold().split())
    words = [(login.casefold(), 3), (plain_name, 2), ("".join(lazy_pinyin(plain_name)), 4)]
    words += [(part, 3) for part in _plain(name).casefold().split()]
    return [word for word, least in words if len(word) >= least]


def _cores(small: str) -> set[str]:
    """A password without its decoration, in the ways people decorate."""
    letters = re.sub(r"[^0-9a-z\u3400-\u9fff]", "", small)
    undone = re.sub(r"[^a-z]", "", small.translate(_UNDO))
    bare = re.sub(r"[0-9]+$|^[0-9]+", "", letters)
    unmarked = re.sub(r"[^a-z]+$|^[^a-z]+", "", small).translate(_UNDO)
    return {small, letters, undone, bare, unmarked, re.sub(r"[^a-z]", "", letters)} - {""}


def _patterned(small: str) -> int:
    """How many characters stand in runs of four or more that repeat, count up or down, or are neighbours on a keyboard."""
    for unit in range(1, len(small) // 2 + 1):
        if (small[:unit] * len(small))[: len(small)] == small:
            return len(small)
    covered = 0
    start = 0
    kind = ""
    for at in range(1, len(small) + 1):
        step = _step(small[at - 1], small[at]) if at < len(small) else ""
        if step and (step == kind or at - start == 1):
            kind = step
            continue
        if at - start >= _RUN:
            covered += at - start
        start, kind = (at - 1, step) if step else (at, "")
    return covered


def _step(one: str, other: str) -> str:
    if one == other:
        return "same"
    if one.isalnum() and other.isalnum() and ord(other) - ord(one) in (1, -1):
        return "up" if other > one else "down"
    return "near" if (one, other) in _NEIGHBOURS else ""
