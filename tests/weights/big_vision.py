"""big_vision's own SigLIP: the names and shapes of its parameters, and what it computes.

    PYTHONPATH=BIG_VISION:. python -m tests.weights.big_vision

BIG_VISION is a checkout of github.com/google-research/big_vision; its two towers need flax, einops,
ml_collections and TensorFlow. Writes NAMES, the table that tests read everywhere.
"""

import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import big_vision
from tests.weights import shape_tables
from tests.weights.families import FAMILIES, LOG_SCALE, inputs
from tests.weights.reference import GOLDEN
from tests.weights.shape_tables import Shapes

NAMES = GOLDEN / "big_vision_names.json"
# The checkout that the table is of.
COMMIT = "0127fb6b337ee2a27bf4e54dea79cff176527356"


def model(config: ClipConfig, stacked: bool) -> Any:
    """big_vision's two towers of that size, with its layers apart or stacked."""
    from big_vision.models.proj.image_text import two_towers

    image, text = (
        {
            "width": one.width,
            "depth": one.layers,
            "mlp_dim": one.mlp_width,
            "num_heads": one.heads,
            "scan": stacked,
        }
        for one in (config.vision, config.text)
    )
    patch = {"patch_size": (config.patch_size,) * 2, "pool_type": "map"}
    return two_towers.Model(
        image=image | patch,
        text=text | {"vocab_size": config.vocab_size},
        out_dim=(None, config.embed_dim),
        bias_init=-10.0,
        temperature_init=10.0,
    )


def table(which: str) -> Shapes:
    """Shapes by name as NAMES has them of FAMILIES["siglip"]; which: apart or stacked."""
    return shape_tables.read(NAMES, which)


def shapes(config: ClipConfig, stacked: bool) -> Shapes:
    """Of all parameters that big_vision makes, by slash-joined name."""
    pictures = jnp.zeros((1, config.image_size, config.image_size, 3))
    captions = jnp.zeros((1, config.context_length), jnp.int32)
    made = model(config, stacked)
    return shape_tables.of(
        jax.eval_shape(lambda: made.init(jax.random.key(0), pictures, captions)["params"])
    )


def drawn(config: ClipConfig, stacked: bool) -> dict[str, np.ndarray]:
    """Random parameters, biases and scales too."""
    rng = np.random.default_rng(0)
    found = {}
    for name, shape in shapes(config, stacked).items():
        noise = rng.standard_normal(shape, np.float32)
        if name == "t":
            noise[:] = LOG_SCALE
        elif name.endswith("/scale"):
            noise = 1 + 0.1 * noise
        else:
            tower = config.text if name.startswith("txt/") else config.vision
            noise *= tower.width**-0.5 if name.endswith("/kernel") else 0.1
        found[name] = noise
    return found


def reference(
    config: ClipConfig, stacked: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], ClipConfig]:
    """Random weights through a file of its names: ours, what big_vision computes, and the config.

    The outputs are those of `tests.models.computed.outputs`.
    """
    arrays = drawn(config, stacked)
    frames, tokens = inputs(config)
    theirs = model(config, stacked)
    compute = jax.jit(lambda tree: theirs.apply({"params": tree}, 2 * frames - 1, tokens))
    image, text, seen = compute(traverse_util.unflatten_dict(arrays, sep="/"))
    embedded = seen["txt/embedded"] + arrays["txt/pos_embedding"]
    blocks = seen["img/encoder"], {name[4:]: value for name, value in seen.items()}
    vision_blocks, text_blocks = (
        [first, *(layers[f"block{i:02d}"]["+mlp"] for i in range(count))]
        for first, layers, count in zip(
            (seen["img/with_posemb"].reshape(len(frames), -1, config.vision.width), embedded),
            blocks,
            (config.vision.layers, config.text.layers),
            strict=True,
        )
    )
    found = {
        "image_embedding": seen["img/head_input"],
        "text_embedding": seen["txt/logits"],
        "logits": seen["t"] * jnp.matmul(text, image.T) + seen["b"],
        "vision_blocks": jnp.stack(vision_blocks),
        "text_blocks": jnp.stack(text_blocks),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        named: Any = {f"{big_vision.PREFIX}{name}": value for name, value in arrays.items()}
        np.savez(path, **named)
        params, described = big_vision.read(path)
        ours = {name: np.asarray(value) for name, value in params.items()}
    return ours, {name: np.asarray(value) for name, value in found.items()}, described


if __name__ == "__main__":
    both = {which: shapes(FAMILIES["siglip"], which == "stacked") for which in ("apart", "stacked")}
    shape_tables.write(NAMES, COMMIT, both)
