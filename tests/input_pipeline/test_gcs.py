"""Sources at gs://, read by TensorFlow's own client from a server that stands in for Google's."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from input_pipeline.store import records
from tests import processes
from tests.input_pipeline.fake_gcs import fake_gcs
from tests.input_pipeline.shard_files import encoded, write_tar, write_tfrecord
from tests.repository import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("openssl") is None,
        reason="no openssl here, which makes the server's certificate",
    ),
]


def bucket(folder: Path) -> dict[str, bytes]:
    """All files below a folder, as those of a bucket."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {f"bucket/{path.relative_to(folder)}": path.read_bytes() for path in found}


def test_sources_at_gs_are_read_as_those_on_a_disk(tmp_path: Path) -> None:
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
    sources = ["tfrecord:gs://bucket/*.tfrecord", "webdataset:gs://bucket/{0..0}.tar",
               "folder:gs://bucket/store@split=test"]  # fmt: skip
    with fake_gcs(bucket(tmp_path), tmp_path) as environment:
        command = processes.program("read_sources", tmp_path / "cache", *sources)
        run = processes.run(command, **environment)
    assert run.returncode == 0, run.stderr
    assert "folder:gs://bucket/store@split=test: 6 of 7 (85.7%), see gs://bucket" in run.stderr
    for source, (trained, shown) in json.loads(run.stdout).items():
        assert all(abs(trained[f"k{n}"] - 20 * n) < 4 for n in range(6)), source
        assert all(abs(shown[n] - 20 * n) < 4 for n in range(6)), source
    assert not (ROOT / "gs:").exists() and not Path("gs:").exists()


@pytest.mark.parametrize("kind, write", [("webdataset", write_tar), ("tfrecord", write_tfrecord)])
def test_parts_prepare_from_gs_what_one_process_prepares_from_a_disk(
    tmp_path: Path, kind: str, write: Callable[[Path, list], None]
) -> None:
    (tmp_path / "files").mkdir()
    for file in range(2):
        samples = [(f"{file}{n}", f"picture {n}", encoded(20 * n + file)) for n in range(6)]
        write(tmp_path / "files" / f"{file}.{kind}", [*samples, (f"{file}bad", "x", b"<html>")])

    def prepare(source: str, out: str, *part: str, **environment: str) -> None:
        """Each with a cache of its own, as a machine of its own has."""
        where = [
            f"--out={tmp_path / out}",
            f"--cache-dir={tmp_path / '-'.join([out, *part])}.cache",
        ]
        command = [sys.executable, "-m", "animclip_jax.prepare", source, *where, *part]
        done = processes.run(command, **environment)
        assert done.returncode == 0, done.stderr

    prepare(f"{kind}:{tmp_path}/files/*.{kind}", "wanted")
    with fake_gcs(bucket(tmp_path / "files"), tmp_path) as environment:
        for part in ("--part=1/2", "--part=2/2", "--merge=2"):
            prepare(f"{kind}:gs://bucket/{{0,1}}.{kind}", "found", part, **environment)
    for name in (records.INDEX, records.RECORDS):
        assert (tmp_path / "found" / name).read_bytes() == (tmp_path / "wanted" / name).read_bytes()
    assert (tmp_path / "wanted" / records.INDEX).read_bytes().count(b"\n") == 12
