"""Shrinks a source's pictures once, into a store, so that training decodes no more than it needs.

Pictures become upright RGB JPEGs with a short side of 320 pixels, shrunk with an anti-aliasing
filter; smaller ones keep their size. What can't be decoded is quarantined.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from input_pipeline import picture, quarantine, store
from input_pipeline.sources import Examples

SHORT_SIDE, QUALITY = 320, 90
# Pictures on their way at a time, for each thread.
_AHEAD = 4


class Shrunk(NamedTuple):
    """An encoded JPEG and its size in pixels."""

    encoded: bytes
    width: int
    height: int


def prepare_pictures(
    examples: Examples,
    directory: Path,
    short_side: int = SHORT_SIDE,
    quality: int = QUALITY,
) -> dict[str, Any]:
    """Writes the store `directory` of all pictures that can be decoded; returns its summary.

    The others go to its quarantine.jsonl. The store is there as a whole or not at all.

    Raises FileExistsError where it is already there, ValueError where over half of the pictures are
    bad or `examples` are videos.
    """
    if examples.is_video:
        raise ValueError(f"{examples.name}: videos, wanted pictures")
    if short_side < 1 or not 1 <= quality <= 100:
        raise ValueError(
            f"short_side {short_side}, quality {quality}: wanted 1 or more, and 1 to 100"
        )
    bad: list[tuple[str, str]] = []
    details: dict[str, Any] = {"pictures": {"short_side": short_side, "quality": quality}}
    with store.StoreWriter(directory, examples.name, details) as writer:
        shrunk = _shrink_all(examples, short_side, quality)
        total = len(examples.ids)
        for index, result in enumerate(
            tqdm(shrunk, f"preparing {examples.name}", total, unit="picture", disable=None)
        ):
            id, captions = examples.ids[index], examples.captions[index]
            if isinstance(result, str):
                bad.append((id, result))
            else:
                writer.add(id, [result.encoded], captions, result.width, result.height)
        if len(bad) > quarantine.MAX_SHARE * total:
            first = f"{bad[0][0]!r}: {bad[0][1]}"
            raise ValueError(f"{examples.name}: {len(bad)} of {total} pictures are bad; {first}")
        writer.write_lines(quarantine.NAME, quarantine.lines(bad))
        details["num_quarantined"] = len(bad)
    return store.read_summary(directory)


def shrink(encoded: bytes, short_side: int, quality: int) -> Shrunk:
    """Raises ValueError saying why the picture can't be used."""
    image = Image.fromarray(picture.pixels(encoded))
    scale = short_side / min(image.size)
    if scale < 1:
        width, height = (max(short_side, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Shrunk(buffer.getvalue(), *image.size)


def _shrink_all(examples: Examples, short_side: int, quality: int) -> Iterator[Shrunk | str]:
    """Each picture shrunk, or why it can't be used, in order, on all cores."""

    def make(index: int) -> Shrunk | str:
        try:
            (encoded,) = examples.fetch(tf.constant(index, tf.int64)).numpy()
            return shrink(encoded, short_side, quality)
        except (ValueError, tf.errors.NotFoundError, tf.errors.DataLossError) as error:
            return str(error)

    count = os.cpu_count() or 1
    waiting: deque[Future[Shrunk | str]] = deque()
    with ThreadPoolExecutor(count) as threads:
        for index in range(len(examples.ids)):
            waiting.append(threads.submit(make, index))
            if len(waiting) > _AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
