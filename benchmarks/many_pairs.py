"""What captions of very many pairs cost a process: memory, reading, and time to the first batch.

    python -m benchmarks.many_pairs --pairs 1000000 --json many.json

Writes a TFRecord of 64 pictures, and the columns that indexing a TFRecord of so many pairs would
write: each pair has its own id and caption, and one of those pictures. 200,000 of them are written
by the code that indexes, which is timed, and must be the same bytes. Then a process of its own
opens the source and makes training batches of it. Their order must be the one that
TensorFlow's RandomIndexShuffle gives, and their captions those of the pairs.

Bytes from the disk are those up to the first batch, with what of TensorFlow is loaded by then.
Memory is what /proc/self/smaps_rollup says at the end: `private`, pages that no other process has,
and of these `anonymous`, pages that are no file's. `few` are the same figures with 64 pairs: what
Python, TensorFlow and a batch cost without captions. The other private pages are those of the
columns that were read; the system takes them back when memory is short.
"""

import argparse
import contextlib
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from animclip_jax import files

PICTURES, BATCH, BATCHES, SEED = 64, 64, 4, 7
SIZE, DIGITS = (64, 96), 9
# Columns of places in the TFRecord: bytes a number.
PLACES = {"offset": 8, "length": 4}
# Pairs that are compiled as indexing does it, and pairs that are written at a time.
COMPILED, CHUNK = 200_000, 1 << 20
SOURCE = "tfrecord:{}/pairs.tfrecord"


def caption(number: int) -> str:
    """The caption of a pair, 50 letters."""
    return f"a picture of one thing, of which this is {number:09d}"


def write_pictures(file: str) -> None:
    """A TFRecord of pictures of 96 x 64 pixels, with their captions and keys."""
    from input_pipeline.tensorflow_on_cpu import tf

    with tf.io.TFRecordWriter(file) as writer:
        for number in range(PICTURES):
            buffer = io.BytesIO()
            Image.new("RGB", (96, 64), (3 * number, 90, 120)).save(buffer, "JPEG")
            values = {"key": str(number).encode(), "txt": b"x", "jpg": buffer.getvalue()}
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for name, value in values.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def make(folder: Path, pairs: int) -> dict[str, Any]:
    """The pictures, and the columns of some pairs as indexing writes them; what they cost."""
    from input_pipeline.columns import columns
    from input_pipeline.sources import shards, tfrecord

    file = SOURCE.format(folder).partition(":")[2]
    write_pictures(file)
    found = [one for one in tfrecord.read(file) if isinstance(one, shards.Found)]

    def rows(_: dict[str, str]) -> Iterator[columns.Row]:
        places = [(one.offset, one.length) for one in found]
        for number in range(pairs):
            offset, length = places[number % PICTURES]
            yield columns.Row(
                f"{number:09d}", [caption(number)], SIZE, offset=offset, length=length
            )

    at = shards.place(SOURCE, [file], str(folder / "cache")) / shards.COLUMNS
    began = time.perf_counter()
    columns.kept(at, rows)
    seconds = time.perf_counter() - began
    size = sum(one.stat().st_size for one in at.iterdir())
    return {"columns": at, "seconds_to_compile": seconds, "bytes": size}


def extend(at: Path, pairs: int) -> None:
    """Makes the columns of PICTURES pairs those of more, as `make` would, only faster."""
    from input_pipeline.columns import columns

    letters = np.frombuffer(caption(0)[:-DIGITS].encode(), np.uint8)
    places = {name: np.fromfile(at / name, f"<i{size}") for name, size in PLACES.items()}
    about = json.loads((at / columns.ABOUT).read_text())
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context((at / name).open("ab")) for name in about_files(at)}
        for start in range(PICTURES, pairs, CHUNK):
            number = np.arange(start, min(start + CHUNK, pairs))
            digits = number[:, None] // 10 ** np.arange(DIGITS - 1, -1, -1) % 10 + ord("0")
            last = digits.astype(np.uint8)
            text = np.broadcast_to(letters, (len(number), len(letters)))
            made: dict[str, np.ndarray] = {
                "id.utf8": last,
                "id.ends": (number + 1) * DIGITS,
                "caption.utf8": np.concatenate([text, last], axis=1),
                "caption.ends": (number + 1) * (len(letters) + DIGITS),
                "captions.ends": number + 1,
                "size": np.broadcast_to(np.array(SIZE, "<i4"), (len(number), 2)),
                **{name: place[number % PICTURES] for name, place in places.items()},
            }
            assert made.keys() == files.keys()
            for name, column in made.items():
                files[name].write(column.tobytes())
    sizes = {name: pairs * width for name, width in (("id", DIGITS), ("caption", len(caption(0))))}
    about |= {"num_examples": pairs, "num_captions": pairs, "bytes": sizes}
    (at / columns.ABOUT).write_text(json.dumps(about))
    for path in at.iterdir():  # So that they are read from the disk.
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def about_files(at: Path) -> set[str]:
    """The names of the files of columns."""
    from input_pipeline.columns import columns

    return {path.name for path in at.iterdir()} - {columns.ABOUT}


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same columns."""
    return about_files(one) == about_files(other) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in about_files(one)
    )


def read(folder: Path) -> dict[str, Any]:
    """Opens the source and makes batches of it, in this process.

    Raises AssertionError where their order or their captions are others.
    """
    from animclip_jax.animation.config import AnimationConfig
    from input_pipeline.batches import train_batches
    from input_pipeline.director import stream_key
    from input_pipeline.examples import BatchConfig
    from input_pipeline.sources.opening import open_source
    from input_pipeline.tensorflow_on_cpu import tf
    from input_pipeline.tokenizers.opening import open_tokenizer

    animation = AnimationConfig(num_frames=4, image_size=32)
    config = BatchConfig(animation, batch_size=BATCH, seed=SEED, canvas_size=48)
    before = bytes_from_disk()
    began, busy = time.perf_counter(), time.process_time()
    examples = open_source(SOURCE.format(folder), str(folder / "cache"))
    opened = time.perf_counter() - began
    made = train_batches(examples, config, start_step=0)
    first = next(made)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    fetched = bytes_from_disk() - before
    index = np.concatenate([one.index for one in [first, *itertools.islice(made, BATCHES - 1)]])
    total = len(examples.ids)
    position = np.arange(BATCH * BATCHES, dtype=np.int64)
    key = np.full_like(position, stream_key(SEED, "order"))
    order = tf.raw_ops.RandomIndexShuffle(
        index=position % total,
        seed=np.stack([key, position // total, np.zeros_like(key)], 1),
        max_index=np.int64(total - 1),
    )
    order = order.numpy().tolist()
    assert index.tolist() == order, "the order is another one"
    wanted = open_tokenizer(*config.reading)([caption(number) for number in order[:BATCH]])
    assert (first.tokens == wanted).all(), "the captions are others"
    assert [examples.ids[n] for n in order] == [f"{n:09d}" for n in order]
    return {
        "pairs": total,
        "seconds_to_open": round(opened, 2),
        "seconds_to_first_batch": round(seconds, 2),
        "cpu_seconds_to_first_batch": round(busy, 2),
        "bytes_from_disk_to_first_batch": fetched,
        "order": hashlib.sha256(index.astype("<i8").tobytes()).hexdigest()[:16],
        **memory(),
    }


def bytes_from_disk() -> int:
    """What this process has had the system read: of what is in its cache, nothing."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes:"))


def memory() -> dict[str, int]:
    """Bytes of this process that no other one has, and those of them that are no file's."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    found = {name: int(rest.split()[0]) * 1024 for name, rest in (one.split(":") for one in lines)}
    private = found["Private_Clean"] + found["Private_Dirty"]
    return {"private_bytes": private, "anonymous_bytes": found["Anonymous"]}


def measure(folder: Path, pairs: int) -> dict[str, Any]:
    """Makes the pairs, and reads them in a process of its own."""
    folder.mkdir()
    at = make(folder, PICTURES)["columns"]
    extend(at, pairs)
    size = sum(one.stat().st_size for one in at.iterdir())
    command = [sys.executable, "-m", "benchmarks.many_pairs", "--read", os.fspath(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"bytes_a_pair": round(size / pairs, 1)}


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path, help="internal")
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read)))
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "compiled").mkdir()
        (home / "extended").mkdir()
        compiled = make(home / "compiled", COMPILED)
        extended = make(home / "extended", PICTURES)["columns"]
        extend(extended, COMPILED)
        assert same_files(compiled["columns"], extended), "other columns than indexing writes"
        few = measure(home / "few", PICTURES)
        many = measure(home / "many", options.pairs)
    seconds = compiled["seconds_to_compile"] * 1e6 / COMPILED
    found = {"many": many, "few": few, "seconds_to_compile_a_million": round(seconds, 1)}
    print(json.dumps(found, indent=2))
    if options.json:
        files.write_json(options.json, found, indent=2)


if __name__ == "__main__":
    main()
