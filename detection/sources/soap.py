"""The few ONVIF messages that a snapshot takes: SOAP 1.2 with a WS-UsernameToken digest."""

from __future__ import annotations

import base64
import hashlib
import secrets
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from detection.types import Credentials

__all__ = [
    "GET_CAPABILITIES",
    "GET_PROFILES",
    "GET_TIME",
    "Element",
    "device_time",
    "envelope",
    "fault_of",
    "first_profile",
    "get_snapshot_uri",
    "parse",
    "security",
    "text_of",
]

Element = ET.Element

_DEVICE, _MEDIA = "http://www.onvif.org/ver10/device/wsdl", "http://www.onvif.org/ver10/media/wsdl"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
GET_TIME = f'<GetSystemDateAndTime xmlns="{_DEVICE}"/>'
GET_CAPABILITIES = f'<GetCapabilities xmlns="{_DEVICE}"><Category>Media</Category></GetCapabilities>'
GET_PROFILES = f'<GetProfiles xmlns="{_MEDIA}"/>'


def get_snapshot_uri(profile: str) -> str:
    """Asks where a picture of this profile (its token) is."""
    token = escape(profile)
    return f'<GetSnapshotUri xmlns="{_MEDIA}"><ProfileToken>{token}</ProfileToken></GetSnapshotUri>'


def envelope(body: str, header: str) -> bytes:
    """A message with this body and this header, either of them XML."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
        f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def security(account: Credentials, at: datetime) -> str:
    """A UsernameToken header. at: the time on the device's clock, with zone; the password goes as a digest only."""
    nonce = secrets.token_bytes(16)
    created = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    password = account.password.get_secret_value()
    # SHA-1 is what WS-UsernameToken prescribes.
    digest = hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False).digest()
    return (
        f'<wsse:Security s:mustUnderstand="1" xmlns:wsse="{_WSS}-wssecurity-secext-1.0.xsd"'
        f' xmlns:wsu="{_WSS}-wssecurity-utility-1.0.xsd"><wsse:UsernameToken>'
        f"<wsse:Username>{escape(account.username.get_secret_value())}</wsse:Username>"
        f'<wsse:Password Type="{_WSS}-username-token-profile-1.0#PasswordDigest">{_base64(digest)}</wsse:Password>'
        f'<wsse:Nonce EncodingType="{_WSS}-soap-message-security-1.0#Base64Binary">{_base64(nonce)}</wsse:Nonce>'
        f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
    )


def parse(data: bytes) -> Element | None:
    """The message's body; None where the bytes are no SOAP. A document with entities of its own is none."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError):
        return None
    return root.find("{*}Body")


def text_of(body: Element, *names: str) -> str | None:
    """Text of the first element below these names, whatever their namespaces; None where there is none."""
    found = body.find(".//" + "/".join(f"{{*}}{name}" for name in names))
    return None if found is None or not found.text else found.text.strip()


def fault_of(body: Element) -> str | None:
    """Codes and text of a SOAP fault; None for an answer that is none."""
    fault = body.find("{*}Fault")
    if fault is None:
        return None
    return " ".join(text.strip() for text in fault.itertext() if text.strip()) or "Fault"


def first_profile(body: Element) -> str | None:
    """Token of the first media profile."""
    found = body.find(".//{*}Profiles")
    return None if found is None else found.get("token")


def device_time(body: Element) -> datetime | None:
    """The device's clock, UTC; None where it does not tell."""
    found = body.find(".//{*}UTCDateTime")
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (
            int(text_of(found, part) or "") for part in ("Year", "Month", "Day", "Hour", "Minute", "Second")
        )
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
