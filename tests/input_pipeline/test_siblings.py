"""Clips of a batch that are others of it backwards, with the opposite captions."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

from animclip_jax.animation.batch import Filmed, Footage, example_of
from animclip_jax.animation.components import (
    Cut,
    Dissolve,
    Enter,
    Fade,
    Pan,
    Scenes,
    Slide,
    Thing,
    Wipe,
)  # fmt: skip
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.render import clips
from animclip_jax.animation.told import Told
from animclip_jax.training import data
from input_pipeline import batches
from input_pipeline.examples import Examples
from input_pipeline.tokenizers.opening import open_tokenizer
from tests.input_pipeline.director.clauses import facts
from tests.input_pipeline.made_batches import BATCH, CONFIG, joined, same, train

ALL = Told(1.0, siblings=1.0)
# The camera pans far enough to be told, in every clip.
PANS = AnimationConfig("camera", 4, 32, pan=Pan(1.0, (0.4, 0.5)), told=ALL)
STEPS = 3


class Run(NamedTuple):
    """Some batches, the captions of their clips, and, row by row, their indices and frames."""

    batches: list[Any]
    captions: list[str]
    indices: np.ndarray
    frames: np.ndarray

    @property
    def siblings(self) -> np.ndarray:
        """The clips that run backwards."""
        return np.flatnonzero(self.indices < 0)


def run(examples: Examples, animation: AnimationConfig, **changes: Any) -> Run:
    """With the captions that a tokenizer would read."""
    captions: list[str] = []

    def read(texts: list[str]) -> np.ndarray:
        captions.extend(texts)
        return np.zeros((len(texts), 2), np.int32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "open_tokenizer", lambda *_: read)
        made = train(examples, animation, **{"steps": STEPS} | changes)

    def rows(part: Any) -> np.ndarray:
        return np.concatenate([part(batch) for batch in made])

    def film(batch: Filmed | Footage) -> np.ndarray:
        return np.asarray(clips(batch, 32))

    return Run(made, captions, rows(lambda batch: batch.index), rows(film))


@pytest.fixture(scope="module")
def pans(examples: Examples) -> Run:
    return run(examples, PANS)


def test_a_sibling_is_the_clip_before_it_backwards_with_the_opposite_caption(pans: Run) -> None:
    assert len(pans.siblings) >= 8
    for row in pans.siblings:
        assert row % 2 == 1 and pans.indices[row] == -1 - pans.indices[row - 1] < 0
        np.testing.assert_array_equal(pans.frames[row], pans.frames[row - 1][::-1])
        assert (pans.frames[row] != pans.frames[row - 1]).any()
        ours, theirs = (facts(pans.captions[n].lower()) for n in (row, row - 1))
        assert theirs and ours == {(name, -sign) for name, sign in theirs}
        i = example_of(pans.indices)[row]
        assert f"picture {i} caption" in pans.captions[row].lower()
    others = np.setdiff1d(np.arange(1, STEPS * BATCH, 2), pans.siblings)
    assert (pans.indices[others] != pans.indices[others - 1]).all()
    assert not any(facts(pans.captions[row - 1].lower()) for row in others)


def test_the_captions_of_a_batch_are_those_that_were_tokenized(examples: Examples) -> None:
    """With clauses on the motion, and the opposite ones of siblings."""
    config = dataclasses.replace(CONFIG, animation=PANS)
    spoken: list[str] = []
    for batch in itertools.islice(
        batches.train_batches(examples, config, start_step=0, spoken=spoken), STEPS
    ):
        np.testing.assert_array_equal(open_tokenizer(*config.reading)(spoken), batch.tokens)
        assert len(set(spoken)) == BATCH and (batch.index < 0).any()


def test_the_host_renders_siblings_as_the_device_does(examples: Examples, pans: Run) -> None:
    on_host = run(examples, dataclasses.replace(PANS, render="host"), steps=1)
    assert isinstance(on_host.batches[0], Footage) and len(on_host.siblings)
    assert (on_host.indices == pans.indices[:BATCH]).all()
    for row in on_host.siblings:
        np.testing.assert_array_equal(on_host.frames[row], on_host.frames[row - 1][::-1])


def test_the_other_clips_are_those_of_a_batch_without_siblings(
    examples: Examples, pans: Run
) -> None:
    none = run(examples, dataclasses.replace(PANS, told=Told(1.0)))
    assert (none.indices >= 0).all()
    straight = pans.indices >= 0
    assert (pans.indices[straight] == none.indices[straight]).all()
    assert (pans.frames[straight] == none.frames[straight]).all()
    spoken = np.array(pans.captions), np.array(none.captions)
    assert (spoken[0][straight] == spoken[1][straight]).all()


def test_processes_together_make_the_same_siblings_and_keep_groups_whole(
    examples: Examples,
) -> None:
    some = dataclasses.replace(PANS, told=Told(1.0, siblings=0.6))
    whole = train(examples, some, steps=2, group_size=2)
    parts = [train(examples, some, steps=2, group_size=2, process=(n, 2)) for n in range(2)]
    assert same(whole, joined(parts))
    for batch in whole:
        backwards = np.flatnonzero(batch.index < 0)
        assert np.isin(backwards % 4, (2, 3)).all()
        assert (batch.index[backwards] == -1 - batch.index[backwards - 2]).all()
        assert (batch.index[1::4] == batch.index[::4] + 1).all()
    assert 0 < sum((batch.index < 0).sum() for batch in whole) < BATCH


def test_a_clip_whose_caption_names_nothing_has_no_sibling(examples: Examples) -> None:
    still = AnimationConfig("still", 4, 32, told=ALL)
    assert all((batch.index >= 0).all() for batch in train(examples, still))


def test_two_scenes_are_told_in_the_opposite_order(examples: Examples) -> None:
    dissolve, wipe = Dissolve(0.4, (0.25, 0.25)), Wipe(0.4, (0.25, 0.25))
    two = AnimationConfig(
        "shots", 6, 32, scenes=Scenes(1.0), dissolve=dissolve, wipe=wipe, told=ALL
    )
    made = run(examples, two, steps=2)
    assert (made.indices[1::2] == -1 - made.indices[::2]).all()
    np.testing.assert_array_equal(made.frames[1::2], made.frames[::2, ::-1])
    overlaps = np.concatenate([(batch.plan.at < 6).any(axis=1) for batch in made.batches])
    assert 0 < overlaps.mean() < 1
    for ours, theirs in zip(made.captions[1::2], made.captions[::2], strict=True):
        first, second = (words.lower().split("picture ")[1:] for words in (theirs, ours))
        assert [words.split()[0] for words in first] == [words.split()[0] for words in second][::-1]
        assert ours != theirs
    assert len({caption.startswith("First ") for caption in made.captions}) == 2


def test_a_cut_is_told_the_other_way_round(examples: Examples) -> None:
    none: dict[str, Any] = {"dissolve": Dissolve(0.0), "wipe": Wipe(0.0), "fade": Fade(0.0)}
    made = run(examples, AnimationConfig("shots", 6, 32, cut=Cut(0.8), told=ALL, **none), steps=6)
    assert len(made.siblings)
    for row in made.siblings:
        ours, theirs = (facts(made.captions[n].lower()) for n in (row, row - 1))
        assert {*ours, *theirs} == {("closer", 1), ("closer", -1)}
        np.testing.assert_array_equal(made.frames[row], made.frames[row - 1][::-1])


def test_a_thing_moves_the_other_way_in_a_sibling(examples: Examples) -> None:
    moves: dict[str, Any] = {"thing": Thing(1.0), "enter": Enter(0.5), "slide": Slide(1.0)}
    made = run(examples, AnimationConfig("things", 6, 32, told=ALL, **moves), steps=4)
    with_thing = np.concatenate([batch.plan.has_thing for batch in made.batches])
    found = set()
    for row in made.siblings:
        np.testing.assert_array_equal(made.frames[row], made.frames[row - 1][::-1])
        if with_thing[row]:
            ours, theirs = (facts(made.captions[n].lower()) for n in (row, row - 1))
            assert {fact for fact in ours if fact[0].startswith("thing_")} == {
                (name, -sign) for name, sign in theirs if name.startswith("thing_")
            }
            found |= {name for name, _ in ours}
    assert found & {"leave", "slide", "pass_by", "bounce"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, "batch_size 9: with animation.told.siblings 1.0 wanted a multiple"),
        ({"batch_size": 6, "process": (0, 2)}, "= 2 x 2 x 1, so that every process gets whole"),
        ({"group_size": 4, "batch_size": 4}, "= 2 x 1 x 4, so that every process"),
    ],
)
def test_pairs_that_would_be_parted_are_an_error(
    examples: Examples, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(examples, PANS, **changes)


def test_a_clip_backwards_has_the_name_of_its_example(examples: Examples) -> None:
    index = np.array([3, -1 - 3, 0, -1], np.int32)
    assert example_of(index).tolist() == [3, 3, 0, 0]
    assert data.names(examples, index) == [examples.ids[i] for i in (3, 3, 0, 0)]
    assert data.names(None, index) == [f"baked example {i}" for i in (3, 3, 0, 0)]
