"""Sight and words together find what either alone can't."""

import numpy as np
import pytest

from animclip_jax.video_index.query import Part, Query
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import BOTH, BY, SAID, SEEN, Encoded, Searcher
from input_pipeline.media.video import write_video
from tests import said, searchable

VIDEOS, QUERIES, K = 48, 24, 10
THINGS = ("kettle", "ladder", "violin", "harbour", "lantern", "saddle", "compass", "pillow")
DEEDS = ("repaired", "painted", "sold", "lost", "cleaned", "carried")


@pytest.fixture(scope="module")
def talking(tmp_path_factory, search_model, search_model_path):
    """Drawn videos: what one says has nothing to do with what it shows."""
    home = tmp_path_factory.mktemp("talking")
    (home / "videos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(VIDEOS):
        name = home / "videos" / f"{number:02}"
        colour = tuple(rng.integers(20, 235, 3).tolist())
        write_video(name.with_suffix(".mp4"), searchable.shot(colour, 8, number), 8)
        lines = [(0, 0.4, "well, here we are"), (0.4, 1, told(number))]
        name.with_suffix(".srt").write_text(said.srt(lines))
    searchable.index(home / "videos", home / "index", search_model, search_model_path)
    return home / "index"


def told(number: int) -> str:
    thing, deed = THINGS[number % len(THINGS)], DEEDS[number // len(THINGS)]
    return f"yesterday the {thing} was {deed} by a neighbour"


class Seeing(Searcher):
    """Understands "video 7 is shown" as a good model would: close to the video, not equal to it."""

    def encoded(self, what):
        rng = np.random.default_rng(sum(map(ord, what)))
        noise = rng.normal(size=self.index.embedding.shape[1])
        aim = noise / np.linalg.norm(noise)
        if "shown" in what:
            video = self.index.names.index(f"{int(what.split()[1]):02}.mp4")
            centred = self.index.embedding[video] - self.index.embedding.mean(axis=0)
            aim = centred / np.linalg.norm(centred) + 0.3 * aim
        return Encoded(np.asarray(aim / np.linalg.norm(aim), np.float32))


@pytest.mark.slow
def test_both_find_more_than_either_alone(talking, search_model):
    searcher = Seeing(search_model, Index(talking), num_candidates=20)
    targets = np.random.default_rng(1).permutation(VIDEOS)[:QUERIES].tolist()
    asked = [
        (number, f"video {number} is shown" if turn % 2 else told(number))
        for turn, number in enumerate(targets)
    ]
    recall = {}
    for by in BY:
        answers = [(n, searcher.answer(Query((Part(text),)), by=by)) for n, text in asked]
        best = [(n, [searcher.index.names[h.segment] for h in a.hits[:K]]) for n, a in answers]
        recall[by] = np.mean([f"{n:02}.mp4" in names for n, names in best])
    assert recall[BOTH] > max(recall[SEEN], recall[SAID]) + 0.2, recall
    assert recall[BOTH] > 0.9 and recall[SAID] == 0.5, recall
