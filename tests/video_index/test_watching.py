"""`animclip index --watch`: when it looks, when it waits, what it says."""

import pytest

from animclip_jax import index
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.catalogue import Stamp
from animclip_jax.video_index.listing import Listing
from animclip_jax.video_index.watching import watch
from input_pipeline.media import video
from tests import searchable
from tests.searchable import RED, shot


class Stop(Exception):
    pass


def watched(seen, fails=()):
    """What is called for folders as they are seen, look by look; an update may fail at some."""
    said, looks = [], iter(seen)

    def listing():
        try:
            size = next(looks)
        except StopIteration:
            raise Stop from None
        if size is None:
            raise OSError("the folder can't be read")
        return Listing({"a.mp4": Stamp(size, 1)})

    def update():
        said.append("update")
        if said.count("update") in fails:
            raise ValueError("most are gone")

    with pytest.raises(Stop):
        watch(update, listing, lambda error: said.append(str(error)), lambda: said.append("wait"))
    return said


def test_it_begins_at_once_and_then_waits_for_changes():
    assert watched([1, 1, 1]) == ["update", "wait", "wait", "wait"]


def test_a_file_that_grows_is_waited_for():
    assert watched([1, 2, 3, 3, 3]) == ["update", *["wait"] * 3, "update", "wait", "wait"]


def test_an_error_is_said_once_and_tried_again():
    said = watched([1, 1, 1, 1], fails=(1, 2))
    assert said == ["update", "most are gone", "wait", "update", "wait", "update", "wait", "wait"]
    said = watched([1, None, None, 1, 2, 2])
    assert said.count("the folder can't be read") == 1 and said.count("update") == 2


def test_the_command_keeps_an_index_fresh_until_it_is_stopped(
    search_model_path, tmp_path, monkeypatch, capsys
):
    videos, out = searchable.write_videos(tmp_path / "videos"), tmp_path / "index"
    counts = []

    def sleep(seconds):
        assert seconds == 3
        counts.append(len(catalogues.read(out).videos))
        if len(counts) == 1:
            video.write_video(videos / "new.mp4", shot(RED, 9), 8)
        if len(counts) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(index.time, "sleep", sleep)
    given = [str(videos), f"--model={search_model_path}", f"--out={out}", "--processes=1"]
    assert index.main([*given, "--watch=3"]) == 130
    assert counts == [5, 5, 6, 6]
    said = capsys.readouterr()
    assert said.out.count("this time") == 2 and "stopped by Ctrl-C" in said.err
    for wrong in ("--watch=0", "--watch=-1", "--watch=nan"):
        with pytest.raises(SystemExit):
            index.main([*given, wrong])
