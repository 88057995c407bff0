"""What is published on an engine is found as in the folder, kept up to date, and completed."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from animclip_jax import index, search
from animclip_jax.engines import qdrant
from animclip_jax.engines.engine import EngineError
from animclip_jax.engines.opening import connect
from animclip_jax.serving import app, guard
from animclip_jax.serving.live import Live
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import published, shards
from animclip_jax.video_index.open import open_index
from animclip_jax.video_index.publish import publish, require_usable
from animclip_jax.video_index.published import PublishedIndex
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from tests import asked, searchable
from tests.published import ENGINES, change, place

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")
SENTENCE = "a white block on red"
WORDS: tuple[dict[str, Any], ...] = (
    *({}, {"by": "said"}),
    *({"folder": "below"}, {"by": "said", "kind": "video"}),
)


@pytest.fixture
def home(indexed, tmp_path):
    return searchable.copied(indexed, tmp_path / "home")


@pytest.fixture(params=ENGINES)
def to(request, tmp_path, monkeypatch):
    return place(request.param, tmp_path, monkeypatch)


def told(moments):
    return [
        (one.id, one.said, round(one.coarse, 4), one.reranked and round(one.reranked, 3))
        for one in moments
    ]


def tables(to):
    """Keys, and the documents of an engine but for when they were written."""
    engine = connect(to)
    documents = engine.documents()
    about = json.loads(documents.pop(0))
    return engine.keys().tolist(), documents, about["next"]


def test_searches_find_what_they_find_in_the_folder(indexed, to, search_model, monkeypatch):
    assert publish(indexed, to)[:3] == (5, 0, 0)
    here, there = Searcher(search_model, Index(indexed)), Searcher(search_model, PublishedIndex(to))
    some = np.array([5, 0, 3])
    np.testing.assert_allclose(there.index.embeddings(some), here.index.embeddings(some), atol=1e-6)
    one: Any = here.index.features(some).code
    other: Any = there.index.features(some).code
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.scales, other.scales)
    assert there.index.thumbnail(3) == here.index.thumbnail(3)
    np.testing.assert_array_equal(there.index.times, here.index.times)
    asked_for: tuple[dict[str, Any], ...] = (
        {},
        {"group": False},
        {"without": "green"},
        {"folder": "below"},
        {"shorter": 3.0, "n": 2},
        {"shape": "portrait"},
        {"like": "long.mp4@20"},
    )
    for at_once in (published.AT_ONCE, 0):
        monkeypatch.setattr(published, "AT_ONCE", at_once or 3)
        for only in asked_for:
            assert told(there.search(SENTENCE, **only)) == told(here.search(SENTENCE, **only)), only


def test_changes_carry_over_and_nothing_is_written_twice(home, to):
    before = change(home, red=None)
    assert publish(home, to)[:3] == (4, 0, 0)
    first = tables(to)
    assert publish(home, to)[:3] == (0, 0, 4) and tables(to) == first
    stamp = before["long.mp4"].stamp._replace(mtime_ns=1)
    change(home, red=before["red.mp4"], shots=None, long=before["long.mp4"]._replace(stamp=stamp))
    assert publish(home, to)[:3] == (2, 1, 2)
    names = [json.loads(text)[0] for text in tables(to)[1].values()]
    assert sorted(names) == sorted(catalogues.read(home).videos)
    assert len(tables(to)[0]) == len(Index(home))
    assert min(set(tables(to)[0]) - set(first[0])) >= first[2], "keys are not used again"


def test_an_index_without_videos_is_published_and_filled_later(home, to):
    catalogue = catalogues.read(home)
    catalogues.write(home, dataclasses.replace(catalogue, videos={}))
    assert publish(home, to) == (0, 0, 0, 0)
    with pytest.raises(EngineError, match="no video in this index"):
        PublishedIndex(to)
    catalogues.write(home, catalogue)
    assert publish(home, to).added == 5
    here: Any = Index(home).features(np.arange(8)).code
    there: Any = PublishedIndex(to).features(np.arange(8)).code
    assert there.values.shape == here.values.shape


@pytest.mark.parametrize("step", ["add", "put", "drop", "remove", "finish"])
def test_a_publication_that_is_cut_short_is_completed(home, to, step, monkeypatch):
    before = change(home, red=None)
    publish(home, to)
    kind = type(connect(to))
    change(home, red=before["red.mp4"], shots=None)
    finish: Any = kind.finish
    finished: list[None] = []

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as kill, pytest.raises(KeyboardInterrupt):
        kill.setattr(kind, step, killed)
        publish(home, to)
    readable = PublishedIndex(to)
    readable.features(np.arange(len(readable)))
    monkeypatch.setattr(kind, "finish", lambda engine: finished.append(finish(engine)))
    publish(home, to)
    assert finished and readable.newest_state() != readable.state, "servers take it up"
    assert len(tables(to)[0]) == len(Index(home)) == len(PublishedIndex(to))
    here, there = Index(home), PublishedIndex(to)
    for segment in range(len(here)):
        found = there.embeddings(np.array([there.segment(here.id(segment))]))[0]
        np.testing.assert_allclose(found, here.embedding[segment], atol=1e-6)
    assert publish(home, to)[:3] == (0, 0, 4)


def test_searches_find_whole_videos_while_a_change_is_published(
    home, to, search_model, monkeypatch
):
    publish(home, to)
    searcher = Searcher(search_model, PublishedIndex(to))
    before = told(searcher.search(SENTENCE, kind="video"))
    long = catalogues.read(home).videos["long.mp4"]
    change(home, long=long._replace(codec="vp9"), red=None)
    kind, found = type(connect(to)), []
    put = kind.put

    def put_and_search(engine, documents):
        put(engine, documents)
        found.append(told(searcher.search(SENTENCE, kind="video")))

    monkeypatch.setattr(kind, "put", put_and_search)
    publish(home, to)
    assert len(found) >= 3 and all(one == before for one in found)
    assert len(tables(to)[0]) == len(Index(home)), "then they are removed"


def test_a_video_that_changes_while_its_documents_are_read_counts_once(home, tmp_path, monkeypatch):
    to = place("qdrant", tmp_path, monkeypatch)
    publish(home, to)
    # That on the first page of what is read; its new one is on the last.
    name = json.loads(connect(to).documents()[1])[0]
    catalogue = catalogues.read(home)
    catalogue.videos[name] = catalogue.videos[name]._replace(codec="vp9")
    catalogues.write(home, catalogue)
    client = qdrant.client_of(to)[0]
    scroll, turned = client.scroll, list[Any]()

    def scroll_slowly(collection, **how):
        if how["offset"] is not None and not turned:
            turned.append(how["offset"])
            publish(home, to)
        return scroll(collection, **how)

    monkeypatch.setattr(qdrant, "READ", 2)
    monkeypatch.setattr(client, "scroll", scroll_slowly)
    opened = PublishedIndex(to)
    assert turned and sorted(opened.videos) == sorted(catalogue.videos)
    assert opened.codecs[opened.starts[opened.videos.index(name)]] == "vp9"
    opened.features(np.arange(len(opened)))


def test_segments_that_somebody_removed_are_named_and_published_again(home, to):
    publish(home, to)
    engine = connect(to)
    engine.remove([(2, 3)])
    opened = PublishedIndex(to)
    with pytest.raises(EngineError, match=r"has 7 of 8 segments: .* animclip index --to"):
        opened.features(np.arange(8))
    assert publish(home, to).added == 1
    assert len(tables(to)[0]) == 8 == len(PublishedIndex(to))


def test_another_models_index_is_refused_and_stays(home, to, search_model, tmp_path):
    publish(home, to)
    first = tables(to)
    catalogue = catalogues.read(home)
    catalogue.model = "0" * 64
    catalogues.write(home, catalogue)
    root, settings = home.parent / "videos", catalogue.settings
    ahead = lambda: require_usable(to, "0" * 64, root, settings)  # noqa: E731
    for refused in (lambda: publish(home, to), ahead):
        with pytest.raises(EngineError, match="an index with another model: .*publish to another"):
            refused()
    assert tables(to) == first
    other = searchable.write_model(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match="the index was made with another model"):
        open_index(to, other)
    require_usable(to, search_model.fingerprint, root, settings)
    with pytest.raises(EngineError, match="an index with another root: .*publish to another"):
        require_usable(to, search_model.fingerprint, tmp_path, settings)


def test_nothing_another_version_and_damage_are_one_clear_error_each(home, to):
    with pytest.raises(EngineError, match=r"no index is published there; animclip index --to"):
        PublishedIndex(to)
    publish(home, to)
    engine = connect(to)
    documents = engine.documents()
    text, number = documents.pop(0), min(documents)
    engine.put({0: text.replace('"version": 1', '"version": 2', 1)})
    for use in (lambda: PublishedIndex(to), lambda: publish(home, to)):
        with pytest.raises(EngineError, match="found animclip-published 2, wanted .* 1; remove it"):
            use()
    engine.put({0: text, number: "[1, 2"})
    with pytest.raises(EngineError, match="its documents are damaged: .*publish again"):
        PublishedIndex(to)


def test_what_is_said_is_found(home, to, search_model, tmp_path):
    catalogue = catalogues.read(home)
    (shard,) = shards.read_all(home, catalogue).values()
    words = [f"the kettle whistles {n}" if n % 2 else "" for n in range(len(shard.times))]
    shards.write(home, "00000009", len(words), [shard._replace(said=words)])
    for name, video in catalogue.videos.items():
        catalogue.videos[name] = video._replace(shard="00000009")
    catalogues.write(home, catalogue)
    publish(home, to)
    here, there = Searcher(search_model, Index(home)), Searcher(search_model, PublishedIndex(to))
    for only in WORDS:
        found = there.search('kettle -"whistles 3"', **only)
        assert told(found) == told(here.search('kettle -"whistles 3"', **only))
        assert any(one.said for one in found) or "folder" in only


def test_a_server_serves_it_and_takes_up_what_is_published(home, to, search_model):
    publish(home, to)
    made = app.make_app(Searcher(search_model, PublishedIndex(to)))
    live, first = Live(made.state.service, 50), made.state.service.searcher
    live.look()
    assert made.state.service.searcher is first, "nothing is new"
    page = guard.Guard(made)
    (found, *_) = asked.ask(page, "/api/search?q=a").json["results"]
    assert asked.ask(page, f"/thumbnail/{found['id']}").status == 200
    assert len(asked.ask(page, f"/api/timeline/{found['id']}?q=a").json["segments"]) >= 1
    assert asked.ask(page, f"/video/{found['id']}").status == 200
    since = asked.ask(page, "/api/status").json
    red = catalogues.read(home).videos["red.mp4"]
    change(home, red=red._replace(codec="vp9"))
    publish(home, to)
    live.look()
    assert asked.ask(page, "/api/status").json["updated"] > since["updated"]
    index = made.state.service.searcher.index
    assert index.codecs[index.segment(searchable.moment("red.mp4"))] == "vp9"


def test_the_commands_publish_and_search(home, tmp_path, search_model_path, capsys):
    to = f"lancedb:{tmp_path / 'table'}"
    given = [str(home.parent / "videos"), f"--model={search_model_path}", f"--out={home}"]
    assert index.main([*given, f"--to={to}"]) == 0
    assert f"{to}: 8 segments published; this time 5 added" in capsys.readouterr().out
    assert search.main([to, SENTENCE, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)["results"]
    assert search.main([str(home), SENTENCE, "--json"]) == 0
    assert [one["id"] for one in there] == [
        one["id"] for one in json.loads(capsys.readouterr().out)["results"]
    ]


class FarAway:
    """An engine of 1,000 segments that finds every tenth only."""

    def __init__(self):
        self.asked = []

    def search(self, vector, count):
        self.asked.append(count)
        return np.arange(count) * 10, np.linspace(1, 0, count, dtype=np.float32)


def test_more_is_asked_for_until_enough_are_allowed(monkeypatch):
    monkeypatch.setattr(published, "AT_ONCE", 8)

    class Numbered:
        engine = FarAway()

        def __len__(self):
            return 1000

        def numbers(self, keys):
            return np.where(keys < 1000, keys, -1)

    index: Any = Numbered()
    stage = published.OnEngine(index)
    allowed = np.zeros(1000, bool)
    allowed[500:] = True
    found = stage.nearest(np.zeros(2, np.float32), 4, allowed)
    assert [segment for segment, _ in found] == [500, 510, 520, 530]
    assert Numbered.engine.asked == [16, 64]
