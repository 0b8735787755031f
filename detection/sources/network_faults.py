"""Which reason a failed connection has, out of the errors that asyncio, anyio and httpx wrap in each other."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from detection.types import Reason

__all__ = ["reason_of_connect"]


def reason_of_connect(fault: BaseException) -> Reason:
    """name_not_found, connection_refused, or unreachable for anything else."""
    chain = list(_chain(fault))
    if any(isinstance(one, socket.gaierror) for one in chain):
        return Reason.NAME_NOT_FOUND
    if any(_has_errno(one, errno.ECONNREFUSED) for one in chain):
        return Reason.CONNECTION_REFUSED
    return Reason.UNREACHABLE


def _chain(fault: BaseException) -> Iterator[BaseException]:
    """The error, its causes, and the members of groups among them."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [fault]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions


def _has_errno(fault: BaseException, number: int) -> bool:
    if not isinstance(fault, OSError):
        return False
    # asyncio joins the errors of several addresses into one OSError without errno.
    return fault.errno == number or (fault.errno is None and f"[Errno {number}]" in str(fault))
