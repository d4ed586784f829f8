"""Where the stores of these tests lie."""

from __future__ import annotations

from store_place import place, postgresql_place, sqlite_place, store  # noqa: F401  (fixtures)
