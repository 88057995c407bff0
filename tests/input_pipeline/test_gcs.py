"""Sources at gs://, read by TensorFlow's own client from a server that stands in for Google's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from input_pipeline.store import records
from tests import processes
from tests.input_pipeline.fake_gcs import fake_gcs
from tests.input_pipeline.shard_files import encoded, write_tar, write_tfrecord
from tests.repository import ROOT


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
        command = processes.program("read_sources", tmp_path / "cache", *sources)
        run = processes.run(command, **environment)
    assert run.returncode == 0, run.stderr
    assert "folder:gs://bucket/store@split=test: 6 of 7 (85.7%), see gs://bucket" in run.stderr
    for source, (trained, shown) in json.loads(run.stdout).items():
        assert all(abs(trained[f"k{n}"] - 20 * n) < 4 for n in range(6)), source
        assert all(abs(shown[n] - 20 * n) < 4 for n in range(6)), source
    assert not (ROOT / "gs:").exists() and not Path("gs:").exists()
