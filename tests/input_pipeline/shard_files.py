"""Files as img2dataset writes them, for tests: TFRecords and tars, with its names and metadata."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image


def encoded(level: int, size: tuple[int, int] = (40, 30), kind: str = "JPEG") -> bytes:
    """A picture of (width, height) whose pixels are all about of one level."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(level).integers(-5, 6, (size[1], size[0], 3))
    pixels = np.clip(level + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def metadata(key: str, caption: str | None) -> dict:
    """What img2dataset keeps of a picture, in the json of a tar and as features of a record."""
    return {
        "caption": caption, "url": f"https://example.org/{key}", "key": key, "status": "success",
        "error_message": None, "width": 256, "height": 256, "original_width": 640,
        "original_height": 480, "exif": "{}", "sha256": "0" * 64,
    }  # fmt: skip


def write_tar(path: Path, samples: Sequence[tuple[str, str | None, bytes]]) -> None:
    """KEY.jpg, KEY.txt and KEY.json of each (key, caption, picture)."""
    with tarfile.open(path, "w") as tar:
        for key, caption, picture in samples:
            parts = {"jpg": picture, "json": json.dumps(metadata(key, caption)).encode()}
            if caption is not None:
                parts["txt"] = caption.encode()
            for extension, content in parts.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write_tfrecord(path: Path, samples: Sequence[tuple[str, str | None, bytes]]) -> None:
    """A tf.train.Example of each (key, caption, picture): key, jpg, txt, and the metadata."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for key, caption, picture in samples:
            feature = {"key": _bytes(key.encode()), "jpg": _bytes(picture)}
            if caption is not None:
                feature["txt"] = _bytes(caption.encode())
            for name, value in metadata(key, caption).items():
                if name != "key":
                    feature[name] = _feature(value)
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _feature(value: object) -> tf.train.Feature:
    if isinstance(value, list):
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return _bytes(b"" if value is None else str(value).encode())
