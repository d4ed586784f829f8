"""Products of many rows with many, on the calling thread alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# OpenBLAS gives a part of a product of more multiplications to a second thread, and spins until
# that is done: for 20 spans 2.4 ms of a busy machine, where the products themselves take 0.2.
MOST_MULTIPLICATIONS = (1 << 19) - 1


def products(rows: Float32, others: Float32) -> Float32:
    """Every row of ``rows`` ``(N, D)`` times every row of ``others`` ``(M, D)``, as ``(N, M)``."""
    count, size = rows.shape
    if count == 1:
        return np.asarray(np.vecdot(others, rows)[None], np.float32)
    found = np.empty((len(others), count), np.float32)
    step = max(1, MOST_MULTIPLICATIONS // max(1, count * size))
    for first in range(0, len(others), step):
        np.matmul(others[first : first + step], rows.T, out=found[first : first + step])
    return np.ascontiguousarray(found.T)
