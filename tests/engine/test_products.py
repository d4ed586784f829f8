from __future__ import annotations

import numpy as np
import pytest

from engine.products import MOST_MULTIPLICATIONS, products


@pytest.mark.parametrize("rows", [1, 2, 14, 300])
@pytest.mark.parametrize("others", [0, 1, 1233])
def test_products_are_those_of_every_row_with_every_other(rows: int, others: int) -> None:
    rng = np.random.default_rng(rows + others)
    some = rng.standard_normal((rows, 192)).astype(np.float32)
    more = rng.standard_normal((others, 192)).astype(np.float32)
    found = products(some, more)
    assert found.shape == (rows, others)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    wanted = some.astype(np.float64) @ more.T.astype(np.float64)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_no_product_is_large_enough_for_a_second_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = np.matmul

    def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
        sizes.append(a.shape[0] * a.shape[1] * b.shape[1])
        return real(a, b, out=out)

    monkeypatch.setattr(np, "matmul", matmul)
    products(np.ones((20, 1536), np.float32), np.ones((192, 1536), np.float32))
    assert sum(sizes) == 20 * 1536 * 192
    assert max(sizes) <= MOST_MULTIPLICATIONS
