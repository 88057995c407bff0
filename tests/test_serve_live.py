"""A server takes up a changed index without a restart; its status page."""

import io
import json
import re
import shutil
import threading
import time
import urllib.parse

import pytest
import uvicorn

from animclip_jax import serve
from animclip_jax.serving import answers, app, guard
from animclip_jax.serving.live import Live
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards, update
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from input_pipeline.media import video
from tests import asked, said, searchable
from tests.searchable import BLUE, RED, shot
from tests.served import served


@pytest.fixture
def home(indexed, tmp_path):
    shutil.copytree(indexed.parent, tmp_path / "home")
    catalogue = catalogues.read(tmp_path / "home" / "index")
    catalogue.root = str((tmp_path / "home" / "videos").resolve())
    catalogues.write(tmp_path / "home" / "index", catalogue)
    return tmp_path / "home"


@pytest.fixture
def change(home, search_model, search_model_path):
    """Adds a video, removes another, and brings the index up to date: one new shard."""

    def change(name="new.mp4"):
        video.write_video(home / "videos" / name, shot(RED, 9, seed=5), 8)
        (home / "videos" / name).with_suffix(".srt").write_text(said.srt([(0, 1, "brand new")]))
        (home / "videos" / "shots.mp4").unlink(missing_ok=True)
        searchable.index(home / "videos", home / "index", search_model, search_model_path)

    return change


class Running:
    def __init__(self, searcher):
        self.app = app.make_app(searcher)
        self.service = self.app.state.service
        self.live = Live(self.service, 50)

    def ask(self, path):
        return asked.ask(guard.Guard(self.app), path)

    def found(self, query="q=a"):
        return {one["video"]: one for one in self.ask(f"/api/search?{query}").json["results"]}


@pytest.fixture
def running(home, search_model):
    return Running(Searcher(search_model, Index(home / "index")))


def test_a_changed_index_is_taken_up_and_ids_stay(running, change):
    before = running.found()
    change()
    assert running.found().keys() == before.keys(), "not before it was looked at"
    running.live.look()
    after = running.found()
    assert after.keys() - before.keys() == {"new.mp4"}
    assert before.keys() - after.keys() == {"shots.mp4"}
    for name in ("red.mp4", "below/blue.gif"):
        assert after[name]["id"] == before[name]["id"]
        assert running.ask(f"/thumbnail/{before[name]['id']}").status == 200
    gone = running.ask(f"/thumbnail/{before['shots.mp4']['id']}")
    assert gone.status == 404 and "no such moment" in gone.json["error"]
    assert running.found("q=brand+new&by=said").keys() == {"new.mp4"}
    assert running.ask("/api/index").json["videos"] == 5


def test_an_unchanged_index_stays_open(running):
    searcher = running.service.searcher
    running.live.look()
    assert running.service.searcher is searcher


def test_nothing_is_looked_at_after_the_server_has_ended(indexed, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    assert serve.main([str(indexed), "--port=0"]) == 0
    for thread in threading.enumerate():
        if isinstance(thread, Live):
            thread.join(60)
            assert not thread.is_alive()


def test_what_changed_while_the_server_started_is_seen(home, search_model, change):
    searcher = Searcher(search_model, Index(home / "index"))
    change()
    late = Running(searcher)
    late.live.look()
    assert "new.mp4" in late.found()


def test_a_request_under_way_ends_with_the_index_it_began_with(running, change, monkeypatch):
    """Although the shards that it reads are removed meanwhile."""
    monkeypatch.setattr(update, "MAX_SHARDS", 1)
    searcher = running.service.searcher
    encoded, index = searcher.encoded, searcher.index

    def slow(*given):
        if "new.mp4" not in running.service.searcher.index.names:
            change()
            assert not (index.directory / shards.SHARDS / "00000000").exists()
            running.live.look()
        return encoded(*given)

    monkeypatch.setattr(searcher, "encoded", slow)
    told = running.ask("/api/search?q=a").json
    assert {one["video"] for one in told["results"]} >= {"shots.mp4", "red.mp4"}
    assert "new.mp4" not in {one["video"] for one in told["results"]}
    assert index.thumbnail(0).startswith(b"\xff\xd8")
    assert "new.mp4" in running.found()


def test_an_index_that_can_not_be_used_leaves_the_old_one(running, home, capsys):
    before = running.found().keys()
    path = home / "index" / catalogues.CATALOGUE
    whole = json.loads(path.read_text())
    for document, told in (
        (whole | {"model": "0" * 64}, "made with another model"),
        (whole | {"version": 99}, "version 99"),
        (whole | {"videos": {}}, "no video in this index"),
    ):
        path.write_text(json.dumps(document))
        running.live.look()
        assert told in capsys.readouterr().err
        running.live.look()
        assert capsys.readouterr().err == "", "it is said once"
        assert running.found().keys() == before
        assert told in running.ask("/api/status").json["problem"]
        assert told in running.ask("/status").body.decode()
    path.unlink()
    running.live.look()
    path.write_text(json.dumps(whole))
    running.live.look()
    assert running.ask("/api/status").json["problem"] is None


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError(), KeyError("a")])
def test_what_fails_is_tried_again_less_and_less_often(running, change, monkeypatch, capsys, error):
    change()
    tries: list[int] = []
    look = 0

    def fail(self):
        tries.append(look)
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Searcher, "warm_up", fail)
        while look < 80:
            running.live.look()
            look += 1
    assert tries == [0, 1, 3, 7, 15, 31, 63], "and then every 32 looks"
    told = running.ask("/api/status").json["problem"]
    assert told.startswith(type(error).__name__)
    assert capsys.readouterr().err.count(told) == 1, "it is said once"
    for _ in range(32):
        running.live.look()
    assert "new.mp4" in running.found() and running.ask("/api/status").json["problem"] is None


def test_it_is_taken_up_where_nobody_reads_what_is_said(running, change, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    def failing(self):
        raise MemoryError

    change()
    monkeypatch.setattr("sys.stdout", Gone())
    running.live.look()
    assert "new.mp4" in running.found()
    monkeypatch.setattr("sys.stderr", Gone())
    monkeypatch.setattr(Searcher, "warm_up", failing)
    change("newest.mp4")
    running.live.look()
    assert running.ask("/api/status").json["problem"].startswith("MemoryError")


def test_the_status_says_what_is_indexed_and_what_is_not(home, search_model, search_model_path):
    (home / "videos" / "<b>broken.mp4").write_bytes(b"nothing")
    (home / "videos" / "red.srt").write_text("no subtitles")
    searchable.index(home / "videos", home / "index", search_model, search_model_path)
    running = Running(Searcher(search_model, Index(home / "index")))
    told = running.ask("/api/status").json
    answers.Status.model_validate(told)
    assert (told["videos"], told["segments"], told["quarantined_count"]) == (5, 8, 2)
    assert told["root"] == str((home / "videos").resolve()) and 0 < told["hours"] < 1
    bad = {one["file"]: one["reason"] for one in told["quarantined"]}
    assert set(bad) == {"<b>broken.mp4", "red.srt"} and "no subtitle in it" in bad["red.srt"]
    page = running.ask("/status")
    text = page.body.decode()
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert "red.srt" in text
    minutes = f"{60 * told['hours']:.1f} minutes of video"
    assert f"5 videos in 8 segments, {minutes}" in text and not minutes.startswith("0.0")
    assert "&lt;b&gt;broken.mp4" in text and "<b>" not in text
    assert not re.search(r"<script|<style|style=|https?:", text)


def test_a_running_server_takes_it_up_by_itself(home, change):
    with served(home / "index") as server:
        assert server.ask("/api/index").json["videos"] == 5
        video.write_video(home / "videos" / "blue.mp4", shot(BLUE, 9), 8)
        change()
        deadline = time.monotonic() + 120
        while server.ask("/api/index").json["videos"] != 6:
            assert time.monotonic() < deadline, "it is not taken up"
            time.sleep(0.2)
        query = urllib.parse.urlencode({"q": "brand new", "by": "said"})
        found = server.ask(f"/api/search?{query}").json["results"]
        assert [one["video"] for one in found] == ["new.mp4"]
