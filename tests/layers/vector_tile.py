"""A reader of Mapbox Vector Tiles, enough to ask a tile what it says. Written from the specification 2.1."""

import struct
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Feature:
    """One feature: id, properties, kind (1 point, 2 line, 3 polygon), rings or lines in tile units (0..extent)."""

    id: int | None
    properties: dict[str, Any]
    kind: int
    parts: list[list[tuple[int, int]]]


@dataclass
class TileLayer:
    name: str = ""
    extent: int = 4096
    version: int = 1
    features: list[Feature] = field(default_factory=list)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
            case 1:
                value, at = data[at : at + 8], at + 8
            case 2:
                length, at = _varint(data, at)
                value, at = data[at : at + length], at + length
            case 5:
                value, at = data[at : at + 4], at + 4
            case other:
                raise ValueError(f"wire type {other}")
        found.append((key >> 3, value))
    return found


def _packed(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _value(data: bytes) -> Any:
    [(number, raw)] = _fields(data)
    match number:
        case 1:
            return raw.decode()
        case 2:
            return struct.unpack("<f", raw)[0]
        case 3:
            return struct.unpack("<d", raw)[0]
        case 6:
            return _zigzag(raw)
        case 7:
            return bool(raw)
        case _:
            return raw


def _parts(commands: list[int]) -> list[list[tuple[int, int]]]:
    parts: list[list[tuple[int, int]]] = []
    x = y = at = 0
    while at < len(commands):
        what, count = commands[at] & 7, commands[at] >> 3
        at += 1
        if what == 7:
            parts[-1].append(parts[-1][0])
            continue
        for _ in range(count):
            x, y = x + _zigzag(commands[at]), y + _zigzag(commands[at + 1])
            at += 2
            if what == 1:
                parts.append([])
            parts[-1].append((x, y))
    return parts


def read_tile(data: bytes) -> dict[str, TileLayer]:
    """Layers of a tile by name."""
    layers = {}
    for number, raw in _fields(data):
        assert number == 3
        layer, keys, values, features = TileLayer(), [], [], []
        for inner, value in _fields(raw):
            match inner:
                case 1:
                    layer.name = value.decode()
                case 2:
                    features.append(value)
                case 3:
                    keys.append(value.decode())
                case 4:
                    values.append(_value(value))
                case 5:
                    layer.extent = value
                case 15:
                    layer.version = value
        for feature in features:
            found = dict(_fields(feature))
            tags = _packed(found.get(2, b""))
            layer.features.append(
                Feature(
                    id=found.get(1),
                    properties={keys[k]: values[v] for k, v in zip(tags[::2], tags[1::2], strict=True)},
                    kind=found.get(3, 0),
                    parts=_parts(_packed(found.get(4, b""))),
                )
            )
        layers[layer.name] = layer
    return layers
