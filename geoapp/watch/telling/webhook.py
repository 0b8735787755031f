"""The generic webhook: JSON by POST, signed. Its schema is in docs/telling.md."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from geoapp.watch.telling.answer import Answer, delivered
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.http import post
from geoapp.watch.telling.message import Message, lines, title
from geoapp.watch.telling.receiver import Receiver

SCHEMA = "geoapp.notice/1"


def send(receiver: Receiver, message: Message, *, config: TellingConfig, at: datetime) -> Answer:
    """Delivered by any 2xx. Headers: Idempotency-Key, X-GeoApp-Timestamp, and X-GeoApp-Signature where a secret is sealed."""
    body = json.dumps(as_json(receiver, message), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "GeoApp",
        "Idempotency-Key": str(message.key),
        "X-GeoApp-Key": str(message.key),
    } | signature(receiver.secret("secret"), body, at)
    answer = post(receiver.address, body, headers, config=config, at=at)
    return answer if isinstance(answer, Answer) else delivered(answer.said)


def signature(secret: str | None, body: bytes, at: datetime) -> dict[str, str]:
    """Headers that prove who sent it and when: HMAC-SHA256 over "<timestamp>.<body>", hex, timestamp in Unix seconds."""
    stamp = str(int(at.timestamp()))
    if secret is None:
        return {"X-GeoApp-Timestamp": stamp}
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-GeoApp-Timestamp": stamp, "X-GeoApp-Signature": f"sha256={digest}"}


def as_json(receiver: Receiver, message: Message) -> dict[str, Any]:
    """The message as data and in words; times in ISO 8601 with zone, places in WGS84 degrees."""
    lang = receiver.language
    return {
        "schema": SCHEMA,
        "key": str(message.key),
        "receiver": message.receiver,
        "sent_at": message.made_at.isoformat(),
        "topic": message.topic,
        "changes": [
            {
                "transition": change.transition,
                "class": change.class_name,
                "happened_at": change.happened_at.isoformat(),
                "camera": change.gb_id,
                "data": change.payload,
            }
            for change in message.changes
        ],
        "incident": message.incident,
        "title": title(message, lang),
        "lines": [{"label": label, "text": text} for label, text in lines(message, lang)],
        "link": message.link,
    }
