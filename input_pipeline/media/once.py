"""JSON objects in which each name comes once."""

from __future__ import annotations

from typing import Any


class Twice(ValueError):
    """A name that comes twice in a JSON object."""


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook` of `json.loads`, which by itself keeps the last in silence."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Twice(
            f"found {twice!r} twice in one object, wanted it once: most readers would keep only "
            "the last; join the two"
        )
    return values
