"""Tests of input_pipeline.filming.header."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline.filming.header import stored_size


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}),
     ("WEBP", {}), ("WEBP", {"lossless": True}), ("WEBP", {"xmp": b"<x/>"})],
)  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (70, 50), (300, 2), (1000, 700)])
def test_sizes_are_read(kind: str, options: dict, size: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(buffer, kind, **options)
    found = tf.function(stored_size)(tf.constant(buffer.getvalue()))
    assert found.dtype == tf.int32 and found.numpy().tolist() == [size[1], size[0]]


@pytest.mark.long
def test_a_bombs_size_is_read_without_decoding_it() -> None:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    assert stored_size(tf.constant(buffer.getvalue()[:40])).numpy().tolist() == [20_000, 20_000]


@pytest.mark.parametrize("encoded", [b"", b"x", b"RIFF", b"GIF8", b"<html>" * 9])
def test_what_is_no_picture_has_no_size(encoded: bytes) -> None:
    assert stored_size(tf.constant(encoded)).numpy().tolist() == [0, 0]
