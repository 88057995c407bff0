"""An update of any length: its shards are joined while it runs, few of them mapped at a time."""

import os
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import embedding, joining, merging, shards, update
from animclip_jax.video_index.catalogue import Stamp, Video
from animclip_jax.video_index.reader import Index
from tests import processes, searchable
from tests.random_rows import rows


@pytest.fixture
def few_files(monkeypatch):
    """Lets this process open 48 files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(shards.process, "allow_open_files", lambda _: 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 48, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def many(directory: Path, count: int) -> Any:
    """The catalogue of so many shards, each of a video of one row."""
    videos = {}
    for number in range(count):
        name = f"{number:08d}"
        shards.write(directory, name, 1, [rows(1, number, "int8")])
        videos[f"{number}.mp4"] = Video(Stamp(1, 1), name, 0, 1)
    return SimpleNamespace(
        shards=[one.shard for one in videos.values()],
        videos=videos,
        reranks=True,
        code_dtype="int8",
    )


def test_an_update_of_many_shards_ends_where_few_files_may_be_open(search_model_path, tmp_path):
    """As one of hours does under the usual limit, which a system may not let a process raise."""
    (tmp_path / "photos").mkdir()
    for number in range(80):
        picture = Image.fromarray(np.full((32, 32, 3), 3 * number, np.uint8))
        picture.save(tmp_path / "photos" / f"{number:02d}.png")
    flags = f"--model={search_model_path}", f"--out={tmp_path / 'index'}", "--batch-size=4"
    done = processes.run(
        processes.program("few_files", tmp_path / "photos", *flags, "--processes=1")
    )
    assert done.returncode == 0, done.stderr
    assert len(Index(tmp_path / "index")) == 80
    assert len(list((tmp_path / "index" / shards.SHARDS).iterdir())) == 1


def test_parts_of_many_shards_are_merged_where_few_files_may_be_open(tmp_path, few_files):
    catalogue = many(tmp_path, 40)
    merged = {name: (tmp_path, video, catalogue) for name, video in catalogue.videos.items()}
    found = list(merging._rows(merged))
    assert [one.thumbnails for one in found] == [rows(1, n, "int8").thumbnails for n in range(40)]


def test_an_index_of_many_shards_is_counted_where_few_files_may_be_open(tmp_path, few_files):
    catalogue = many(tmp_path, 40)
    assert shards.count_rows(tmp_path, catalogue) == 40
    catalogue.videos["7.mp4"] = catalogue.videos["7.mp4"]._replace(segments=2)
    with pytest.raises(ValueError, match="7.mp4: rows 0 to 2 of 1 in shard 00000007; remove"):
        shards.count_rows(tmp_path, catalogue)
    with pytest.raises(ValueError, match="7.mp4: rows 0 to 2 of 1 in shard 00000007; remove"):
        shards.reader(40)(tmp_path, catalogue, "7.mp4")


def test_shards_stay_few_and_rows_are_written_anew_some_times():
    """Of 4,000 shards of about 4,096 rows, 16 million, none is joined with all others each time."""
    random = np.random.default_rng(0)
    sizes: dict[str, int] = {}
    copied = 0
    for number in range(4000):
        sizes[f"{number}"] = int(random.integers(1, 8192))
        videos = {name: SimpleNamespace(shard=name, segments=n) for name, n in sizes.items()}
        catalogue: Any = SimpleNamespace(videos=videos)
        while joined := joining.tier(catalogue, list(sizes), update.MAX_WRITTEN):
            assert len(joined) > 1
            rows = sum(sizes.pop(name) for name in joined)
            sizes[f"{number}+{len(sizes)}"] = rows
            copied += rows
            videos = {name: SimpleNamespace(shard=name, segments=n) for name, n in sizes.items()}
            catalogue = SimpleNamespace(videos=videos)
        assert len(sizes) <= update.MAX_WRITTEN
    assert copied < 5 * sum(sizes.values())


def test_a_kill_between_joins_leaves_what_is_read_and_the_end_is_the_same(
    indexed, search_model, search_model_path, monkeypatch, tmp_path
):
    """At each exchange of the catalogue all is there that it names."""
    monkeypatch.setattr(embedding, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(update, "MAX_WRITTEN", 2, raising=False)
    wanted, save, seen = searchable.contents(indexed), catalogues.save, []

    def watched(directory, catalogue):
        save(directory, catalogue)
        seen.append(len(catalogue.shards))
        if catalogue.videos:
            assert searchable.contents(directory).keys() <= wanted.keys()

    monkeypatch.setattr(catalogues, "save", watched)
    searchable.index(indexed.parent / "videos", tmp_path, search_model, search_model_path)
    assert max(seen) == 3 and seen.count(3) > 1, seen
    assert searchable.bytes_of(tmp_path) == searchable.bytes_of(indexed)


def test_what_killed_updates_left_is_joined_before_more_is_written(
    indexed, search_model, search_model_path, monkeypatch, tmp_path
):
    """Runs that are killed again and again would leave more shards than may be open."""
    own = searchable.copied(indexed, tmp_path / "own")
    catalogue = catalogues.read(own)
    read = shards.read_all(own, catalogue)["00000000"]
    for number, (name, video) in enumerate(catalogue.videos.items(), 1):
        part = read.take(np.arange(video.first, video.first + video.segments))
        shards.write(own, f"{number:08d}", video.segments, [part])
        catalogue.videos[name] = video._replace(shard=f"{number:08d}", first=0)
    del read
    catalogues.save(own, catalogue)
    (own.parent / "videos" / "red.mp4").touch()
    monkeypatch.setattr(update, "MAX_SHARDS", 3)
    before, seen, save = searchable.contents(own), [], catalogues.save

    def watched(directory, catalogue):
        save(directory, catalogue)
        seen.append(len(catalogue.shards))

    monkeypatch.setattr(catalogues, "save", watched)
    searchable.index(own.parent / "videos", own, search_model, search_model_path)
    assert seen and max(seen) <= 4, seen
    assert searchable.contents(own).keys() == before.keys()
