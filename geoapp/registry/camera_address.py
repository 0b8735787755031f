"""The kinds of addresses that a camera may have (registry.camera.snapshot_url), by scheme."""

__all__ = ["SCHEMES", "scheme_of"]

SCHEMES = {
    "http": "http://host[:port]/path",
    "https": "https://host[:port]/path",
    "isapi": "isapi://host[:port]/channel",
    "onvif": "onvif://host[:port][/profile]",
    "rtsp": "rtsp://host[:port]/path",
    "file": "file:///folder or file:///picture.jpg",
    "gb28181": "gb28181://device[/channel]",
}
"""How an address of each kind looks."""


def scheme_of(address: str) -> str:
    """The scheme in small letters; empty where the address has none."""
    scheme, separator, _ = address.partition("://")
    return scheme.strip().lower() if separator else ""
