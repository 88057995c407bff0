"""Results by scene: what is one, that enough are found, and that updates keep them."""

import json

import numpy as np
import pytest

from animclip_jax.serving import app, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import scenes, update
from animclip_jax.video_index.open import NO_SCENES, note
from animclip_jax.video_index.query import Part, Query
from animclip_jax.video_index.ranking import Hit
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from input_pipeline.media import video
from tests import asked, searchable
from tests.searchable import GREY, RED, shot

SENTENCE = Query((Part("a white block travels"),))


@pytest.fixture(scope="module")
def searcher(indexed, search_model):
    return Searcher(search_model, Index(indexed))


@pytest.fixture
def own(indexed, tmp_path):
    return searchable.copied(indexed, tmp_path / "own")


def known(directory):
    """The scenes of an index, each by its video and the starts of its segments."""
    index = Index(directory)
    found: dict[tuple[str, int], list[float]] = {}
    for segment, name in enumerate(index.names):
        found.setdefault((name, int(index.scene[segment])), []).append(index.times[segment, 0])
    return sorted((name, starts) for (name, _), starts in found.items())


def test_segments_of_a_video_are_numbered_by_scene():
    found = scenes.numbered([(1, ()), (5, (1, 2, 4)), (3, (1, 2))])
    assert found.tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 3]


def test_the_best_stands_for_its_scene():
    scene = np.array([0, 0, 0, 1, 2, 2])
    hits = [
        Hit(1, 0.5, 4, 9.0, 1),
        Hit(4, 0.9, 1, 8.0, 2),
        Hit(0, 0.6, 3, 7.0, 3, "well"),
        Hit(3, 0.2, None, None, 4, "hello"),
        Hit(5, 0.7, 2, None, 5),
    ]
    found = scenes.grouped(hits, scene)
    assert [(one.segment, one.rank, one.coarse_rank) for one in found] == [
        *((1, 1, 2), (4, 2, 1), (3, 3, None)),
    ]
    assert [one.coarse for one in found] == [0.6, 0.9, 0.2]
    assert [one.said for one in found] == ["well", None, "hello"]
    assert [[hit.segment for hit in one.scene or ()] for one in found] == [[0, 1], [4, 5], [3]]


@pytest.mark.parametrize("wanted, count", [(1, 2), (5, 2), (9, 2), (20, 3), (99, 100), (0, 4)])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_as_many_scenes_are_found_as_there_are(wanted, count, is_filtered):
    rng = np.random.default_rng(0)
    scene = np.sort(rng.integers(0, 12, 80))
    scores = rng.normal(size=80) + 3 * (scene == 4)
    allowed = rng.random(80) < 0.5 if is_filtered else None
    calls = []

    def find(most, among):
        calls.append(most)
        order = np.argsort(-scores)
        return [(n, scores[n]) for n in order.tolist() if among is None or among[n]][:most]

    found = scenes.spread(find, scene, wanted, count, 5, allowed)
    segments = [segment for segment, _ in found]
    assert len(set(segments)) == len(segments)
    assert allowed is None or allowed[segments].all()
    assert (np.diff([score for _, score in found]) <= 0).all()
    best = {number: scores[(scene == number) & (allowed is None or allowed)] for number in scene}
    order = sorted((one for one in best if len(best[one])), key=lambda one: -best[one].max())
    met = list(dict.fromkeys(scene[segments].tolist()))
    assert met == order[: len(met)] and len(met) >= min(wanted, len(order))
    if not wanted:
        assert calls == [count]


def test_a_long_shot_is_one_result(searcher):
    alone = searcher.answer(SENTENCE)
    assert all(hit.scene is None for hit in alone.hits)
    answer = searcher.answer(SENTENCE, num_scenes=8)
    assert (answer.candidates, len(alone.hits), len(answer.hits)) == (8, 8, 6)
    names = [searcher.index.names[hit.segment] for hit in answer.hits]
    assert sorted(names) == sorted([*set(searcher.index.names), "shots.mp4"])
    assert [hit.rank for hit in answer.hits] == [1, 2, 3, 4, 5, 6]
    assert sorted(hit.coarse_rank for hit in answer.hits) == [1, 2, 3, 4, 5, 6]
    by_segment = {hit.segment: hit for hit in alone.hits}
    long = answer.hits[names.index("long.mp4")]
    best = min(long.scene, key=lambda hit: hit.rank)
    assert (best.segment, best.fused) == (long.segment, long.fused)
    assert long.coarse == max(hit.coarse for hit in long.scene)
    for hit in long.scene:
        assert hit == pytest.approx(by_segment[hit.segment], abs=1e-5)


def test_a_result_tells_its_scene(searcher):
    found = {moment.video: moment for moment in searcher.search("a white block travels")}
    long, red = found["long.mp4"], found["red.mp4"]
    assert (long.scene_start, long.scene_end) == (0.0, 25.0)
    assert [(one.start, one.end) for one in long.segments] == [
        *((0.0, 8.333), (8.333, 16.667), (16.667, 25.0)),
    ]
    assert (long.start, long.end) in [(one.start, one.end) for one in long.segments]
    assert long.id in [one.id for one in long.segments]
    assert (red.scene_start, red.scene_end) == (0.0, 2.0)
    (one,) = red.segments
    assert (one.id, one.start, one.end, one.score) == (red.id, 0.0, 2.0, red.coarse)
    apart = searcher.search("a white block travels", group=False)
    assert len(apart) == 8
    third = next(one for one in apart if one.id == searchable.moment("long.mp4", 2))
    assert (third.scene_start, third.scene_end, len(third.segments)) == (0.0, 25.0, 1)


def test_a_few_candidates_of_one_scene_are_not_all_that_is_found(indexed, search_model):
    index = Index(indexed)
    few = Searcher(search_model, index, num_candidates=3)
    first = index.names.index("long.mp4")
    middle = index.embedding[first : first + 3].sum(axis=0)
    like_long = Query((Part(middle / np.linalg.norm(middle)),))
    answer = few.answer(like_long)
    assert {index.names[hit.segment] for hit in answer.hits} == {"long.mp4"}
    assert len(few.answer(like_long, num_scenes=1).hits) == 1
    found = few.answer(like_long, num_scenes=6).hits
    assert len(found) == 6 and index.names[found[0].segment] == "long.mp4"
    assert len(few.answer(SENTENCE, num_scenes=6).hits) == 6
    assert len(few.search("a white block", 5)) == 5


def test_windows_without_shots_are_no_scenes(own, search_model, search_model_path):
    settings = searchable.settings_of(search_model)
    windows = settings.__class__(settings.num_frames, settings.image_size, shots=False)
    out, videos = own.parent / "windows", own.parent / "videos"
    update.update(out, videos, search_model, search_model_path, windows, searchable.EFFORT)
    index = Index(out)
    assert len(np.unique(index.scene)) == len(index) and not index.lacks_scenes


def test_updates_keep_scenes(own, search_model, search_model_path):
    videos, before = own.parent / "videos", known(own)
    assert ("long.mp4", pytest.approx([0.0, 25 / 3, 50 / 3])) in before
    assert sum(name == "shots.mp4" for name, _ in before) == 2
    video.write_video(videos / "more.mp4", np.concatenate([shot(RED, 20), shot(GREY, 92)]), 4)
    searchable.index(videos, own, search_model, search_model_path)
    assert len(catalogues.read(own).shards) == 2
    after = known(own)
    assert [one for one in after if one[0] != "more.mp4"] == before
    more = [starts for name, starts in after if name == "more.mp4"]
    assert len(more) == 2 and len(more[1]) > 1, "a short shot, and a long one in windows"
    gone = ("red.mp4", "shots.mp4", "<b>é 'x'&.mp4")
    for name in gone:
        (videos / name).unlink()
    searchable.index(videos, own, search_model, search_model_path)
    assert len(catalogues.read(own).shards) == 1, "merged, as a quarter was of no video any more"
    assert known(own) == [one for one in after if one[0] not in gone]


def test_an_index_from_before_scenes_is_read_and_says_how_to_get_them(
    own, search_model, search_model_path
):
    path = own / catalogues.CATALOGUE
    document = json.loads(path.read_text())
    before = catalogues.Video._fields.index("continues")
    old = {name: [*fields[: before - 1], 2] for name, fields in document["videos"].items()}
    path.write_text(json.dumps(document | {"videos": old}))
    searcher = Searcher(search_model, Index(own))
    assert searcher.index.lacks_scenes and note(searcher) == NO_SCENES
    assert len(searcher.search("a block")) == 8
    guarded = guard.Guard(app.make_app(searcher))
    assert NO_SCENES in asked.ask(guarded, "/api/search?q=a+block").json["note"]
    done = searchable.index(own.parent / "videos", own, search_model, search_model_path)
    assert (done.indexed, done.divided) == (5, 5)
    searcher = Searcher(search_model, Index(own))
    assert note(searcher) is None and len(searcher.search("a block")) == 6


@pytest.mark.parametrize("continues", [[0], [3], [1, "2"], [-1]])
def test_what_can_be_no_scene_is_told(own, continues):
    path = own / catalogues.CATALOGUE
    document = json.loads(path.read_text())
    video = document["videos"]["long.mp4"]
    video[catalogues.Video._fields.index("continues")] = continues
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="long.mp4: continues is"):
        catalogues.read(own)


def test_the_api_groups_unless_told(indexed, search_model):
    guarded = guard.Guard(app.make_app(Searcher(search_model, Index(indexed))))
    told = asked.ask(guarded, "/api/search?q=a+block").json
    assert (told["candidates"], told["count"], len(told["results"])) == (8, 6, 6)
    long = next(one for one in told["results"] if one["video"] == "long.mp4")
    assert (long["scene_start"], long["scene_end"], len(long["segments"])) == (0.0, 25.0, 3)
    assert set(long["segments"][0]) == {"id", "start", "end", "score"}
    apart = asked.ask(guarded, "/api/search?q=a+block&group=0").json
    assert (apart["candidates"], len(apart["results"])) == (8, 8)
    assert all(len(one["segments"]) == 1 for one in apart["results"])
    assert asked.ask(guarded, "/api/search?q=a+block&group=2").status == 400
