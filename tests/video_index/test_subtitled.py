"""Subtitles in an index: found, said why, kept up to date; a broken file costs only itself."""

import contextlib
import json
import os
import shutil

import numpy as np
import pytest

from animclip_jax import index, search
from animclip_jax.serving import answers, app, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards, update
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from input_pipeline.media import engines, video
from tests import asked, said, searchable
from tests.denied import deny
from tests.in_process import InProcess
from tests.searchable import RED, shot

LONG = [(1, 2, "the kettle whistles"), (10, 11, "a dog barks"), (20, 21, "the kettle is empty")]


@pytest.fixture
def home(indexed, tmp_path):
    """Videos with subtitles beside one of them; not indexed yet."""
    shutil.copytree(indexed.parent / "videos", tmp_path / "videos")
    (tmp_path / "videos" / "long.en.srt").write_text(said.srt(LONG))
    return tmp_path


@pytest.fixture
def run(home, search_model_path, capsys):
    """Runs `animclip index`; what it says."""

    def run(*flags):
        given = [str(home / "videos"), f"--model={search_model_path}", f"--out={home / 'index'}"]
        assert index.main([*given, "--processes=2", *flags]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def ask(home, capsys):
    def ask(*words):
        assert search.main([str(home / "index"), *words]) == 0
        return capsys.readouterr().out

    return ask


def test_a_phrase_is_found_and_each_result_says_why_it_came(run, ask, home, search_model):
    run()
    first, second, *rest = json.loads(ask("a kettle", "--json", "--no-group"))["results"]
    for one in (first, second):
        assert one["video"] == "long.mp4" and "kettle" in one["said"] and one["seen"]
    assert {first["start"] < 1, second["start"] < 1} == {True, False}
    assert all(one["said"] is None and one["seen"] for one in rest) and len(rest) == 6
    alone = json.loads(ask('"kettle whistles"', "--json", "--by=said"))["results"]
    assert [(one["said"], one["seen"], one["coarse_rank"]) for one in alone] == [
        ("the kettle whistles", False, None)
    ]
    assert "said: the kettle whistles" in ask("kettle whistles", "-n1")
    assert ask("nobody says this", "--by=said").endswith("no moment found\n")
    picture = home / "videos" / "red.mp4"
    assert "wanted a sentence" in ask(f"--like={picture}", "--by=said")
    seen = json.loads(ask("a kettle", "--json", "--by=seen"))["results"]
    assert all(one["said"] is None for one in seen)
    guarded = guard.Guard(app.make_app(Searcher(search_model, Index(home / "index"))))
    assert asked.ask(guarded, "/api/index").json["speaks"] is True
    told = asked.ask(guarded, "/api/search?q=barks&by=said").json
    answers.Answer.model_validate(told)
    assert [one["said"] for one in told["results"]] == ["a dog barks"]
    assert asked.ask(guarded, "/api/search?q=barks&by=x").status == 400
    for hostile in ("%22", "NEAR(a", "a%22%20OR%20%22b", "*", "said:a", "(((", "a%00b", "-%22"):
        assert asked.ask(guarded, f"/api/search?q={hostile}").status == 200, hostile


def test_without_subtitles_nothing_is_said(indexed, search_model, capsys):
    searcher = Searcher(search_model, Index(indexed))
    assert not searcher.index.speaks and searcher.search("a block", by="said") == []
    assert all(one.said is None and one.seen for one in searcher.search("a block"))
    assert search.main([str(indexed), "a block", "--by=said"]) == 0
    assert "no video of this index has subtitles" in capsys.readouterr().out
    with pytest.raises(ValueError, match="by='heard': wanted one of seen, said, both"):
        searcher.search("a block", by="heard")


def test_a_change_of_the_subtitles_is_a_change_of_the_video(run, ask, home):
    run()
    assert "0 indexed, 5 unchanged" in run()
    beside = home / "videos" / "long.en.srt"
    beside.write_text(said.srt([(1, 2, "the kettle sings")]))
    assert "1 indexed, 4 unchanged" in run()
    assert "said: the kettle sings" in ask("kettle", "--by=said")
    assert "no moment found" in ask("dog barks", "--by=said")
    (home / "videos" / "red.vtt").write_text(said.vtt([(0, 1, "a red kettle")]))
    assert "1 indexed, 4 unchanged" in run()
    assert ask("kettle", "--by=said").count("said:") == 2
    beside.unlink()
    assert "1 indexed, 4 unchanged, 0 removed" in run()
    assert ask("kettle", "--by=said").count("said:") == 1


def test_a_broken_file_is_quarantined_and_its_video_stays(run, ask, home):
    beside = home / "videos" / "red.srt"
    beside.write_bytes("1\n00:00:00,000 --> 00:00:01,000\né\n".encode("latin-1"))
    said_of_it = run()
    assert "5 videos" in said_of_it and "1 can't be read, listed in" in said_of_it
    (line,) = map(json.loads, (home / "index" / "quarantine.jsonl").read_text().splitlines())
    assert line["file"] == "red.srt" and "save it again as UTF-8" in line["reason"]
    assert "red.mp4" in ask("a block")
    assert "0 indexed, 5 unchanged" in run()
    assert "1 indexed, 4 unchanged" in run("--retry")
    beside.write_text(said.srt([(0, 1, "mended")]))
    assert "1 indexed, 4 unchanged, 0 removed" in run()
    assert (home / "index" / "quarantine.jsonl").read_text() == ""
    assert "said: mended" in ask("mended", "--by=said")
    beside.write_text("broken again")
    run()
    beside.unlink()
    run()
    assert (home / "index" / "quarantine.jsonl").read_text() == ""


def test_a_file_that_may_not_be_opened_waits_for_the_next_run(run, ask, home, monkeypatch):
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    beside = home / "videos" / "long.en.srt"
    waits = "left alone: long.en.srt: can't be read: Permission denied"
    with monkeypatch.context() as here:
        deny(here, [beside])
        first, second = run(), run()
    assert "5 indexed" in first and waits in first
    assert "0 indexed, 5 unchanged" in second and waits in second, "its video is not read again"
    assert (home / "index" / "quarantine.jsonl").read_text() == ""
    assert "1 indexed, 4 unchanged" in run()
    assert "said: a dog barks" in ask("dog barks", "--by=said")
    beside.write_text(said.srt([(1, 2, "the kettle sings")]))
    with monkeypatch.context() as here:
        deny(here, [beside])
        third = run()
    assert "0 indexed, 5 unchanged" in third and waits in third
    assert "said: a dog barks" in ask("dog barks", "--by=said"), "as it was before"
    assert "1 indexed, 4 unchanged" in run()
    assert "said: the kettle sings" in ask("kettle", "--by=said")


def test_what_is_said_outlives_that_shards_become_one(run, ask, home, monkeypatch):
    monkeypatch.setattr(update, "MAX_SHARDS", 1)
    run()
    video.write_video(home / "videos" / "new.mp4", shot(RED, 9), 8)
    (home / "videos" / "new.srt").write_text(said.srt([(0, 1, "a new kettle")]))
    run()
    assert len(catalogues.read(home / "index").shards) == 1
    assert ask("kettle", "--by=said", "--no-group").count("said:") == 3
    opened = Index(home / "index")
    (part,) = opened.parts.values()
    assert part.said is not None
    rows = {opened.id(n): part.said[int(opened.row[n])] for n in range(len(opened))}
    assert rows[searchable.moment("long.mp4", 1)] == "a dog barks"
    assert rows[searchable.moment("new.mp4")] == "a new kettle"


def test_words_rank_the_same_after_updates_as_after_one_run(run, home, tmp_path, search_model_path):
    """A word of nearly all that is said in a new video is rare in the index, and found there."""
    run()
    for name in ("new", "other"):
        video.write_video(home / "videos" / f"{name}.mp4", shot(RED, 9), 8)
        (home / "videos" / f"{name}.srt").write_text(said.srt([(0, 1, f"kettle {name}")]))
        run()
    (home / "videos" / "other.mp4").unlink()
    run()
    grown = Index(home / "index")
    assert len(grown.parts) > 1
    index.main([str(home / "videos"), f"--model={search_model_path}", f"--out={tmp_path / 'once'}"])
    found, wanted = (
        [(opened.id(segment), words) for segment, words in opened.said('"kettle"', 9)]
        for opened in (grown, Index(tmp_path / "once"))
    )
    assert found == wanted and len(found) == 3
    assert found[0] == (searchable.moment("new.mp4"), "kettle new")


def test_rows_of_videos_that_are_gone_are_not_found(run, home):
    run()
    catalogue = catalogues.read(home / "index")
    del catalogue.videos["long.mp4"]
    catalogues.write(home / "index", catalogue)
    assert Index(home / "index").said('"kettle"', 9) == []


def test_only_segments_that_may_are_found(run, home):
    run()
    opened = Index(home / "index")
    allowed = np.zeros(len(opened), bool)
    allowed[opened.segment(searchable.moment("long.mp4", 2))] = True
    assert [text for _, text in opened.said('"kettle"', 9, allowed)] == ["the kettle is empty"]


def test_a_damaged_file_of_what_is_said_is_named(run, home):
    run()
    (path,) = (home / "index" / shards.SHARDS).glob("*/said.sqlite")
    os.truncate(path, 100)
    with pytest.raises(ValueError, match=r"said\.sqlite: .*; remove .* and index again"):
        Index(home / "index")
