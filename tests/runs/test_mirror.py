"""A bucket's folder and the local one that stands for it; here a folder plays the bucket."""

import os
import shutil

import numpy as np
import pytest

from animclip_jax.reporting.arms import load_arm
from animclip_jax.runs import mirror, run_config
from animclip_jax.runs.mirror import Mirror
from animclip_jax.runs.samples import write_samples


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "is_remote", lambda workdir: True)
    return tmp_path / "bucket" / "run"


def test_what_changed_is_copied_up_and_comes_back_elsewhere(bucket, tmp_path):
    first = Mirror(bucket, str(tmp_path / "here"))
    (first.local / "samples").mkdir()
    (first.local / "samples" / "a.jpg").write_bytes(b"picture")
    (first.local / "metrics.jsonl").write_text("1\n")
    first.push()
    assert (bucket / "samples" / "a.jpg").read_bytes() == b"picture"
    with (first.local / "metrics.jsonl").open("a") as file:
        file.write("2\n")
    os.unlink(bucket / "samples" / "a.jpg")
    first.push()
    assert (bucket / "metrics.jsonl").read_text() == "1\n2\n"
    assert not (bucket / "samples" / "a.jpg").exists()  # it had not changed
    second = Mirror(bucket, str(tmp_path / "there"))
    assert (second.local / "metrics.jsonl").read_text() == "1\n2\n"


def test_samples_come_to_the_next_machine_for_its_report(bucket, tmp_path):
    first = Mirror(bucket, str(tmp_path / "here"))
    some = np.zeros((2, 4, 8, 8, 3), np.uint8)
    write_samples(first.local, list(some[:, 0]), some, ["a dog", "a cat"])
    first.push()
    second = Mirror(bucket, str(tmp_path / "there"))
    samples = load_arm(second.local, "run", {}).samples
    assert [one.caption for one in samples] == ["a dog", "a cat"]
    assert all(one.picture.is_file() and one.strip.path.is_file() for one in samples)
    shutil.rmtree(bucket)
    assert not list((Mirror(bucket, str(tmp_path / "there")).local / "samples").iterdir())


def test_finished_reaches_the_bucket_after_everything_else(bucket, tmp_path, monkeypatch):
    here = Mirror(bucket, str(tmp_path))
    names = ["config.json", "finished", "report.html", "results.json"]
    for name in names:
        (here.local / name).write_text("1\n")
    copied = []

    def note(path, data):
        copied.append(path.name)
        return len(data)

    monkeypatch.setattr(type(here.remote), "write_bytes", note)
    here.push()
    assert sorted(copied) == names and copied[-1] == "finished"


def test_a_copy_of_a_run_that_is_gone_is_not_gone_on_with(bucket, tmp_path):
    first = Mirror(bucket, str(tmp_path))
    (first.local / "metrics.jsonl").write_text("1\n")
    assert not (Mirror(bucket, str(tmp_path)).local / "metrics.jsonl").exists()


def test_a_lock_of_this_machine_is_not_copied_up(bucket, tmp_path):
    with run_config.alone(mirror.local_folder(bucket, str(tmp_path))):
        here = Mirror(bucket, str(tmp_path))
        (here.local / "metrics.jsonl").write_text("1\n")
        here.push()
    assert [path.name for path in bucket.iterdir()] == ["metrics.jsonl"]


def test_a_local_folder_stands_for_itself(tmp_path):
    run = tmp_path / "run"
    mirrored = Mirror(run, str(tmp_path / "cache"))
    mirrored.push()
    assert mirrored.local == run
    assert not run.exists() and not (tmp_path / "cache").exists()
    assert mirror.is_remote("gs://bucket/run") and not mirror.is_remote(run)
