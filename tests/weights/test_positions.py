"""Position embeddings for another resolution: the raster is kept, and nothing else moves."""

import numpy as np
import pytest

from animclip_jax.weights import positions
from tests.weights.families import FAMILIES
from tests.weights.reference import GOLDEN_CLIP

# A raster of 3 x 3 whose two values are its row and column, and a [CLS] of its own.
RASTER = np.stack(np.meshgrid(*[np.arange(3.0)] * 2, indexing="ij"), -1).astype(np.float32)
TABLE = np.concatenate([[[9.0, 9.0]], RASTER.reshape(-1, 2)]).astype(np.float32)
PARAMS: dict[str, np.ndarray] = {"vision/position_embedding": TABLE, "other": np.ones(3)}


def test_the_same_size_changes_nothing():
    params, config = positions.resize(PARAMS, GOLDEN_CLIP, 24)
    assert config == GOLDEN_CLIP
    np.testing.assert_array_equal(params["vision/position_embedding"], TABLE)


def test_rows_and_columns_stay_where_they_are():
    params, config = positions.resize(PARAMS, GOLDEN_CLIP, 72)
    assert config.image_size == 72 and config.grid == 9
    table = np.asarray(params["vision/position_embedding"])
    assert table.shape == (82, 2) and table.dtype == np.float32
    np.testing.assert_array_equal(table[0], TABLE[0])
    raster = table[1:].reshape(9, 9, 2)
    # The middle of old cell i is the middle of new cells 3i ... 3i + 2.
    np.testing.assert_allclose(raster[4, 4], [1, 1], atol=1e-5)
    assert (np.diff(raster[1:-1, 4, 0]) > 0).all() and (np.diff(raster[4, 1:-1, 1]) > 0).all()
    np.testing.assert_allclose(raster[4, :, 0], 1, atol=1e-5)
    assert params["other"] is PARAMS["other"]


def test_a_size_that_cuts_patches_is_refused():
    with pytest.raises(ValueError, match="image_size 30 is not a multiple of patch_size 8"):
        positions.resize(PARAMS, GOLDEN_CLIP, 30)


def test_a_raster_without_a_class_token():
    config = FAMILIES["siglip"]
    params, resized = positions.resize({"vision/position_embedding": TABLE[1:]}, config, 72)
    whole, _ = positions.resize(PARAMS, GOLDEN_CLIP, 72)
    assert resized.grid == 9
    name = "vision/position_embedding"
    np.testing.assert_array_equal(params[name], np.asarray(whole[name])[1:])


def test_rotary_positions_keep_their_size():
    config = FAMILIES["pe_core"]
    assert positions.resize(PARAMS, config, 24)[1] == config
    with pytest.raises(ValueError, match="image_size 72: wanted 24, since the rotary positions"):
        positions.resize(PARAMS, config, 72)
