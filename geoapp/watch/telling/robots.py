"""Robots of WeCom (企业微信) and DingTalk (钉钉): Markdown by POST; that a message was not taken stands in an answer of 200."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from geoapp.watch.telling import words
from geoapp.watch.telling.answer import Answer, delivered, later, refused
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.http import HttpAnswer, post
from geoapp.watch.telling.message import Message, lines, title
from geoapp.watch.telling.receiver import Language, Receiver
from geoapp.watch.telling.words import said

WECOM_MOST_BYTES = 4096
DINGTALK_MOST_BYTES = 20_000
# Codes after which the same message may be taken later: busy, and too many in a minute (WeCom counts by minutes, DingTalk
# then takes nothing for ten).
BUSY = frozenset({-1})
TOO_MANY = {45009: 60.0, 45033: 10.0, 130101: 600.0, 410100: 600.0}
# What would be formatting, a link or a call of somebody's name in Markdown, written so that it is not.
_PLAIN = str.maketrans(
    {
        "<": "＜",
        ">": "＞",
        "[": "［",
        "]": "］",
        "(": "（",
        ")": "）",
        "*": "＊",
        "`": "｀",
        "#": "＃",
        "@": "＠",
        "|": "｜",
        "\\": "＼",
        "!": "！",
    }
)


def send_wecom(receiver: Receiver, message: Message, *, config: TellingConfig, at: datetime) -> Answer:
    """Delivered by errcode 0. The robot's key goes in the query, from its seal."""
    body = {
        "msgtype": "markdown",
        "markdown": {"content": markdown(message, receiver.language, WECOM_MOST_BYTES)},
    }
    return _post(receiver, {"key": receiver.secret("token") or ""}, body, message, config, at)


def send_dingtalk(receiver: Receiver, message: Message, *, config: TellingConfig, at: datetime) -> Answer:
    """Delivered by errcode 0. The robot's token goes in the query, with a signature where a secret is sealed."""
    query = {"access_token": receiver.secret("token") or ""} | dingtalk_sign(receiver.secret("secret"), at)
    body = {
        "msgtype": "markdown",
        "markdown": {
            "title": plain(title(message, receiver.language)),
            "text": markdown(message, receiver.language, DINGTALK_MOST_BYTES),
        },
    }
    return _post(receiver, query, body, message, config, at)


def dingtalk_sign(secret: str | None, at: datetime) -> dict[str, str]:
    """timestamp (milliseconds) and sign of a robot with 加签: base64 of HMAC-SHA256 over "<timestamp>\\n<secret>"."""
    if secret is None:
        return {}
    stamp = str(round(at.timestamp() * 1000))
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}


def markdown(message: Message, lang: Language, most_bytes: int) -> str:
    """Title, lines, link and key; cut at a line where it would be longer than the robot takes (UTF-8 bytes)."""
    head = f"### {plain(title(message, lang))}"
    tail = []
    if message.link is not None:
        tail.append(f"[{words.LABELS['link'][lang]}]({message.link})")
    tail.append(f"{words.LABELS['key'][lang]}: {message.key}")
    body = [
        f"**{plain(label)}** {plain(text)}" if label else plain(text) for label, text in lines(message, lang)
    ]
    left_out = 0
    while _size(text := _joined(head, body, left_out, tail, lang)) > most_bytes and body:
        body.pop()
        left_out += 1
    if _size(text) > most_bytes:  # one line that long: a title
        room = most_bytes - _size(_joined("", [], left_out, tail, lang)) - 3
        text = _joined(_cut(head, max(room, 0)) + "…", [], left_out, tail, lang)
    return text


def plain(text: str) -> str:
    """Text of the register as text: no line breaks, no formatting, no link, nobody called by name."""
    return " ".join(text.split()).translate(_PLAIN)


def _joined(head: str, body: list[str], left_out: int, tail: list[str], lang: Language) -> str:
    more = [said(words.SENTENCES, "more", lang).format(n=left_out)] if left_out else []
    return "\n\n".join([head, *body, *more, *tail])


def _size(text: str) -> int:
    return len(text.encode())


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode("utf-8", "ignore")


def _post(
    receiver: Receiver,
    query: dict[str, str],
    body: Mapping[str, object],
    message: Message,
    config: TellingConfig,
    at: datetime,
) -> Answer:
    headers = {"Content-Type": "application/json; charset=utf-8", "X-GeoApp-Key": str(message.key)}
    answer = post(
        f"{receiver.address}?{urlencode(query)}",
        json.dumps(body, ensure_ascii=False).encode(),
        headers,
        config=config,
        at=at,
    )
    return answer if isinstance(answer, Answer) else verdict(answer)


def verdict(answer: HttpAnswer) -> Answer:
    """What a robot's answer of 2xx means. One that holds no errcode is not a robot's: it may be a gate in between."""
    try:
        code = json.loads(answer.text)["errcode"]
    except (ValueError, KeyError, TypeError):
        return later(f"not a robot's answer: {answer.said}")
    if code == 0:
        return delivered(answer.said)
    if code in TOO_MANY:
        return later(answer.said, TOO_MANY[code])
    return later(answer.said) if code in BUSY else refused(answer.said)
