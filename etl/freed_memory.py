"""Memory that was freed, back to the system: a load's peak then does not grow with the number of its chunks."""

import ctypes
import ctypes.util

import pyarrow as pa

__all__ = ["give_back_freed_memory"]


def give_back_freed_memory() -> None:
    """Asks the allocators of C and of Arrow to let go of what nobody uses.

    Each thread that reads, checks or sends frees arrays of a few megabytes which glibc keeps for itself, in pieces that
    the next chunk does not fit into. Takes a few milliseconds; does nothing where the C library is not glibc.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)


def _find_trim() -> "ctypes._NamedFuncPointer | None":
    name = ctypes.util.find_library("c")
    return getattr(ctypes.CDLL(name), "malloc_trim", None) if name else None


_trim = _find_trim()
