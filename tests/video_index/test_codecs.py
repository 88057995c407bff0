"""An index keeps the codec of each video, so that the page knows what a browser can't play."""

import json

from animclip_jax.serving import app, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from tests import asked, searchable
from tests.films import write_film

TIMES = [n / 8 for n in range(16)]


def test_what_no_browser_plays_is_known_by_its_codec(search_model, search_model_path, tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "index"
    videos.mkdir()
    wanted = {"film.mp4": ("h264", True), "old.mp4": ("mpeg4", False), "old.avi": ("mpeg4", False)}
    for name, (codec, _) in wanted.items():
        write_film(videos / name, TIMES, codec={"h264": "libx264"}.get(codec, codec))
    searchable.index(videos, out, search_model, search_model_path)
    guarded = guard.Guard(app.make_app(Searcher(search_model, Index(out))))
    found = asked.ask(guarded, "/api/search?q=a+block").json["results"]
    assert {one["video"]: (one["codec"], one["plays"]) for one in found} == wanted

    # As an index was before codecs were kept.
    document = json.loads((out / catalogues.CATALOGUE).read_text())
    document["videos"] = {name: video[:4] for name, video in document["videos"].items()}
    (out / catalogues.CATALOGUE).write_text(json.dumps(document))
    assert set(Index(out).codecs) == {""}
    guarded = guard.Guard(app.make_app(Searcher(search_model, Index(out))))
    found = asked.ask(guarded, "/api/search?q=a+block").json["results"]
    assert {one["video"]: one["plays"] for one in found} == {
        "film.mp4": True,
        "old.mp4": True,
        "old.avi": False,
    }
    assert all(one["codec"] is None for one in found)

    # Its shots were found in the older way, so that it is read again.
    again = searchable.index(videos, out, search_model, search_model_path)
    assert (again.indexed, again.divided, again.unchanged) == (3, 3, 0)
    assert set(Index(out).codecs) == {codec for codec, _ in wanted.values()}
