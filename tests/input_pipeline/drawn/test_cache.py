"""The drawn store: made once, whole or not at all, whoever else makes it at the same time."""

import math
import os
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from input_pipeline.drawn import cache
from input_pipeline.drawn.captions import captions, is_true, write
from input_pipeline.drawn.raster import still, video
from input_pipeline.drawn.scene import WORLD_VERSION, scene
from input_pipeline.sources.opening import open_source
from input_pipeline.store import records


def test_stills_and_videos_are_stored_as_drawn(tmp_path):
    import tensorflow as tf

    for split, count, told in (("train", 40, 5), ("test", 3, 3)):
        directory = cache.prepared(split, count, tmp_path)
        assert directory == tmp_path / f"drawn-v{WORLD_VERSION}-{split}-{count}"
        items = records.read_index(directory)
        assert [item["id"] for item in items] == [f"drawn-{split}-{i:06d}" for i in range(count)]
        fetch = records.fetch_record(directory)
        for index in (0, count - 1):
            at = scene(split, index)
            drawn = still(at)[None] if split == "train" else video(at)
            item = items[index]
            assert item["captions"] == captions(at, told)
            encoded = fetch(tf.constant(item["offset"], tf.int64)).numpy()
            assert item["num_frames"] == len(encoded) == len(drawn)
            assert (item["height"], item["width"]) == drawn.shape[1:3]
            for one, frame in zip(drawn, encoded, strict=True):
                decoded = np.asarray(Image.open(BytesIO(frame)), float)
                assert np.abs(decoded - one).mean() < 8
    assert sorted(os.listdir(tmp_path)) == ["drawn-v4-test-3", "drawn-v4-train-40"]


def test_what_is_known_of_captions_is_stored_and_read(tmp_path):
    examples = open_source("drawn:test:30", str(tmp_path))
    seen = set()
    for index, told in enumerate(examples.told):
        at = scene("test", index)
        for known, caption in zip(told, write(at, 3), strict=True):
            assert known.motion == caption.names_motion
            other = index ^ 1  # of the same pair
            false = at.sibling == other and not is_true(caption, scene("test", other))
            assert known.sibling == (examples.ids[other] if false else "")
            assert known.differs == (at.differs if false else "")
            seen.add((known.motion, false))
    assert {(True, True), (True, False), (False, False)} <= seen


def test_a_second_call_draws_nothing(tmp_path, monkeypatch):
    made = tmp_path / f"drawn-v{WORLD_VERSION}-val-{cache.DEFAULT_COUNTS['val']}"
    made.mkdir()
    monkeypatch.setattr(cache, "_write", None)
    assert cache.prepared("val", None, tmp_path) == made


def test_a_failing_worker_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "draw", math.factorial)
    with pytest.raises(TypeError, match="factorial"):
        cache.prepared("test", 2, tmp_path)
    assert os.listdir(tmp_path) == []


def test_two_processes_at_once_and_no_worker_runs_the_main_program(tmp_path):
    """The program has no `if __name__ == "__main__"`: workers that ran it would write lines."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from input_pipeline.drawn.cache import prepared\n"
        "with Path(sys.argv[1], 'runs').open('a') as runs:\n"
        "    runs.write('run\\n')\n"
        "print(prepared('test', 4, Path(sys.argv[1], 'cache')))\n"
    )
    commands = [[str(program)], ["-m", "program"]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(
            [sys.executable, *command, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        for command in commands
    ]
    said = [process.communicate()[0].strip() for process in running]
    directory = tmp_path / "cache" / "drawn-v4-test-4"
    assert [process.returncode for process in running] == [0, 0]
    assert said == [str(directory)] * 2
    assert os.listdir(tmp_path / "cache") == ["drawn-v4-test-4"]
    assert len(records.read_index(directory)) == 4
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_drawing_needs_no_tensorflow():
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from input_pipeline.drawn import cache\n"
        "print(len(cache.draw('test', 0, 1)[0][1]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "8", done.stderr


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'dev' is none of"):
        cache.prepared("dev", 4, tmp_path)
    with pytest.raises(ValueError, match="drawn:test:0: the count must be 1 or more"):
        cache.prepared("test", 0, tmp_path)
