"""Converting keeps no second model in memory, whatever the file and its numbers are."""

import dataclasses
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from animclip_jax import files
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import big_vision, folder, hugging_face_config, rules, source
from animclip_jax.weights.rules import Layout
from tests.small_model import drawn
from tests.weights.families import FAMILIES

_TOWER = TransformerConfig(width=128, layers=3, heads=2, mlp_width=512)
CONFIG: ClipConfig = dataclasses.replace(
    FAMILIES["siglip"], vision=_TOWER, text=_TOWER, embed_dim=128
)


def of_hugging_face(directory: Path, dtype: Any) -> Path:
    tensors = rules.to_theirs(drawn(CONFIG), CONFIG, Layout.HUGGING_FACE)
    files.write_json(directory / "config.json", hugging_face_config.write(CONFIG))
    halves = {name: value.astype(dtype) for name, value in tensors.items()}
    folder.write_tensors(directory / "model.safetensors", halves)
    return directory


def of_big_vision(save: Callable[..., None]) -> Callable[[Path, Any], Path]:
    def write(directory: Path, dtype: Any) -> Path:
        big_vision.save(directory / "made", drawn(CONFIG), CONFIG)
        with np.load(directory / "made" / "model.npz") as arrays:
            # Few values, that the compressed file is much smaller than the arrays.
            halves: Any = {name: arrays[name].round(1).astype(dtype) for name in arrays.files}
        save(directory / "model.npz", **halves)
        return directory / "model.npz"

    return write


@pytest.mark.long
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    "write",
    [of_hugging_face, of_big_vision(np.savez), of_big_vision(np.savez_compressed)],
    ids=["safetensors", "npz", "compressed npz"],
)
def test_less_than_half_the_numbers_are_ever_in_memory(tmp_path, write, dtype):
    path = write(tmp_path, dtype)
    folder.save(tmp_path / "warm", *source.deferred(path))  # imports are not counted
    tracemalloc.start()
    params, config = source.deferred(path)
    folder.save(tmp_path / "ours", params, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    numbers = sum(value.size for value in params.values())
    assert peak < numbers * np.dtype(dtype).itemsize / 2 + (1 << 20), peak
    found, wanted = folder.load(tmp_path / "ours")[0], source.read(path)[0]
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)
