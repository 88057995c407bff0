"""A model without its parameters, fresh parameters, and what is wrong with those of a file."""

import functools
from collections.abc import Mapping
from typing import Any

from flax import nnx, traverse_util

from animclip_jax.models.clip import Clip
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.retriever import Retriever, RetrieverConfig

Shapes = Mapping[str, tuple[int, ...]]  # by the array's name


@functools.lru_cache(maxsize=4)
def abstract(config: ClipConfig | RetrieverConfig) -> tuple[Any, nnx.State]:
    """The graph definition of `Clip` or of `Retriever`, and ShapeDtypeStructs of its parameters.

    Builds no array. The same objects each time: not to be changed.
    """

    def build() -> nnx.Module:
        kind = Clip if isinstance(config, ClipConfig) else Retriever
        return kind(config, rngs=nnx.Rngs(0))  # type: ignore[arg-type]

    return nnx.split(nnx.eval_shape(build))


def graph_definition(config: RetrieverConfig) -> Any:
    """The model without its parameters: what `nnx.merge` takes beside them."""
    return abstract(config)[0]


def shapes(config: ClipConfig | RetrieverConfig) -> Shapes:
    """The shape of each parameter of `Clip`, or of `Retriever`, by its path joined by slashes."""
    found = nnx.to_pure_dict(abstract(config)[1])
    return {
        path: tuple(leaf.shape) for path, leaf in traverse_util.flatten_dict(found, sep="/").items()
    }


def draw(config: RetrieverConfig, seed: int) -> dict:
    """Fresh parameters, float32, as a nested dict."""
    return nnx.to_pure_dict(nnx.state(Retriever(config, rngs=nnx.Rngs(seed))))


def differences(found: Shapes, wanted: Shapes) -> list[str]:
    """A line for each array that is missing, not expected or of another shape; [] if they agree."""
    lines = [f"missing: {name} {shape}" for name, shape in wanted.items() if name not in found]
    lines += [
        f"not expected: {name} {shape}"
        for name, shape in sorted(found.items())
        if name not in wanted
    ]
    lines += [
        f"wrong shape: {name} is {found[name]}, wanted {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    return lines
