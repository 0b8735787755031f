"""MQTT: the webhook's JSON, published with QoS 1. mqtt://host:1883/topic, or mqtts:// for TLS."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from geoapp.watch.telling.answer import Answer, delivered, later, refused
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.http import trusted
from geoapp.watch.telling.message import Message
from geoapp.watch.telling.receiver import Receiver
from geoapp.watch.telling.webhook import as_json

PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S = 20
# The broker knows us, and will not have us until somebody changes something.
_NOT_US = ("not authorized", "bad user name or password", "banned", "bad authentication method")


def topic_of(address: str) -> str:
    """The topic that an address names; its state is told under <topic>/status."""
    return unquote(urlsplit(address).path.strip("/"))


def send(receiver: Receiver, message: Message, *, config: TellingConfig, at: datetime) -> Answer:
    """Delivered by the broker's PUBACK.

    While it sends, <topic>/status has a will: where this process breaks off between connecting and the acknowledgement,
    the broker says {"state": "broken_off", "key": …}, so that subscribers know that a message may come twice.
    """
    where, topic = urlsplit(receiver.address), topic_of(receiver.address)
    client = Client(CallbackAPIVersion.VERSION2, client_id="", clean_session=True, protocol=MQTTv311)
    refusals: list[str] = []
    taken, over = threading.Event(), threading.Event()

    def connected(
        _: Client, __: object, ___: ConnectFlags, code: ReasonCode, ____: Properties | None
    ) -> None:
        if code.is_failure:
            refusals.append(str(code))
            over.set()

    def ended(_: Client, __: object, ___: DisconnectFlags, code: ReasonCode, ____: Properties | None) -> None:
        if code.is_failure:
            refusals.append(str(code))
            over.set()

    def published(_: Client, __: object, ___: int, ____: ReasonCode, _____: Properties) -> None:
        taken.set()
        over.set()

    client.on_connect, client.on_disconnect, client.on_publish = connected, ended, published
    client.connect_timeout = config.connect_s
    client.will_set(f"{topic}/status", json.dumps({"state": "broken_off", "key": str(message.key)}), qos=1)
    if receiver.secret("username") is not None:
        client.username_pw_set(receiver.secret("username"), receiver.secret("password"))
    if where.scheme == "mqtts":
        client.tls_set_context(trusted(config))
    body = json.dumps(as_json(receiver, message), ensure_ascii=False).encode()
    try:
        client.connect(where.hostname or "", where.port or PORTS[where.scheme], KEEPALIVE_S)
        client.loop_start()
        client.publish(topic, body, qos=1)
        over.wait(config.total_s)
        if taken.is_set():
            return delivered("PUBACK")
    except (OSError, ValueError, RuntimeError) as fault:
        return later(f"not reached ({type(fault).__name__})")
    finally:
        # A clean end takes the will back.
        client.disconnect()
        client.loop_stop()
    if refusals and refusals[0].lower() in _NOT_US:
        return refused(refusals[0])
    return later(refusals[0] if refusals else f"no PUBACK within {config.total_s:g} s")
