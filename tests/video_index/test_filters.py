"""What filters let through, and that they act before the best are chosen."""

import datetime
import json
import os
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animclip_jax import search
from animclip_jax.serving import app, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.filters import Filters
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from input_pipeline.media.video import write_video
from tests import asked, searchable
from tests.searchable import BLUE, RED, shot

DAYS = {"red.mp4": "2024-02-28", "long.mp4": "2024-02-29", "trip/tall.mp4": "2024-03-01"}
# Each filter, and the videos and photos of `home` that it lets through.
FILTERS = {
    "folder=trip": {"trip/tall.mp4", "trip/sea/blue.png"},
    "folder=/trip/sea/": {"trip/sea/blue.png"},
    "folder=./trip//sea": {"trip/sea/blue.png"},
    "folder=tri": set(),
    "folder=..": set(),
    "name=RED": {"red.mp4"},
    "name=*.MP4": {"red.mp4", "long.mp4", "trip/tall.mp4"},
    "name=?ed.*": {"red.mp4"},
    "name=trip": set(),
    "name=[l]*": set(),
    "since=2024-02-29&until=2024-02-29": {"long.mp4"},
    "since=2024-02-29": {"long.mp4", "trip/tall.mp4", "trip/sea/blue.png"},
    "until=2024-02-28": {"red.mp4"},
    "longer=2": {"red.mp4", "long.mp4"},
    "shorter=2": {"red.mp4", "trip/tall.mp4"},
    "longer=3&shorter=2": set(),
    "shape=portrait": {"trip/tall.mp4"},
    "shape=square": {"trip/sea/blue.png"},
    "shape=landscape&kind=video": {"red.mp4", "long.mp4"},
    "kind=photo": {"trip/sea/blue.png"},
    "kind=video&folder=trip": {"trip/tall.mp4"},
}
WRONG = (
    *("since=yesterday", "until=2024-02-30", "longer=-1", "longer=nan", "shorter=x", "shape=round"),
    *("kind=film", f"name={'a' * 256}", f"folder={'a' * 4097}", "longer=inf"),
)


@pytest.fixture(scope="module")
def home(indexed, tmp_path_factory, search_model, search_model_path):
    home = tmp_path_factory.mktemp("filtered")
    videos = home / "videos"
    (videos / "trip" / "sea").mkdir(parents=True)
    for name in ("red.mp4", "long.mp4"):
        shutil.copy(indexed.parent / "videos" / name, videos)
    write_video(videos / "trip" / "tall.mp4", shot(RED, 8).swapaxes(1, 2), 8)
    Image.new("RGB", (60, 60), BLUE).save(videos / "trip" / "sea" / "blue.png")
    for name, day in DAYS.items():
        noon = datetime.datetime.fromisoformat(f"{day}T12:00").timestamp()
        os.utime(videos / name, (noon, noon))
    searchable.index(videos, home / "index", search_model, search_model_path)
    return home


@pytest.fixture(scope="module")
def searcher(home, search_model):
    return Searcher(search_model, Index(home / "index"))


@pytest.fixture(scope="module")
def guarded(searcher):
    return guard.Guard(app.make_app(searcher))


@pytest.mark.parametrize("given", FILTERS)
def test_only_what_passes_is_found(guarded, given):
    reply = asked.ask(guarded, f"/api/search?q=a&{given}")
    assert reply.status == 200, reply.json
    assert {one["video"] for one in reply.json["results"]} == FILTERS[given]


@pytest.mark.parametrize("given", WRONG, ids=lambda given: given[:20])
def test_what_is_no_filter_is_a_400(guarded, given):
    reply = asked.ask(guarded, f"/api/search?q=a&{given}")
    assert reply.status == 400 and reply.json["error"].startswith(given.partition("=")[0])


def test_filters_act_before_the_best_are_chosen(home, search_model):
    few = Searcher(search_model, Index(home / "index"), num_candidates=1)
    worst = Searcher(search_model, few.index).search("a block")[-1]
    assert few.search("a block")[0].video != worst.video
    folder, name = os.path.split(worst.video)
    (found,) = few.search("a block", folder=folder, name=name)
    assert found.video == worst.video


@pytest.fixture(scope="module")
def accented(tmp_path_factory, search_model, search_model_path):
    """Photos of a Mac, whose accents are letters of their own, and one of an older Linux."""
    home = tmp_path_factory.mktemp("accented")
    for folder in ("Mu\N{COMBINING DIAERESIS}ller", os.fsdecode(b"F\xeate")):
        (home / "videos" / folder).mkdir(parents=True)
        photo = home / "videos" / folder / "ko\N{COMBINING DIAERESIS}ln.png"
        Image.new("RGB", (60, 60), BLUE).save(photo)
    searchable.index(home / "videos", home / "index", search_model, search_model_path)
    return Searcher(search_model, Index(home / "index"))


def test_a_name_is_found_however_its_letters_are_composed(accented):
    for name in ("K\N{LATIN SMALL LETTER O WITH DIAERESIS}LN", "ko\N{COMBINING DIAERESIS}*.png"):
        assert len(accented.search("a block", name=name)) == 2
    folder = "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller"
    assert len(accented.search("a block", folder=folder)) == 1


def test_every_folder_that_is_offered_finds_its_files(accented):
    folders = accented.index.folders
    assert len(folders) == 2
    for folder in folders:
        assert len(accented.search("a block", folder=folder)) == 1, folder


def test_the_command_takes_the_same(home, capsys):
    where = str(home / "index")
    line = [where, "a", "--json", "--folder=trip", "--kind=video", "--until=2024-03-01"]
    assert search.main(line) == 0
    (one,) = json.loads(capsys.readouterr().out)["results"]
    assert one["video"] == "trip/tall.mp4"
    assert search.main([where, "a", "--name=none"]) == 0
    assert "no moment found" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        search.main([where, "a", "--since=yesterday"])
    assert "wanted a day such as 2026-11-29" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        search.main([where, "a", "--shorter=nan"])
    assert "shorter nan: wanted a finite number, 0 or more" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(home, capsys):
    where = str(home / "index")
    assert search.main([where, "a", "--folder=videos/trip"]) == 0
    said = "no folder videos/trip: wanted one below the folder that was indexed; it has trip"
    assert said in capsys.readouterr().out
    assert search.main([where, "a", "--folder=trip", "--name=none"]) == 0
    assert "no folder" not in capsys.readouterr().out


def test_an_index_that_is_older_than_sizes_looks_at_thumbnails(home, searcher, tmp_path):
    shutil.copytree(home / "index", tmp_path / "index")
    path = tmp_path / "index" / catalogues.CATALOGUE
    document = json.loads(path.read_text())
    document["videos"] = {name: video[:5] for name, video in document["videos"].items()}
    path.write_text(json.dumps(document))
    old = Index(tmp_path / "index")
    for shape in ("portrait", "landscape", "square"):
        filters = Filters(shape=shape)
        np.testing.assert_array_equal(filters.allowed(old), filters.allowed(searcher.index))


@pytest.mark.parametrize("day", ["since", "until"])
def test_a_day_may_be_given_with_its_time(searcher, day):
    noon = datetime.datetime(2024, 3, 1, 12)
    of_noon: dict[str, Any] = {day: noon}
    of_day: dict[str, Any] = {day: noon.date()}
    found, wanted = Filters(**of_noon), Filters(**of_day)
    np.testing.assert_array_equal(found.allowed(searcher.index), wanted.allowed(searcher.index))


def test_a_name_of_many_stars_takes_no_time(searcher):
    assert not Filters(name="*a" * 120 + "b").allowed(searcher.index).any()


def test_folders_are_offered(guarded):
    assert asked.ask(guarded, "/api/index").json["folders"] == ["trip", "trip/sea"]


def test_what_python_gives_wrongly_is_said(searcher):
    lengths = ({"longer": float("nan")}, {"shorter": float("inf")}, {"longer": -1.0})
    for wrong in ({"since": "x"}, {"shape": "round"}, {"kind": "film"}, *lengths):
        with pytest.raises(ValueError, match="wanted"):
            searcher.search("a", **wrong)
    assert searcher.search("a", since=datetime.date(2024, 3, 1), kind="video")
