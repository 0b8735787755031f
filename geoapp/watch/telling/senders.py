"""How each kind of receiver is sent a message."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from geoapp.watch.telling import mail, mqtt, robots, webhook
from geoapp.watch.telling.answer import Answer
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.message import Message
from geoapp.watch.telling.receiver import Kind, Receiver


class Send(Protocol):
    """Sends one message; raises nothing, takes a bounded time. `at` (UTC) is what is signed as now."""

    def __call__(
        self, receiver: Receiver, message: Message, *, config: TellingConfig, at: datetime
    ) -> Answer: ...


SENDERS: dict[Kind, Send] = {
    "webhook": webhook.send,
    "wecom": robots.send_wecom,
    "dingtalk": robots.send_dingtalk,
    "mqtt": mqtt.send,
    "email": mail.send,
}
