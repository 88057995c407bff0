"""Sources at gs://, read by TensorFlow's own client from a server that stands in for Google's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from input_pipeline.store import records
from tests.input_pipeline.fake_gcs import fake_gcs
from tests.input_pipeline.shard_files import encoded, write_tar, write_tfrecord

ROOT = Path(__file__).resolve().parents[2]

READ = """
import itertools, json, sys
from animclip_jax.animation.config import AnimationConfig
from input_pipeline.batches import eval_batches, train_batches
from input_pipeline.sources.opening import open_source
from input_pipeline.tokenizer import Tokenizer

found = {}
for source in sys.argv[2:]:
    examples = open_source(source, sys.argv[1])
    run = train_batches(examples, AnimationConfig(num_frames=2, image_size=16), Tokenizer(16, 1000),
                        canvas_size=32, batch_size=2, seed=0, start_step=999_999)
    levels = {}
    for batch in itertools.islice(run, 3):
        for index, canvas in zip(batch["index"], batch["canvas"]):
            levels[examples.ids[index]] = float(canvas[:8, :8].mean())
    sizes = dict(num_frames=1, image_size=8, batch_size=6)
    (batch,) = eval_batches(examples, **sizes)
    found[source] = [levels, batch["frames"].mean(axis=(1, 2, 3, 4)).tolist()[: len(examples.ids)]]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_sources_at_gs_are_read_as_those_on_a_disk(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here, which makes the server's certificate")
    samples = [(f"k{n}", f"picture {n}", encoded(20 * n)) for n in range(6)]
    write_tar(tmp_path / "0.tar", samples)
    write_tfrecord(tmp_path / "0.tfrecord", samples)
    with records.StoreWriter(tmp_path / "store", "test") as writer:
        for key, caption, picture in samples:
            writer.add(key, [picture], [caption], 40, 30)
        lines = [{"id": key, "captions": [caption]} for key, caption, _ in samples]
        writer.write_lines("splits/test.jsonl", [*lines, {"id": "gone", "captions": ["x"]}])
        gone = {"file": "gone", "reason": "no file", "count": 1}
        writer.write_lines("quarantine.jsonl", [gone])
    files = {
        f"bucket/{path.relative_to(tmp_path)}": path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    sources = ["tfrecord:gs://bucket/*.tfrecord", "webdataset:gs://bucket/{0..0}.tar",
               "folder:gs://bucket/store@split=test"]  # fmt: skip
    with fake_gcs(files, tmp_path) as environment:
        run = subprocess.run(
            [sys.executable, "-c", READ, str(tmp_path / "cache"), *sources],
            env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "folder:gs://bucket/store@split=test: 6 of 7 (85.7%), see gs://bucket" in run.stderr
    for source, (trained, shown) in json.loads(run.stdout).items():
        assert all(abs(trained[f"k{n}"] - 20 * n) < 4 for n in range(6)), source
        assert all(abs(shown[n] - 20 * n) < 4 for n in range(6)), source
    assert not (ROOT / "gs:").exists() and not Path("gs:").exists()
