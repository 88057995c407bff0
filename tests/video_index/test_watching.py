"""`animclip index --watch`: when it looks, when it waits, what it says."""

import contextlib

import pytest

from animclip_jax import index
from animclip_jax.engines.engine import EngineError
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.catalogue import Stamp
from animclip_jax.video_index.listing import Listing
from animclip_jax.video_index.watching import watch
from input_pipeline.media import engines, video
from tests import searchable
from tests.denied import deny
from tests.in_process import InProcess
from tests.searchable import RED, shot


class Stop(Exception):
    pass


def watched(seen, fails=(), leaves=()):
    """What is called for folders as they are seen, look by look.

    fails, leaves: numbers of updates that fail, and that leave a file for later.
    """
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
        return said.count("update") in leaves

    with pytest.raises(Stop):
        watch(update, listing, lambda error: said.append(str(error)), lambda: said.append("wait"))
    return said


def test_it_begins_at_once_and_then_waits_for_changes():
    assert watched([1, 1, 1]) == ["update", "wait", "wait", "wait"]


def test_it_ends_where_the_reader_of_what_it_says_has_gone():
    seen = iter([{"a.mp4": Stamp(1, 1)}])

    def gone():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        watch(gone, lambda: Listing(next(seen)), lambda error: None, lambda: None)


def test_a_file_that_grows_is_waited_for():
    assert watched([1, 2, 3, 3, 3]) == ["update", *["wait"] * 3, "update", "wait", "wait"]


def test_what_was_left_is_tried_again_at_the_next_look():
    said = watched([1, 1, 1, 1], leaves=(1, 2, 3))
    assert said == ["update", "wait", "update", "wait", "wait", "update", "wait"]
    said = watched([1, 2, 2], leaves=(1,))
    assert said == ["update", "wait", "wait", "update", "wait"], "not while a file grows"


@pytest.mark.parametrize("why", ["fails", "leaves"])
def test_pauses_between_tries_grow_until_the_folder_changes(why):
    often = watched([1] * 200, **{why: range(1, 100)})
    tries = [often[:place].count("wait") for place, what in enumerate(often) if what == "update"]
    assert tries == [0, 1, 3, 7, 15, 31, 63, 95, 127, 159, 191]
    said = watched([*[1] * 60, 2, 2, 2], **{why: range(1, 8)})
    assert said[-5:] == ["wait", "update", "wait", "update", "wait"]


def test_an_error_is_said_once_and_tried_again():
    said = watched([1, 1, 1, 1], fails=(1, 2))
    assert [what for what in said if what != "wait"] == ["update", "most are gone", *["update"] * 2]
    said = watched([1, None, None, 1, 2, 2])
    assert said.count("the folder can't be read") == 1 and said.count("update") == 2


def test_the_command_tries_a_file_again_that_could_not_be_opened(
    search_model_path, tmp_path, monkeypatch, capsys
):
    videos, out = searchable.write_videos(tmp_path / "videos"), tmp_path / "index"
    denied, counts = {videos / "red.mp4"}, []

    def sleep(seconds):
        counts.append(len(catalogues.read(out).videos))
        if len(counts) == 3:
            denied.clear()
        if len(counts) == 5:
            raise KeyboardInterrupt

    deny(monkeypatch, denied)
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    monkeypatch.setattr(index.time, "sleep", sleep)
    given = [str(videos), f"--model={search_model_path}", f"--out={out}", "--watch"]
    assert index.main(given) == 130
    assert counts == [4, 4, 4, 5, 5]
    said = capsys.readouterr().out
    assert said.count("left alone: red.mp4: can't be read: Permission denied") == 2
    assert "4 indexed" in said and "0 indexed" in said and "1 indexed" in said
    assert said.count("this time") == 3, "not at each look"


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


def test_a_publication_that_failed_is_tried_again(search_model_path, tmp_path, monkeypatch, capsys):
    videos, out = searchable.write_videos(tmp_path / "videos"), tmp_path / "index"
    given = [str(videos), f"--model={search_model_path}", f"--out={out}"]
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    assert index.main(given) == 0
    tries, looks = [], []

    def publish(directory, place):
        tries.append(catalogues.read(directory).videos["red.mp4"].stamp)
        if len(tries) == 2:
            raise EngineError(f"{place}: can't be reached")
        return "published"

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            video.write_video(videos / "red.mp4", shot(RED, 9), 8)
        if len(looks) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(index, "publish", publish)
    monkeypatch.setattr(index, "require_usable", lambda *_: None)
    monkeypatch.setattr(index.time, "sleep", sleep)
    assert index.main([*given, f"--to=lancedb:{tmp_path / 'table'}", "--watch"]) == 130
    assert len(tries) == 3 and tries[0] != tries[1] == tries[2]
    assert "can't be reached" in capsys.readouterr().err
