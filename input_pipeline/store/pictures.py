"""Pictures into a store: each shrunk once, so that training decodes no more than it needs.

They become upright RGB JPEGs with a short side of 320 pixels, shrunk with an anti-aliasing filter;
smaller ones keep their size.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from input_pipeline.examples import TOLD, Told
from input_pipeline.media import box, picture
from input_pipeline.media.workers import Failure
from input_pipeline.store import making
from input_pipeline.store.partial import Encoded

if TYPE_CHECKING:  # Worker processes do without TensorFlow.
    from input_pipeline.examples import Examples


@dataclass(frozen=True)
class PictureSettings:
    """What is kept of a picture: shrunk to a short side in pixels, as JPEG."""

    short_side: int = 320
    quality: int = 90

    def __post_init__(self) -> None:
        if self.short_side < 1 or not 1 <= self.quality <= 100:
            raise ValueError(
                f"short_side {self.short_side}, quality {self.quality}: wanted 1 or more, 1 to 100"
            )


def prepare_pictures(
    examples: Examples,
    directory: Path,
    settings: PictureSettings = PictureSettings(),  # noqa: B008 (frozen)
    effort: making.Effort = making.Effort(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Writes the store `directory` of all pictures that can be decoded, see `prepare_store`.

    Raises ValueError where `examples` are videos.
    """
    return making.prepare_store(work_of(examples, settings), directory, effort)


def work_of(examples: Examples, settings: PictureSettings) -> making.Work:
    """What it takes to prepare pictures. Raises ValueError where `examples` are videos."""
    if examples.is_video:
        raise ValueError(f"{examples.name}: videos, wanted pictures")
    known = zip(examples.ids, examples.captions, _fields(examples), strict=True)
    items = [making.Item(id, [*captions], about) for id, captions, about in known]
    return making.Work(
        examples.name,
        "picture",
        items,
        functools.partial(_read, examples),
        functools.partial(encode_picture, settings=settings),
        {"pictures": asdict(settings)},
        examples.missing,
        state=examples.state,
    )


def _fields(examples: Examples) -> Iterator[dict[str, Any]]:
    """What a store keeps of each picture beside its captions."""
    for number in range(len(examples.ids)):
        fields = dict(examples.fields[number]) if examples.fields else {}
        if examples.boxes is not None and not math.isnan(examples.boxes[number, 0]):
            fields[box.NAME] = [round(end, 6) for end in examples.boxes[number].tolist()]
        # As in stores of videos, only of those that have a sibling.
        if examples.told and any(told != Told() for told in examples.told[number]):
            fields[TOLD] = [*examples.told[number]]
        yield fields


def encode_picture(encoded: bytes | Failure, settings: PictureSettings) -> Encoded:
    """Shrinks a picture. Raises ValueError saying why it can't be used, or could not be read."""
    if isinstance(encoded, Failure):
        raise ValueError(encoded.reason)
    image = Image.fromarray(picture.pixels(encoded))
    scale = settings.short_side / min(image.size)
    if scale < 1:
        width, height = (max(settings.short_side, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=settings.quality)
    return Encoded([buffer.getvalue()], *image.size)


def _read(examples: Examples, number: int) -> making.Original:
    from input_pipeline.tensorflow_on_cpu import tf

    try:
        (encoded,) = examples.fetch(tf.constant(number, tf.int64)).numpy()
    except (tf.errors.NotFoundError, tf.errors.DataLossError) as error:
        return making.Original(Failure(error.message), None)
    return making.Original(encoded, hashlib.blake2b(encoded, digest_size=16).hexdigest())
