"""Examples -> batches of NumPy arrays: filmed pictures for training, frames for evaluation.

The training pipeline is TensorFlow ops alone: a process that ends while tf.data is inside a Python
function can hang. Example i of step s depends on (seed, s, i) alone, never on the number of
processes or threads or on where a run was resumed.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import Image

from animclip_jax.animation.config import AnimationConfig
from input_pipeline import scenes
from input_pipeline.director import stream_key
from input_pipeline.filming import Clip, film_clip, picture_size, plan_batch
from input_pipeline.sources import Examples
from input_pipeline.tokenizer import Tokenizer
from input_pipeline.video import fit, positions

tf.config.set_visible_devices([], "GPU")

PARALLEL_CALLS = tf.data.AUTOTUNE
# Batches made ahead, so that the host works while the device does.
BATCHES_AHEAD = 2


def train_batches(
    examples: Examples,
    animation: AnimationConfig,
    tokenizer: Tokenizer,
    *,
    canvas_size: int,
    batch_size: int,
    seed: int,
    start_step: int,
    group_size: int = 1,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[dict]:
    """This process's part of the batches of steps start_step, start_step + 1, ... without end.

    A picture comes with one of its captions; of a video a frame at a random time is taken as the
    picture. Every epoch visits each group of group_size consecutive examples once, in an order of
    its own, keeping groups together.

    Yields dicts, B = batch_size / process_count examples each:
      canvas: uint8 [B, S, S, 3], the part of the picture that the clip sees, stretched to
        S = canvas_size.
      plan: ShotPlan, with the leading axis B, in fractions of the canvas.
      frames: instead of those two where the host renders, uint8 [B, T, O, O, 3].
      tokens: int32 [B, L].
      index: int32 [B], into `examples`; of a clip of two scenes the first.

    Raises ValueError for sizes that don't divide each other, and, while running, for a picture that
    can't be decoded, with its id.
    """
    _check_sizes(examples, batch_size, group_size, process_index, process_count)
    part = batch_size // process_count
    order = _order(examples, seed, group_size)
    load = _load(examples, seed, order)
    if animation.is_on("scenes"):
        load = scenes.load_second(load, len(examples.ids), seed, animation.scenes)
    plan = plan_batch(animation, seed)
    film = film_clip(animation, canvas_size)

    def position(number: tf.Tensor) -> tf.Tensor:
        return number // part * batch_size + process_index * part + number % part

    def alone(position: tf.Tensor) -> Clip:
        planned = plan(tf.nest.map_structure(lambda part: part[None], load(position)))
        return film(tf.nest.map_structure(lambda part: part[0], planned))

    dataset = tf.data.Dataset.range(start_step * part, np.iinfo(np.int64).max)
    dataset = dataset.map(position).map(load, num_parallel_calls=PARALLEL_CALLS)
    # The director plans a whole batch at once: its many small ops cost as much for one clip.
    dataset = dataset.batch(part).map(plan).unbatch()
    dataset = dataset.map(film, num_parallel_calls=PARALLEL_CALLS).batch(part)
    options = tf.data.Options()
    options.deterministic = True
    dataset = dataset.prefetch(BATCHES_AHEAD).with_options(options)

    def run() -> Iterator[dict]:
        batches = dataset.as_numpy_iterator()
        for step in itertools.count(start_step):
            try:
                batch = next(batches)
            except tf.errors.OpError as error:
                first = step * batch_size + process_index * part
                index, reason = _culprit(alone, order, range(first, first + part))
                if index is None:
                    raise
                raise ValueError(_cannot_decode(examples, index, reason)) from error
            captions = [caption.decode("utf-8") for caption in batch["caption"]]
            clips = {name: batch[name] for name in batch if name in ("canvas", "plan", "frames")}
            yield clips | {
                "tokens": tokenizer(captions),
                "index": batch["index"].astype(np.int32),
            }

    return run()


def eval_batches(
    examples: Examples, *, num_frames: int, image_size: int, batch_size: int
) -> Iterator[dict]:
    """Every example once, in order, the last batch padded to B = batch_size.

    Yields dicts:
      frames: uint8 [B, T, H, W, 3], H = W = image_size, as OpenAI CLIP prepares pictures: the
        middle frame of each of T = num_frames equal parts of a video; a picture T times; zeros
        where padding.
      index: int64 [B], into `examples`; -1 where padding.

    Raises ValueError for an item that can't be decoded, with its id.
    """
    shape = (num_frames, image_size, image_size, 3)
    dataset = tf.data.Dataset.range(len(examples.ids)).map(examples.fetch).prefetch(batch_size)

    def frames_of(item: tuple[int, np.ndarray]) -> np.ndarray:
        index, encoded = item
        wanted = positions(num_frames, len(encoded))
        try:
            fitted = {n: fit(_pixels(encoded[n]), image_size) for n in set(wanted.tolist())}
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(_cannot_decode(examples, index, str(error))) from error
        return np.stack([fitted[n] for n in wanted.tolist()])

    items = enumerate(dataset.as_numpy_iterator())
    with ThreadPoolExecutor() as threads:
        while batch := list(itertools.islice(items, batch_size)):
            frames = np.zeros((batch_size, *shape), np.uint8)
            index = np.full(batch_size, -1, np.int64)
            for row, made in enumerate(threads.map(frames_of, batch)):
                frames[row] = made
                index[row] = batch[row][0]
            yield {"frames": frames, "index": index}


def decode_pictures(examples: Examples, indices: Iterable[int]) -> list[np.ndarray]:
    """The pictures of some examples whole, the first frames of videos: uint8 [H, W, 3] each."""
    fetched = (examples.fetch(tf.constant(index, tf.int64)) for index in indices)
    return [_pixels(frames[0].numpy()) for frames in fetched]


def _order(examples: Examples, seed: int, group_size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a position in the run (int64) to the example that stands there."""
    num_groups = len(examples.ids) // group_size
    key = stream_key(seed, "order")

    def order(position: tf.Tensor) -> tf.Tensor:
        group, member = position // group_size, position % group_size
        epoch = group // num_groups
        shuffled = tf.random.experimental.index_shuffle(
            group % num_groups, tf.stack([tf.constant(key, tf.int64), epoch]), num_groups - 1
        )
        return shuffled * group_size + member

    return order


def _load(
    examples: Examples, seed: int, order: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[tf.Tensor], Clip]:
    """A function from a position to its example's picture and a caption."""
    captions = tf.constant([caption for some in examples.captions for caption in some])
    ends = tf.constant(np.cumsum([0, *map(len, examples.captions)]), tf.int64)
    which_caption, which_frame = stream_key(seed, "caption"), stream_key(seed, "frame")

    def draw(key: int, position: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(
            [], tf.stack([key, position]), 0, count, tf.int64, alg="philox"
        )

    def load(position: tf.Tensor) -> Clip:
        index = order(position)
        frames = examples.fetch(index)
        num_frames = tf.shape(frames, out_type=tf.int64)[0]
        encoded = frames[draw(which_frame, position, num_frames)]
        first, end = ends[index], ends[index + 1]
        return {
            "encoded": encoded[None],
            "caption": captions[first + draw(which_caption, position, end - first)],
            "size": picture_size(encoded)[None],
            "position": position,
            "index": index,
        }

    return load


def _culprit(
    make: Callable[[tf.Tensor], object], order: Callable[[tf.Tensor], tf.Tensor], run: Iterable[int]
) -> tuple[int | None, str]:
    """Which example of a failed batch it was, and why, found by making each again, alone."""
    for position in run:
        try:
            make(tf.constant(position, tf.int64))
        except tf.errors.OpError as error:
            return int(order(tf.constant(position, tf.int64))), error.message
    return None, ""


def _cannot_decode(examples: Examples, index: int, reason: str) -> str:
    return (
        f"{examples.name}: {examples.ids[index]!r} can't be decoded as a picture: {reason}. "
        "It was readable when the source was opened, or was never checked: replace the file, or "
        "take its line out of captions.jsonl"
    )


def _check_sizes(
    examples: Examples, batch_size: int, group_size: int, process_index: int, process_count: int
) -> None:
    if not 0 <= process_index < process_count:
        raise ValueError(f"process_index {process_index}: wanted 0 to {process_count - 1}")
    if batch_size < 1 or batch_size % (process_count * group_size):
        raise ValueError(
            f"batch_size {batch_size}: wanted a multiple of process_count x group_size = "
            f"{process_count} x {group_size}, so that every process gets whole groups"
        )
    if not examples.ids or len(examples.ids) % group_size:
        raise ValueError(
            f"{examples.name}: {len(examples.ids)} examples, wanted a multiple of group_size "
            f"{group_size}, and not 0"
        )


def _pixels(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))
