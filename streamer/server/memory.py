"""Memory that many clients made the process take goes back to the system when they are gone."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

# Of glibc's malloc.h. Blocks from 256 KiB on are mappings of their own, which go back as soon as
# they are freed. Without a fixed threshold the first long message raises it, and all that follow
# are cut from a heap that never shrinks.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
OWN_MAPPING_BYTES = 1 << 18
TRIM_BYTES = 1 << 22


def keep_big_blocks_apart() -> None:
    """Call it once, when the process starts. It does nothing where the C library is another."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def give_back() -> None:
    """Free what only a cycle holds, and the free memory within the heap."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
