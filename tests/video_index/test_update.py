"""Updates of an index: what is new costs, what is not is left alone, a kill loses nothing."""

import dataclasses
import json
import random
import shutil
import signal
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import embedding, shards, update
from animclip_jax.video_index.effort import ON_CPU
from animclip_jax.video_index.reader import Index
from input_pipeline.media import picture, video, workers
from input_pipeline.media.segments import SegmentSettings
from tests import processes, searchable
from tests.searchable import EFFORT, RED, shot


@pytest.fixture
def own(indexed, tmp_path):
    """The index and its videos, copied, with their times."""
    return searchable.copied(indexed, tmp_path / "own")


@pytest.fixture
def again(own, search_model, search_model_path, monkeypatch):
    """Brings `own` up to date; returns the summary, and the files that were read."""

    def run(effort=EFFORT, **changed):
        read, processes = [], workers.run

        def watched(function, arguments, *rest):
            def listed():
                for one in arguments:
                    read.append(one[0].name)
                    yield one

            return processes(function, listed(), *rest)

        monkeypatch.setattr(update.workers, "run", watched)
        given = {"model": search_model, "settings": searchable.settings_of(search_model)} | changed
        root = own.parent / "videos"
        where = search_model_path
        done = update.update(own, root, given["model"], where, given["settings"], effort)
        return done, read

    return run


def test_segments_hold_what_the_model_makes_of_them(indexed, search_model):
    model = search_model
    index = Index(indexed)
    assert index.catalogue.counts == (5, 0)
    counts = {name: index.names.count(name) for name in index.names}
    odd = "<b>é 'x'&.mp4"
    assert counts == {"red.mp4": 1, "shots.mp4": 2, "long.mp4": 3, "below/blue.gif": 1, odd: 1}
    number = index.names.index("red.mp4")
    assert index.times[number].tolist() == [0.0, 2.0]
    assert index.thumbnail(number).startswith(b"\xff\xd8")
    frames = video.read_frames(indexed.parent / "videos" / "red.mp4", 3, 256)
    fitted = np.stack([picture.fit(frame, 32) for frame in frames])
    parts = model.encoder.num_parts
    wanted = model.encoder.encode_video(np.repeat(fitted[None], parts, axis=0), parts)
    found = index.features(np.array([number]))
    np.testing.assert_allclose(found.embedding[0], wanted.embedding[0], atol=1e-5)
    assert isinstance(found.code, PackedCode) and isinstance(wanted.code, PackedCode)
    np.testing.assert_array_equal(found.code.values.dtype, np.int8)
    assert np.abs(found.code.values[0].astype(int) - wanted.code.values[0]).max() <= 1


def test_a_second_run_does_nothing(own, again):
    before = {path: path.stat().st_mtime_ns for path in own.rglob("*") if path.name != "lock"}
    done, read = again()
    assert (done.indexed, done.unchanged, done.removed, read) == (0, 5, 0, [])
    after = {path: path.stat().st_mtime_ns for path in own.rglob("*") if path.name != "lock"}
    assert after == before


def test_one_file_more_costs_one_file(own, again):
    before = searchable.contents(own)
    video.write_video(own.parent / "videos" / "new.mp4", shot(RED, 9, seed=4), 8)
    done, read = again()
    assert (done.indexed, done.unchanged, read) == (1, 5, ["new.mp4"])
    after = searchable.contents(own)
    assert {key: value for key, value in after.items() if key[0] != "new.mp4"} == before
    assert len(after) == len(before) + 1


def test_a_changed_file_is_read_again_and_a_deleted_one_forgotten(own, again):
    videos = own.parent / "videos"
    before = searchable.contents(own)
    video.write_video(videos / "red.mp4", shot(RED, 24, seed=9), 8)
    (videos / "shots.mp4").unlink()
    done, read = again()
    assert (done.indexed, done.unchanged, done.removed, read) == (1, 3, 1, ["red.mp4"])
    after = searchable.contents(own)
    assert {name for name, _ in after} == {name for name, _ in before} - {"shots.mp4"}
    assert after["red.mp4", 0.0][0] == 3.0 != before["red.mp4", 0.0][0]
    assert len(list((own / shards.SHARDS).iterdir())) == 1, "over a quarter was dead: one new shard"


def test_what_was_divided_in_an_older_way_is_divided_anew(own, again):
    catalogue = catalogues.read(own)
    old = ["red.mp4", "shots.mp4"]
    for name in old:
        catalogue.videos[name] = catalogue.videos[name]._replace(division=1)
    catalogues.write(own, catalogue)
    done, read = again()
    assert sorted(read) == old
    assert (done.indexed, done.divided, done.unchanged) == (2, 2, 3)
    assert again()[1] == []


def test_windows_and_photos_are_divided_in_one_way_only(own, again):
    def divided_by_the_older_way(**changed):
        catalogue = catalogues.read(own)
        for name, one in catalogue.videos.items():
            catalogue.videos[name] = one._replace(division=1, photo=name == "red.mp4")
        catalogue.settings = dataclasses.replace(catalogue.settings, **changed)
        catalogues.write(own, catalogue)
        return catalogue.settings

    assert again(settings=divided_by_the_older_way(shots=False))[1] == []
    assert len(again(settings=divided_by_the_older_way(shots=True))[1]) == 4


@pytest.mark.parametrize("shots", [True, False])
def test_what_was_shown_too_small_to_a_larger_model_is_indexed_anew(own, again, shots):
    """Frames of 256 pixels were enlarged again: of an index of 32 pixels that changes nothing."""
    catalogue = catalogues.read(own)
    catalogue.settings = dataclasses.replace(catalogue.settings, shots=shots)
    updated: Any = SimpleNamespace(catalogue=catalogue)
    assert update._Update.divided_otherwise(updated) == set()
    catalogue.settings = dataclasses.replace(catalogue.settings, image_size=288)
    assert len(update._Update.divided_otherwise(updated)) == 5


def test_a_long_update_keeps_more_at_a_time(monkeypatch):
    """A day of indexing leaves some hundred shards, each of which takes open files, not 2,880."""
    now, kept = 0.0, []
    listing: Any = None
    monkeypatch.setattr(update.time, "monotonic", lambda: now)

    def keep(todo, listing, shard):
        kept.append(now)
        updated.pending = update._Pending(since=now)

    updated: Any = SimpleNamespace(began=0.0, pending=update._Pending(since=0.0), _keep=keep)
    for second in range(24 * 3600):
        now = float(second)
        update._Update._keep_at_times(updated, [], listing)
    assert kept[:3] == [31.0, 62.0, 93.0] and len(kept) < 150
    lost = [(after - before) / after for before, after in zip(kept[20:], kept[21:], strict=False)]
    assert max(lost) < 0.06, "the share of its time that a kill may cost"


def test_many_shards_become_one(own, again, monkeypatch):
    monkeypatch.setattr(update, "MAX_SHARDS", 2)
    for number in range(3):
        assert len(catalogues.read(own).shards) == (1, 2, 1)[number]
        name = f"new{number}.mp4"
        video.write_video(own.parent / "videos" / name, shot(RED, 9, seed=number), 8)
        again()
    there = sorted(path.name for path in (own / shards.SHARDS).iterdir())
    assert there == catalogues.read(own).shards
    assert len({name for name, _ in searchable.contents(own)}) == 8


def test_a_broken_file_is_quarantined_with_its_reason(own, again):
    path = own.parent / "videos" / "broken.mp4"
    path.write_bytes(b"<html>404 not found</html>")
    (own.parent / "videos" / "notes.txt").touch()
    done, read = again()
    assert (done.indexed, read, done.listing.others) == (0, ["broken.mp4"], 1)
    (line,) = map(json.loads, (own / "quarantine.jsonl").read_text().splitlines())
    assert line["file"] == "broken.mp4" and "can't be decoded as a video" in line["reason"]
    assert again()[1] == [], "as it is known to be broken"
    assert again(dataclasses.replace(EFFORT, retry=True))[1] == ["broken.mp4"]
    video.write_video(path, shot(RED, 9), 8)
    done, read = again()
    assert read == ["broken.mp4"] and not done.quarantined
    assert (own / "quarantine.jsonl").read_text() == ""
    path.write_bytes(b"broken again")
    assert list(again()[0].quarantined) == ["broken.mp4"]
    assert "broken.mp4" not in Index(own).names


def test_the_order_of_the_work_leaves_no_trace(
    indexed, search_model, search_model_path, monkeypatch, tmp_path
):
    real = workers.run

    def backwards(*given):
        yield from reversed(list(real(*given)))

    monkeypatch.setattr(update.workers, "run", backwards)
    monkeypatch.setattr(embedding, "FLUSH_SECONDS", 0.0)
    written, write = [], shards.write

    def watched(*given):
        written.append(given[1])
        write(*given)

    monkeypatch.setattr(shards, "write", watched)
    searchable.index(indexed.parent / "videos", tmp_path, search_model, search_model_path)
    assert len(written) > 2, "kept several times"
    assert searchable.bytes_of(tmp_path) == searchable.bytes_of(indexed)


def test_hidden_files_are_left_alone(own, again):
    (own.parent / "videos" / ".hidden.mp4").write_bytes(b"")
    done, read = again()
    assert read == [] and done.listing.left == {}


def test_another_model_other_settings_another_folder_are_refused(
    own, again, search_model, tmp_path
):
    other = dataclasses.replace(search_model, fingerprint="f" * 64)
    with pytest.raises(ValueError, match="an index with another model"):
        again(model=other)
    with pytest.raises(ValueError, match="an index with another settings"):
        again(settings=SegmentSettings(3, 32, window=7.0))
    with pytest.raises(ValueError, match="an index with another root"):
        (tmp_path / "elsewhere").mkdir()
        settings = SegmentSettings(3, 32)
        update.update(own, tmp_path / "elsewhere", search_model, tmp_path, settings, EFFORT)


def test_one_writer_at_a_time(own, again):
    with catalogues.locked(own), pytest.raises(BlockingIOError, match="is writing it now"):
        again()


def test_an_index_inside_its_folder_does_not_index_itself(
    search_model, search_model_path, tmp_path
):
    videos = searchable.write_videos(tmp_path / "videos")
    done = searchable.index(videos, videos / "index", search_model, search_model_path)
    assert done.videos == 5
    assert update.list_videos(videos, videos / "index").others == 0


def test_on_a_cpu_few_segments_are_encoded_at_once(own, again, search_model, monkeypatch):
    sizes, encode = [], search_model.encoder.encode_video

    def watched(frames, size):
        sizes.append((len(frames), size))
        return encode(frames, size)

    monkeypatch.setattr(search_model.encoder, "encode_video", watched)
    shutil.copy(next((own.parent / "videos").glob("*.mp4")), own.parent / "videos" / "one_more.mp4")
    again(dataclasses.replace(EFFORT, batch_size=None))
    assert sizes and set(sizes) == {(ON_CPU, ON_CPU)}


@pytest.mark.slow
def test_kills_at_any_moment_leave_an_undisturbed_index(indexed, search_model_path, tmp_path):
    videos, out = indexed.parent / "videos", tmp_path / "index"
    environment = processes.environment()

    def command(out):
        flags = [f"--model={search_model_path}", f"--out={out}", "--batch-size=4", "--processes=2"]
        return processes.program("keeps_each", videos, *flags)

    began = time.monotonic()
    subprocess.run(command(tmp_path / "timed"), env=environment, check=True)
    whole = time.monotonic() - began
    chance, states = random.Random(0), set()
    for number in range(10):
        process = subprocess.Popen(command(out), env=environment, stderr=subprocess.DEVNULL)
        if number % 2:
            time.sleep(whole * chance.uniform(0.4, 1.0))
        else:  # in the middle of its work, however long it takes to begin
            before = len(list((out / shards.SHARDS).glob("*")))
            while process.poll() is None and len(list((out / shards.SHARDS).glob("*"))) <= before:
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (out / catalogues.CATALOGUE).exists():
            count = len(catalogues.read(out).videos)
            states.add(count)
            if count:
                assert set(searchable.contents(out)) <= set(searchable.contents(indexed)), (
                    "what is there is whole"
                )
            if count == 5:
                shutil.rmtree(out)
    assert states & {1, 2, 3, 4}, f"no kill came between two videos: {states}"
    subprocess.run(command(out), env=environment, check=True)
    wanted, found = searchable.contents(indexed), searchable.contents(out)
    assert found.keys() == wanted.keys()
    for key, (end, vector, _, _, thumbnail) in wanted.items():
        assert (found[key][0], found[key][4]) == (end, thumbnail)
        theirs = np.frombuffer(found[key][1], np.float32)
        np.testing.assert_allclose(theirs, np.frombuffer(vector, np.float32), atol=1e-5)
    used = catalogues.read(out).shards
    assert sorted(path.name for path in (out / shards.SHARDS).iterdir()) == used
    assert not list(out.glob("frames*")), "no frames of a run that was killed"
