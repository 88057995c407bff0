"""Examples -> batches of NumPy arrays: filmed pictures for training, frames for evaluation.

The training pipeline is TensorFlow ops alone: a process that ends while tf.data is inside a Python
function can hang. Example i of step s depends on (seed, s, i) alone, never on the number of
processes or threads or on where a run was resumed.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from animclip_jax.animation.batch import Batch, Filmed, Footage
from input_pipeline.columns import ops
from input_pipeline.columns.texts import Captions
from input_pipeline.director import noise, stream_key, told, two_scenes
from input_pipeline.examples import BatchConfig, Examples
from input_pipeline.filming import canvas, orientation, packed_plan
from input_pipeline.filming.canvas import Clip
from input_pipeline.filming.decoding import decode_region
from input_pipeline.media import picture
from input_pipeline.media.picture import fit
from input_pipeline.media.timing import positions
from input_pipeline.sources.stand_ins import StandIns, Table
from input_pipeline.tensorflow_on_cpu import tf
from input_pipeline.tokenizers.opening import open_tokenizer

# Twice the cores. tf.data's own tuning costs a tenth of a clip's time and finds no better.
FILMED_AT_ONCE = 2 * (os.cpu_count() or 4)
# Planning takes a thirtieth of the time.
PLANNED_AT_ONCE = 2
# Batches made ahead, so that the host works while the device does.
BATCHES_AHEAD = 2
# What a file that is broken or gone raises; anything else ends the run.
BROKEN = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError)
# What tf.data says before the reason.
_DATASET = re.compile(r"^Error in user-defined function .*? with iterator: \S+: ")
# Runs a function of TensorFlow ops as it is. By default tf.data has AutoGraph rewrite the source of
# all that it calls, for conditions on tensors: we write those as tf.cond, and it takes seconds.
traced = tf.autograph.experimental.do_not_convert
# Random whole numbers below this, modulo a small count, are even enough.
_MANY = 1 << 48
# Places within a part of a video.
_PLACES = 1 << 20


class Shown(NamedTuple):
    """A batch to evaluate on.

    frames: uint8 [B, T, H, W, 3], H = W = image_size, as OpenAI CLIP prepares pictures: the middle
    frame of each of T equal parts of a video; a picture T times; zeros where padding. index: int64
    [B], into the examples; -1 where padding.
    """

    frames: Any
    index: Any


class _Part(NamedTuple):
    """What this process makes of each batch: its rows."""

    examples: Examples
    config: BatchConfig
    rows: range


def train_batches(
    examples: Examples,
    config: BatchConfig,
    *,
    start_step: int,
    process_index: int = 0,
    process_count: int = 1,
    spoken: list[str] | None = None,
) -> Iterator[Batch]:
    """This process's part of the batches of steps start_step, start_step + 1, ... without end.

    A picture comes with one of its captions; of a video a frame at a random time is taken as the
    picture, or with `footage` one frame of each of num_frames equal parts, all at the same random
    place in theirs, seen through one window: its camera moved when it was shot. Every epoch visits
    each group of group_size consecutive examples once, in an order of its own, keeping groups
    together; a clip that becomes the sibling of another takes the place of its own example. Where
    an example can't be decoded, it is quarantined and the next one that can stands in for it.

    Yields NumPy arrays of B = batch_size / process_count clips: `Footage` with footage and where
    the host renders, else `Filmed`. `spoken`, where it is given, then holds the captions of the
    batch's clips as they were tokenized.

    Raises ValueError for sizes that don't divide each other, for footage with a component beside
    the framing, and, while running, where over half of a batch or of the source can't be decoded.
    """
    if not 0 <= process_index < process_count:
        raise ValueError(f"process_index {process_index}: wanted 0 to {process_count - 1}")
    config.check(process_count)
    config.check_groups(examples)
    size = config.batch_size // process_count
    part = _Part(examples, config, range(process_index * size, (process_index + 1) * size))
    tokenizer = open_tokenizer(*config.reading)

    def run() -> Iterator[Batch]:
        for made in _sound_batches(part, start_step):
            captions = [caption.decode("utf-8") for caption in made["caption"]]
            if spoken is not None:
                spoken[:] = captions
            tokens = tokenizer(captions)
            index = made["index"].astype(np.int32)
            if config.has_frames:
                yield Footage(made["frames"], tokens, index, made["told"])
            else:
                plan = packed_plan.as_arrays(made["plan"], config.animation)
                yield Filmed(made["canvas"], plan, tokens, index, made["told"])

    return run()


def eval_batches(
    examples: Examples,
    *,
    num_frames: int,
    image_size: int,
    batch_size: int,
    items: Sequence[int] | None = None,
    resize: str = "shortest",
    interpolation: str = "bicubic",
    antialias: bool = True,
) -> Iterator[Shown]:
    """Every example once, or those of `items`, in order; the last batch padded to B = batch_size.

    Frames are made by `picture.fit` with `resize`, `interpolation` and `antialias`.

    Raises ValueError for an item that can't be decoded, with its id.
    """
    shape = (num_frames, image_size, image_size, 3)
    fitting = image_size, resize, interpolation, antialias
    order = np.arange(len(examples.ids)) if items is None else np.asarray(items, np.int64)
    dataset = tf.data.Dataset.from_tensor_slices(order).map(traced(examples.fetch))
    dataset = dataset.prefetch(batch_size)

    def frames_of(item: tuple[int, np.ndarray]) -> np.ndarray:
        index, encoded = item
        wanted = positions(num_frames, len(encoded))
        try:
            fitted = {n: fit(picture.pixels(encoded[n]), *fitting) for n in set(wanted.tolist())}
        except ValueError as error:
            raise ValueError(_cannot_decode(examples, index, str(error))) from error
        return np.stack([fitted[n] for n in wanted.tolist()])

    fetched = _each_fetched(examples, order.tolist(), dataset)
    with ThreadPoolExecutor() as threads:
        while batch := list(itertools.islice(fetched, batch_size)):
            frames = np.zeros((batch_size, *shape), np.uint8)
            index = np.full(batch_size, -1, np.int64)
            for row, made in enumerate(threads.map(frames_of, batch)):
                frames[row] = made
                index[row] = batch[row][0]
            yield Shown(frames, index)


def decode_pictures(examples: Examples, indices: Iterable[int]) -> list[np.ndarray]:
    """The pictures of some examples whole, the first frames of videos: uint8 [H, W, 3] each.

    Raises ValueError for an example that can't be decoded, with its id.
    """
    found = []
    for index in indices:
        try:
            encoded = examples.fetch(tf.constant(index, tf.int64))[0].numpy()
            found.append(picture.pixels(encoded))
        except (*BROKEN, ValueError) as error:
            raise ValueError(_cannot_decode(examples, index, _reason(error))) from error
    return found


def _each_fetched(
    examples: Examples, order: Sequence[int], dataset: tf.data.Dataset
) -> Iterator[tuple[int, np.ndarray]]:
    """The examples of an order, each with its encoded frames, which the dataset has in that order.

    Raises ValueError for one that is broken or gone, with its id.
    """
    fetched = dataset.as_numpy_iterator()
    for index in order:
        try:
            encoded = next(fetched)
        except BROKEN as error:
            raise ValueError(_cannot_decode(examples, index, _reason(error))) from error
        yield index, encoded


def _sound_batches(part: _Part, step: int) -> Iterator[dict]:
    """The batches from a step on; what can't be decoded is replaced, and its batch made again."""
    stand_ins = StandIns(part.examples, part.config.group_size)
    batches = _dataset(part, stand_ins.table, step).as_numpy_iterator()
    while True:
        try:
            batch = next(batches)
        except BROKEN:
            bad = _bad_clips(part, stand_ins.table, step)
            if not bad:
                raise
            stand_ins.replace(bad, len(part.rows))
            batches = _dataset(part, stand_ins.table, step).as_numpy_iterator()
        else:
            yield batch
            step += 1


def _dataset(part: _Part, table: Table, start_step: int) -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    # Everything but the pictures is made for a whole batch at once: the many small ops cost as much
    # for one clip.
    dataset = dataset.map(traced(_plan(part, table)), num_parallel_calls=PLANNED_AT_ONCE).unbatch()
    dataset = dataset.map(traced(_film(part)), num_parallel_calls=FILMED_AT_ONCE)
    options = tf.data.Options()
    options.deterministic = True
    # There is nothing to tune, and the thread that does it can keep an iterator from closing for as
    # long as it sleeps: up to a minute.
    options.autotune.enabled = False
    shapes = {name: spec.shape for name, spec in dataset.element_spec.items()}
    if not part.config.has_frames:
        shapes["canvas"] = [part.config.canvas_size, part.config.canvas_size, 3]
    dataset = dataset.padded_batch(len(part.rows), shapes, drop_remainder=True)
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)


def _plan(part: _Part, table: Table) -> Callable[[tf.Tensor], Clip]:
    """A function from a step (int64 scalar) to this process's clips, planned, without pictures."""
    examples, animation = part.examples, part.config.animation
    captions = Captions.of(examples.captions)
    text, ends = ops.texts(captions.texts), ops.rows(captions.ends)
    size, turn = ops.rows(examples.sizes), ops.rows(examples.orientations)
    box = None if examples.boxes is None else ops.rows(examples.boxes)
    plan = canvas.plan_batch(animation, part.config.canvas_size)

    def caption_of(index: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
        first, end = ends(index), ends(index + 1)
        return text(first + drawn % (end - first))

    def planned(step: tf.Tensor) -> Clip:
        rows = tf.range(part.rows.start, part.rows.stop, dtype=tf.int64)
        position = step * part.config.batch_size + rows
        draws = noise(part.config.seed, position[0], len(part.rows))
        telling = told.draw(part.config.seed, position[0], len(part.rows))
        index = _standing_in(table, _order(part, position))
        spoken, both = caption_of(index, _draw(part, "caption", step))[:, None], index[:, None]
        if animation.is_on("scenes"):
            num_others = max(len(examples.ids) - 1, 1)
            away = 1 + _draw(part, "second scene", step) % num_others
            then = _standing_in(table, _order(part, position, away))
            then_caption = caption_of(then, _draw(part, "second caption", step))
            two = two_scenes(draws, animation)
            spoken = tf.concat([spoken, then_caption[:, None]], axis=1)
            both = tf.stack([index, tf.where(two, then, index)], axis=1)
        clips = {
            "index": both,
            "captions": spoken,
            "told": telling,
            "sibling_of": _sibling_of(part, telling),
            "frame": _draw(part, "frame", step),
            "size": size(both),
            "turn": tf.cast(turn(both), tf.int32),
            "draws": draws,
        }
        if animation.thing_frames and box is not None:
            clips["box"] = box(index) * tf.cast(tf.tile(clips["size"][:, 0], [1, 2]), tf.float32)
        return plan(clips)

    return planned


def _standing_in(table: Table, index: tf.Tensor) -> tf.Tensor:
    """The examples that are taken in the place of others: int64 [B]."""
    # Behind the last stands none, so that there is always a next one to compare with.
    broken = tf.constant([*table.broken.tolist(), np.iinfo(np.int64).max], tf.int64)
    instead = tf.constant([*table.instead.tolist(), 0], tf.int64)
    place = tf.searchsorted(broken, index)
    return tf.where(tf.gather(broken, place) == index, tf.gather(instead, place), index)


def _sibling_of(part: _Part, telling: tf.Tensor) -> tf.Tensor:
    """The row that each clip may become a sibling of, or its own: int32 [B].

    Clips of every second group may become siblings of those of the group before. So groups of
    near-duplicates stay whole, and their clips have neighbours of both kinds. telling: of
    `told.draw`.
    """
    size, rows = part.config.group_size, tf.range(len(part.rows))
    first = tf.where(rows // size % 2 == 1, rows - size, rows)
    is_drawn = telling[:, told.SIBLING] < part.config.animation.told.siblings
    return tf.where(tf.gather(is_drawn, first), first, rows)


def _draw(part: _Part, name: str, step: tf.Tensor) -> tf.Tensor:
    """A random whole number for each clip, int64 [B]."""
    seed, size = tf.stack([stream_key(part.config.seed, name), step]), part.config.batch_size
    drawn = tf.random.stateless_uniform([size], seed, 0, _MANY, tf.int64, alg="philox")
    return drawn[part.rows.start : part.rows.stop]


def _order(part: _Part, position: tf.Tensor, away: tf.Tensor | int = 0) -> tf.Tensor:
    """Which examples stand at positions of the run, or so far away in their epoch: int64 [B]."""
    total = len(part.examples.ids)
    position = position // total * total + (position + away) % total
    num_groups = total // part.config.group_size
    group, member = position // part.config.group_size, position % part.config.group_size
    key = tf.fill(tf.shape(group), tf.constant(stream_key(part.config.seed, "order"), tf.int64))
    # tf.random.experimental.index_shuffle, which itself takes one seed for all.
    shuffled = tf.raw_ops.RandomIndexShuffle(
        index=group % num_groups,
        seed=tf.stack([key, group // num_groups, tf.zeros_like(key)], axis=1),
        max_index=tf.constant(num_groups - 1, tf.int64),
    )
    return shuffled * part.config.group_size + member


def _read(part: _Part) -> Callable[[Clip, int, tf.Tensor], tf.Tensor]:
    """A function from a clip, a picture's number in it and a region of that, upright, to pixels.

    Those are uint8 [h, w, 3], of footage [T, h, w, 3]. It raises one of BROKEN where the picture
    can't be decoded.
    """
    fetch, num_frames = part.examples.fetch, part.config.animation.num_frames
    turns = part.examples.orientations
    # A column in which some differ is not read for this: there may be a hundred million.
    any_turned = not ops.is_repeated(turns) or bool(turns[0] > 1)

    def read(clip: Clip, number: int, region: tf.Tensor) -> tf.Tensor:
        stored = fetch(clip["index"][number])
        count = tf.shape(stored, out_type=tf.int64)[0]
        size, turn = clip["size"][number], clip["turn"][number]
        wanted = size
        if any_turned:
            region = orientation.stored_region(region, size, turn)
            wanted = orientation.stored_region(tf.concat([[0, 0], size], 0), size, turn)[2:]

        def pixels(frame: tf.Tensor) -> tf.Tensor:
            found = decode_region(stored[frame], region, wanted)
            return orientation.upright(found, turn) if any_turned else found

        if not part.config.footage:
            return pixels(clip["frame"] % count)
        # Part t of the video is [t, t + 1) * count / T; all frames stand at one place in theirs.
        times = tf.range(num_frames, dtype=tf.int64) * _PLACES + clip["frame"] % _PLACES
        shown = times * count // (num_frames * _PLACES)
        return tf.map_fn(pixels, shown, fn_output_signature=tf.uint8)

    return read


def _film(part: _Part) -> Callable[[Clip], Clip]:
    """A function from a planned clip to what leaves the pipeline."""
    if part.config.footage:
        whole = part.config.squashed and not part.config.animation.is_on("framing")
        return canvas.show_footage(part.config.animation, whole, _read(part))
    return canvas.film_clip(part.config.animation, part.config.canvas_size, _read(part))


def _bad_clips(part: _Part, table: Table, step: int) -> dict[int, str]:
    """The examples of a batch that can't be decoded, and why."""
    film, read = _film(part), _read(part)
    pixels = "frames" if part.config.has_frames else "canvas"
    planned = tf.data.Dataset.from_tensor_slices(_plan(part, table)(tf.constant(step, tf.int64)))

    def made(number: tf.Tensor, clip: Clip) -> tuple[tf.Tensor, tf.Tensor]:
        # One pixel is touched, or TensorFlow prunes the decoding as unused.
        return number, film(clip)[pixels][0, 0, 0]

    sound = planned.enumerate().map(traced(made), num_parallel_calls=FILMED_AT_ONCE).ignore_errors()
    good = {int(number) for number, _ in sound.as_numpy_iterator()}
    bad: dict[int, str] = {}
    for row, clip in enumerate(planned):
        for number, index in enumerate([] if row in good else clip["index"].numpy().tolist()):
            try:
                read(clip, number, tf.concat([[0, 0], clip["size"][number]], 0))
            except BROKEN as error:
                bad[index] = _reason(error)
    return bad


def _reason(error: Exception) -> str:
    """What an error says, without the names of TensorFlow's ops and datasets around it."""
    if not isinstance(error, BROKEN):
        return str(error)
    said = error.message.partition("\n")[0].rpartition("}} ")[2].partition(" [Op:")[0]
    return _DATASET.sub("", said)


def _cannot_decode(examples: Examples, index: int, reason: str) -> str:
    return f"{examples.name}: {examples.ids[index]!r} can't be used as a picture: {reason}"
