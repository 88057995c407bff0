"""Names and shapes of the parameters that other libraries make, as JSON files keep them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax import traverse_util

from animclip_jax import files

Shapes = dict[str, tuple[int, ...]]


def of(tree: Mapping[str, Any]) -> Shapes:
    """Shapes by slash-joined name, of nested dicts of arrays or of what `jax.eval_shape` gives."""
    return {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep="/").items()}


def write(path: Path, commit: str, tables: Mapping[str, Shapes]) -> None:
    """Writes several tables and the commit of the library that they are of."""
    listed = {
        which: {name: " x ".join(map(str, shape)) for name, shape in shapes.items()}
        for which, shapes in tables.items()
    }
    files.write_json(path, {"commit": commit, **listed}, indent=1)


def read(path: Path, which: str) -> Shapes:
    """One of the tables."""
    listed = files.read_object(path)[which]
    return {name: tuple(map(int, shape.split(" x "))) for name, shape in listed.items()}
