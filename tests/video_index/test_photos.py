"""Photos beside videos in one index."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from animclip_jax import index, search
from animclip_jax.serving import answers, app, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from tests import asked, searchable


@pytest.fixture
def home(indexed, tmp_path):
    """Two videos, three photos, of which one is broken; not indexed yet."""
    videos = tmp_path / "videos"
    (videos / "trip").mkdir(parents=True)
    for name in ("red.mp4", "long.mp4"):
        shutil.copy(indexed.parent / "videos" / name, videos)
    noise = np.random.default_rng(0).integers(0, 255, (60, 40, 3), np.uint8)
    Image.fromarray(noise).save(videos / "trip" / "noise.png")
    Image.new("RGB", (64, 48), searchable.BLUE).save(videos / "blue.webp")
    (videos / "broken.jpg").write_bytes(b"<html>")
    return tmp_path


@pytest.fixture
def run(home, search_model_path, capsys):
    """Runs `animclip index`; what it says."""

    def run(*flags):
        given = [str(home / "videos"), f"--model={search_model_path}", f"--out={home / 'index'}"]
        assert index.main([*given, "--processes=1", *flags]) == 0
        return capsys.readouterr().out

    return run


def test_a_photo_is_found_beside_videos_and_called_one(home, run, search_model, capsys):
    assert "2 videos and 2 photos in 6 segments; this time 4 indexed" in run()
    (line,) = (home / "index" / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["file"] == "broken.jpg"
    photo = home / "videos" / "trip" / "noise.png"
    assert search.main([str(home / "index"), f"--like={photo}", "-n1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2:] == ["trip/noise.png", "photo"]
    assert search.main([str(home / "index"), "a block", "--json"]) == 0
    told = {one["video"]: one for one in json.loads(capsys.readouterr().out)["results"]}
    assert {name for name, one in told.items() if one["photo"]} == {"trip/noise.png", "blue.webp"}
    assert (told["blue.webp"]["start"], told["blue.webp"]["end"]) == (0, 0)
    guarded = guard.Guard(app.make_app(Searcher(search_model, Index(home / "index"))))
    held = asked.ask(guarded, "/api/index").json
    answers.Index.model_validate(held)
    assert (held["videos"], held["photos"], held["segments"]) == (2, 2, 6)
    found = asked.ask(guarded, "/api/search?q=a").json
    answers.Answer.model_validate(found)
    shown = {one["video"]: one for one in found["results"]}
    assert shown["blue.webp"]["plays"] and shown["blue.webp"]["media_type"] == "image/webp"
    reply = asked.ask(guarded, f"/video/{shown['trip/noise.png']['id']}")
    assert (reply.headers["content-type"], reply.body) == ("image/png", photo.read_bytes())


def test_without_photos_an_index_is_as_it_was(home, run):
    said = run("--no-photos")
    assert "2 videos in 4 segments" in said and "not videos by their names: 3 files" in said
    assert not any(video.photo for video in catalogues.read(home / "index").videos.values())


def test_photos_that_are_not_wanted_any_more_are_removed(home, run):
    run()
    shutil.copy(home / "videos" / "blue.webp", home / "videos" / "other.webp")
    assert "this time 1 indexed, 5 unchanged" in run()
    said = run("--no-photos")
    assert "2 videos in 4 segments" in said and "3 removed" in said and "can't be read" not in said
    assert "2 videos and 3 photos" in run()


def test_an_index_from_before_photos_is_read_and_brought_up_to_date(home, run):
    run("--no-photos")
    path = home / "index" / catalogues.CATALOGUE
    document = json.loads(path.read_text())
    document["videos"] = {name: video[:5] for name, video in document["videos"].items()}
    path.write_text(json.dumps(document))
    opened = Index(home / "index")
    assert len(opened) == 4 and not any(opened.photo)
    said = run()
    assert "this time 4 indexed, 0 unchanged, 0 removed" in said
    assert "2 videos divided anew: shots are found more exactly now" in said
