"""Faults of a disk or a network that pass: no file is taken for a bad one, and nothing is kept."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from input_pipeline.media import picture
from input_pipeline.sources.opening import open_source
from tests.input_pipeline.shard_files import encoded, write_tar, write_tfrecord


@pytest.mark.parametrize("kind", ["webdataset", "tfrecord"])
@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.EIO, os.strerror(errno.EIO)),
        tf.errors.UnavailableError(None, None, "the bucket is away"),
    ],
)
def test_a_shard_that_could_not_be_read_once_is_whole_the_next_time(
    kind: str, fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = {"webdataset": write_tar, "tfrecord": write_tfrecord}[kind]
    write(tmp_path / "0.shard", [(f"{n}", f"picture {n}", encoded(n)) for n in range(6)])
    source, cache = f"{kind}:{tmp_path / '0.shard'}", tmp_path / "cache"
    read, calls = tf.io.gfile.GFile.read, []

    def failing(file: Any, n: int = -1) -> Any:
        calls.append(n)
        if len(calls) == 6:
            raise fault
        return read(file, n)

    monkeypatch.setattr(tf.io.gfile.GFile, "read", failing)
    with pytest.raises(OSError, match="0.shard: can't be read: ") as caught:
        open_source(source, str(cache))
    assert type(caught.value) is OSError and "\n" not in str(caught.value)
    assert not [path for path in cache.rglob("*.jsonl") if path.stat().st_size]
    examples = open_source(source, str(cache))
    assert len(examples.ids) == 6 and not examples.missing


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_picture_that_could_not_be_read_once_is_used_the_next_time(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(encoded(9))
    rows = [{"image": name, "caption": "x"} for name in ("a.jpg", "b.jpg", "c.jpg")]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    opened, calls = picture._opened, []

    def failing(file: Any, limits: picture.Limits) -> Any:
        calls.append(file)
        if len(calls) == 1:
            raise OSError(number, os.strerror(number))
        return opened(file, limits)

    monkeypatch.setattr(picture, "_opened", failing)
    cache = tmp_path / "cache"
    with pytest.raises(OSError, match=f"{os.strerror(number)}: .*.jpg"):
        open_source(f"folder:{tmp_path}", str(cache))
    assert not [*cache.rglob("*.jsonl")]
    examples = open_source(f"folder:{tmp_path}", str(cache))
    assert len(examples.ids) == 3 and not examples.missing
