"""Scenes: the same everywhere, compositional splits, siblings that differ by one swap."""

import subprocess
import sys
from dataclasses import replace

import pytest

from input_pipeline.drawn.scene import (
    ACT_FRACTION,
    ACTS,
    COUNTS,
    LIGHTS,
    MOTION_FRACTION,
    SIBLING_FRACTION,
    SPLITS,
    SWAPS,
    TEXTURES,
    home,
    scene,
)
from input_pipeline.drawn.things import (
    BACKGROUNDS,
    COLOURS,
    GROUP_OFFSETS,
    GROUP_SCALE,
    KINDS,
    LIGHT_FROM,
    OVERLAP,
    SIZES,
    overlap,
    relations,
)


def pairs_of(at):
    return {(thing.kind, thing.colour) for thing in at.things}


def test_the_world_is_rich_enough(drawn):
    assert len(set(KINDS)) >= 24 and len(set(COLOURS)) == 10
    assert len(TEXTURES) == 4 and len(SIZES) == 3 and len(set(BACKGROUNDS)) >= 12
    assert set(COUNTS) == set(GROUP_OFFSETS) == set(GROUP_SCALE) == {1, 2, 3}
    seen = [drawn("train", index) for index in range(600)]
    assert {at.background for at in seen} == set(BACKGROUNDS)
    assert {at.light for at in seen} == set(LIGHTS)
    assert {at.light_from for at in seen} == set(LIGHT_FROM)
    assert {len(at.things) for at in seen} == {2, 3, 4}
    for field, values in (("kind", KINDS), ("colour", COLOURS), ("texture", TEXTURES)):
        assert {getattr(thing, field) for at in seen for thing in at.things} == set(values)


def test_same_scene_in_a_fresh_process_and_in_any_order():
    code = (
        "from input_pipeline.drawn.scene import scene\n"
        "print([scene('val', index) for index in (7, 6, 40)])"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert fresh.stdout.strip() == repr([scene("val", index) for index in (7, 6, 40)])


@pytest.mark.long
@pytest.mark.parametrize("split", SPLITS)
def test_splits_are_compositional(split, drawn):
    for index in range(1500):
        homes = {home(*pair) for pair in pairs_of(drawn(split, index))}
        own = "train" if split == "finetune" else split
        assert homes <= {"train", own}
        assert own in homes


def test_about_an_eighth_of_the_pairs_is_held_out_for_each_evaluation_split():
    homes = [home(kind, colour) for kind in KINDS for colour in COLOURS]
    for split in ("val", "test"):
        assert 0.08 < homes.count(split) / len(homes) < 0.17
    for kind in KINDS:
        assert sum(home(kind, colour) == "train" for colour in COLOURS) >= 4
    for colour in COLOURS:
        assert sum(home(kind, colour) == "train" for kind in KINDS) >= len(KINDS) / 2


@pytest.mark.long
def test_siblings_differ_only_in_the_swap_they_record(drawn):
    differences = []
    for index in range(0, 800, 2):
        first, second = drawn("test", index), drawn("test", index + 1)
        assert (first.index, second.index) == (index, index + 1)
        if first.sibling is None:
            assert second.sibling is None is second.swapped
            assert first.things != second.things and first.seed != second.seed
            continue
        if first.act is not None:
            continue
        assert (first.sibling, second.sibling) == (index + 1, index)
        differences.append(first.differs)
        assert first.swapped is not None and first.differs is not None
        a, b = first.swapped
        one, other = first.things[a], first.things[b]
        things = list(first.things)
        if first.differs == "place":
            at = ("x", "y", "room")
            places = [{name: getattr(thing, name) for name in at} for thing in (one, other)]
            things[a], things[b] = replace(other, **places[0]), replace(one, **places[1])
            assert any({a, b} == {i, j} for _, i, j in relations(first))
        else:
            values = [{first.differs: getattr(thing, first.differs)} for thing in (one, other)]
            assert values[0] != values[1]
            things[a], things[b] = replace(one, **values[1]), replace(other, **values[0])
        swapped = replace(first, things=tuple(things), index=index + 1, sibling=index)
        assert swapped == second
    assert set(differences) == set(SWAPS)
    assert abs(len(differences) / 400 - SIBLING_FRACTION) < 0.08


@pytest.mark.long
def test_siblings_in_motion_differ_in_which_way_or_how_far_and_in_nothing_else(drawn):
    pairs = [(drawn("test", index), drawn("test", index + 1)) for index in range(0, 800, 2)]
    moving = [pair for pair in pairs if pair[0].sibling is not None and pair[0].act is not None]
    for first, second in moving:
        act, other = first.act, second.act
        assert act is not None and other is not None
        if first.differs == "pace":
            assert sum(act.travel) > 2 * sum(other.travel) > 0
            changed = replace(act, travel=other.travel)
        else:
            assert act.kind == first.differs
            changed = replace(act, backwards=not act.backwards)
        same = replace(first, act=changed, index=first.index + 1, sibling=first.index)
        assert same == second
    assert {first.differs for first, _ in moving} == {"pace", *ACTS}
    assert abs(len(moving) / len(pairs) - MOTION_FRACTION) < 0.08


@pytest.mark.long
def test_videos_without_a_sibling_show_an_act_now_and_then_and_pictures_never(drawn):
    alone = [at for at in (drawn("val", n) for n in range(600)) if at.sibling is None]
    acting = [at for at in alone if at.act is not None]
    assert abs(len(acting) / len(alone) - ACT_FRACTION) < 0.08
    assert {at.differs for at in acting} == set(ACTS)
    assert all(drawn("train", index).act is None for index in range(600))


@pytest.mark.long
def test_layouts_are_clear(drawn):
    hidden = 0
    for index in range(600):
        at = drawn("train", index)
        assert len({thing.kind for thing in at.things}) == len(at.things)
        for i, thing in enumerate(at.things):
            assert thing.radius <= thing.room < 0.25
            assert thing.room <= min(thing.x, thing.y)
            assert max(thing.x, thing.y) <= 1 - thing.room
            for other in at.things[:i]:
                shared = overlap(thing, other)
                assert shared == 0 or OVERLAP <= shared < 0.6
                hidden += shared > 0
    assert hidden > 100


def test_relations_by_hand():
    at = scene("train", 0)
    thing = replace(at.things[0], size="medium", count=1)
    centres = [(0.2, 0.3), (0.8, 0.3), (0.3, 0.35), (0.5, 0.9)]
    at = replace(at, things=tuple(replace(thing, x=x, y=y) for x, y in centres))
    assert set(relations(at)) == {
        ("left", 0, 1),
        ("left", 2, 1),
        ("front", 2, 0),
        ("above", 0, 3),
        ("above", 1, 3),
        ("above", 2, 3),
    }


def test_unknown_split_and_index_are_refused():
    with pytest.raises(ValueError, match="'dev' is none of train, val, test"):
        scene("dev", 0)
    with pytest.raises(ValueError, match="-1 is negative"):
        scene("train", -1)
