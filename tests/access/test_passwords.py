"""Passwords: which are taken, what a hash costs and does not give away."""

import threading
import time

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from geoapp.access import passwords
from geoapp.access.common_passwords import COMMON
from geoapp.access.passwords import (
    LONGEST,
    PasswordRefused,
    hash_password,
    needs_rehash,
    problems_of,
    refuse_problems,
    verify_password,
)

pytestmark = pytest.mark.usefixtures("real_hashes")

GOOD = [
    "Huoxian#88Mei",
    "correct horse battery staple",
    "k7mq-x3fp-9trw-h4vd",
    "春眠不觉晓，处处闻啼鸟，夜来风雨声。",
]


def said(password: str, login: str = "zhang.san", name: str = "张三") -> str:
    return "; ".join(en for _, en in problems_of(password, login, name))


@pytest.mark.parametrize("password", GOOD)
def test_good_passwords_are_taken(password: str) -> None:
    assert problems_of(password, "zhang.san", "张三") == []


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("Ab1!xyzq", "at least 10"),
        ("", "at least 10"),
        ("x" * 129, "at most 128"),
        ("x" * 1_000_000, "at most 128"),
        ("huoxianmeiyou", "three of"),
        ("Huoxian\n88#Mei", "control"),
        ("Huoxian\x0088#Mei", "control"),
        ("Huoxian\u200b88#Mei", "control"),
        ("Huo\u202e88#Meixian", "control"),
        ("Zhang.San#88x9q", "login or the name"),
        ("zH@ng.s@n-88x9Q", "login or the name"),
        ("x8#Q-zhangsan-v", "login or the name"),
        ("张三x8#Q-vmkr9w", "login or the name"),
        ("ＺＨＡＮＧ．ＳＡＮ＃88x", "login or the name"),
        ("Password123!", "tried first"),
        ("P@ssw0rd2026", "tried first"),
        ("Woaini1314!", "tried first"),
        ("!QAZ2wsx#EDC", "tried first"),
        ("5201314-Woaini", "tried first"),
        ("Jinshan2026!!", "tried first"),
        ("ＡＢｃｄ１２３４！！", "tried first"),
        ("aaaaaaaaaaaaaaaaaaaa", "repeats"),
        ("Xk3!Xk3!Xk3!", "repeats"),
        ("Efghijkl#9", "sequences"),
        ("mNbVcXz-98765", "neighbouring"),
    ],
)
def test_poor_passwords_are_not_taken_and_the_reason_is_named(password: str, why: str) -> None:
    assert why in said(password)
    with pytest.raises(PasswordRefused, match=why) as refusal:
        refuse_problems(password, "zhang.san", "张三")
    assert password[:40] not in str(refusal.value) or not password


def test_the_length_is_counted_in_characters_not_in_code_points() -> None:
    composed = "e\u0301" * 9  # nine characters, eighteen code points
    assert "at least 10" in said(composed)
    assert "at most" not in said("é" * LONGEST + "")
    assert "at most" not in said("e\u0301" * LONGEST)
    assert "at most" in said("e\u0301" * (LONGEST + 1))


@given(st.text(max_size=200), st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_an_answer_and_the_rules_hold(password: str, name: str) -> None:
    problems = problems_of(password, "zhang.san", name)
    assert all(zh and en for zh, en in problems)
    if not problems:
        assert 10 <= len(passwords._plain(password)) <= LONGEST
        assert "zhang.san" not in password.casefold()


def test_the_common_list_is_a_list() -> None:
    assert len(COMMON) > 400
    assert {"woaini1314", "5201314", "123456789", "password"} <= COMMON
    assert all(word == word.casefold() for word in COMMON)


def test_a_hash_is_argon2id_with_salt_and_matches_only_its_password() -> None:
    first, second = hash_password(GOOD[0]), hash_password(GOOD[0])
    assert first != second
    used = extract_parameters(first)
    assert first.startswith("$argon2id$v=19$")
    assert (used.memory_cost, used.time_cost, used.salt_len) == (65536, 3, 16)
    assert GOOD[0] not in first
    assert verify_password(first, GOOD[0])
    assert not verify_password(first, GOOD[0] + " ")
    assert not verify_password(first, GOOD[0].lower())


def test_one_text_is_one_password_on_every_keyboard() -> None:
    assert verify_password(hash_password("Huoxian#88Me\u0301i"), "Ｈuoxian＃88M\u00e9i")


@pytest.mark.parametrize("typed", ["nobody's password", "", "\x00", "\ud800", "密码" * 20])
def test_nobody_has_no_password_at_all(typed: str) -> None:
    assert not verify_password(None, typed)


def test_a_damaged_hash_matches_nothing() -> None:
    assert not verify_password("$argon2id$v=19$nonsense", GOOD[0])
    assert not verify_password("plain text", "plain text")


class Counting:
    """Counts what is verified; and how many at the same time."""

    def __init__(self, real: PasswordHasher, delay_s: float = 0) -> None:
        self.real, self.delay_s = real, delay_s
        self.calls = self.now = self.most = 0
        self.lock = threading.Lock()

    def verify(self, kept: str, typed: bytes) -> bool:
        with self.lock:
            self.calls, self.now = self.calls + 1, self.now + 1
            self.most = max(self.most, self.now)
        try:
            time.sleep(self.delay_s)
            return self.real.verify(kept, typed)
        finally:
            with self.lock:
                self.now -= 1

    def hash(self, typed: str) -> str:
        return self.real.hash(typed)


def test_an_account_that_is_not_there_costs_one_hash_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = hash_password(GOOD[0])
    verify_password(None, "warm")
    counting = Counting(passwords._hasher)
    monkeypatch.setattr(passwords, "_hasher", counting)
    for against in (kept, None):
        before = counting.calls
        assert not verify_password(against, "wrong")
        assert counting.calls - before == 1
    nobody = extract_parameters(passwords._nobodys_hash())
    assert nobody == extract_parameters(kept)


def test_a_megabyte_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = hash_password(GOOD[0])
    counting = Counting(passwords._hasher)
    monkeypatch.setattr(passwords, "_hasher", counting)
    started = time.perf_counter()
    for _ in range(100):
        assert not verify_password(kept, "x" * 1_000_000)
        assert not verify_password(kept, "\u0301" * 500)
    assert time.perf_counter() - started < 0.5
    assert counting.calls == 0
    with pytest.raises(PasswordRefused, match="at most"):
        hash_password("x" * 1_000_000)


def test_at_most_two_at_a_time_and_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(1, 8, 1)
    kept = quick.hash("x")
    counting = Counting(quick, delay_s=0.1)
    monkeypatch.setattr(passwords, "_hasher", counting)
    threads = [threading.Thread(target=verify_password, args=(kept, "x")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counting.calls, counting.most) == (8, 2)
    monkeypatch.setattr(passwords, "PATIENCE_S", 0.05)
    with passwords._turn(), passwords._turn(), pytest.raises(passwords.TooBusy, match="try again"):
        verify_password(kept, "x")
    assert verify_password(kept, "x")


def test_other_parameters_ask_for_a_new_hash() -> None:
    assert needs_rehash(PasswordHasher(1, 8, 1).hash("x"))
    assert not needs_rehash(hash_password(GOOD[0]))
