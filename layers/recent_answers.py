"""Answers over the whole city, kept for seconds by scope, and how an answer is packed for a browser."""

import gzip
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from fastapi.encoders import jsonable_encoder

# Answers over the whole city are computed at most once in this many seconds for all who may see the same.
ANSWER_AGE_S = 5.0
ANSWERS_LIMIT_BYTES = 64_000_000
# What an entry costs beside its bytes.
_ENTRY_BYTES = 400


@dataclass
class _Answer:
    """One city-wide answer and who is computing it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made_at: float = float("-inf")
    etag: str = ""
    body: bytes = b""  # gzipped


class RecentAnswers:
    """City-wide answers by (scope, name), each computed once in ANSWER_AGE_S seconds however many ask. Thread-safe.

    What is older is dropped at the next computation, and the oldest where the rest fills the memory: however many
    areas there are, no more is kept than was asked for just now.
    """

    def __init__(self, limit_bytes: int = ANSWERS_LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, scope_key: str, name: str, compute: Callable[[], dict[str, Any]]) -> tuple[str, bytes]:
        """(ETag, gzipped JSON); the ETag is of scope and content without its as_of, so that a calm city answers 304."""
        with self._guard:
            held = self._kept.setdefault((scope_key, name), _Answer())
        with held.lock:
            if time.monotonic() - held.made_at >= ANSWER_AGE_S:
                held.etag, held.body = serialised(compute(), scope_key)
                held.made_at = time.monotonic()
                self._drop_old((scope_key, name))
            return held.etag, held.body

    def _drop_old(self, fresh: tuple[str, str]) -> None:
        with self._guard:
            if fresh in self._kept:
                self._kept.move_to_end(fresh)
            now = time.monotonic()
            # An entry that is being computed is held by whoever computes it: dropped here, it is only made again.
            for key in [
                k for k, a in self._kept.items() if now - a.made_at >= ANSWER_AGE_S and not a.lock.locked()
            ]:
                del self._kept[key]
            size = sum(len(a.body) + _ENTRY_BYTES for a in self._kept.values())
            while size > self.limit_bytes and len(self._kept) > 1:
                size -= len(self._kept.popitem(last=False)[1].body) + _ENTRY_BYTES


def serialised(answer: dict[str, Any], scope_key: str) -> tuple[str, bytes]:
    """(ETag, gzipped JSON) of an answer for one scope; two answers that differ in their as_of alone have one ETag."""
    timeless = _json({name: value for name, value in answer.items() if name != "as_of"})
    etag = f'W/"{hashlib.sha256(scope_key.encode() + timeless).hexdigest()[:20]}"'
    if "as_of" not in answer:
        return etag, gzip.compress(timeless, 1, mtime=0)
    # Written once: of all cells of a city it is megabytes.
    as_of = _json({"as_of": answer["as_of"]})
    whole = as_of if timeless == b"{}" else as_of[:-1] + b"," + timeless[1:]
    return etag, gzip.compress(whole, 1, mtime=0)


def _json(content: dict[str, Any]) -> bytes:
    # Only what JSON does not know by itself is given to the encoder, which is slow: a second for the cells of a city.
    return json.dumps(content, default=jsonable_encoder, ensure_ascii=False, separators=(",", ":")).encode()


def knows(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the browser that sent these headers holds what an ETag names (If-None-Match)."""
    named = headers.get("if-none-match", "")
    return named.strip() == "*" or etag in [part.strip() for part in named.split(",")]


def packed(
    asked: Mapping[str, str], body: bytes, headers: dict[str, str], *, media_type: str, gzipped: bool
) -> Response:
    """A response in the coding that the browser takes, by the headers that it sent; `gzipped` tells what `body` is."""
    headers = dict(headers)
    if "gzip" in asked.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = body if gzipped else gzip.compress(body, 5, mtime=0)
    elif gzipped:
        body = gzip.decompress(body)
    return Response(body, headers=headers, media_type=media_type)
