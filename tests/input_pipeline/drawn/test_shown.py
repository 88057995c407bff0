"""Motions: those that captions may name are plain to see, those of siblings the other way round."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from input_pipeline.drawn import acts
from input_pipeline.drawn.motion import MOVING_DOMINANCE, MOVING_MARGIN, Motion, play
from input_pipeline.drawn.raster import video
from input_pipeline.drawn.scene import ACTS, Scene, scene
from input_pipeline.drawn.shown import OF_ACT, Fact, is_plain, motions, visible
from input_pipeline.drawn.things import Act, direction, relations
from input_pipeline.media.timing import positions

Played = list[tuple[Scene, Act, Motion]]
LOOKED_AT = positions(4, 8)  # by a model that takes four frames


@pytest.fixture(scope="module")
def played(drawn: Callable[[str, int], Scene]) -> Played:
    """Those of 500 scenes that have an act, each with its act and motion."""
    scenes = [drawn("test", index) for index in range(500)]
    return [(at, at.act, play(at)) for at in scenes if at.act is not None]


def whole(at, motion) -> np.ndarray:
    """Which things lie wholly in each frame, corner by corner: bool [T, N]."""
    found = []
    for frame, (y0, x0, y1, x1) in enumerate(motion.viewports):
        reach = np.array([thing.radius for thing in at.things]) * motion.scales[frame] * 0.99
        x, y = motion.centres[frame].T
        found.append((x - reach >= x0) & (x + reach <= x1) & (y - reach >= y0) & (y + reach <= y1))
    return np.array(found)


def test_every_kind_of_act_is_drawn(played):
    assert set(Counter(act.kind for _, act, _ in played)) == set(ACTS) == set(OF_ACT)


def test_a_model_of_four_frames_sees_each_thing_whole_and_never_all_at_once(played):
    for at, _, motion in played:
        assert whole(at, motion)[LOOKED_AT].any(0).all()
        low, high = motion.viewports[:, None, 1::-1], motion.viewports[:, None, :1:-1]
        held = np.all((motion.centres >= low) & (motion.centres <= high), axis=-1)
        assert not held.all(1).any()


def test_relations_hold_in_every_frame_of_an_act(played):
    told = 0
    for at, _, motion in played:
        for name, a, b in relations(at):
            steps = motion.centres[:, b] - motion.centres[:, a]
            if name == "front":
                assert np.allclose(steps, steps[0])
            else:
                held = [direction(x, y, MOVING_MARGIN, MOVING_DOMINANCE) for x, y in steps]
                assert held == [name] * len(held)
            told += 1
    assert told > 100


def test_what_acts_is_seen_whole_in_every_frame_of_its_act_and_in_none_before(played):
    for at, act, motion in played:
        if act.slot is None:
            continue
        assert whole(at, motion)[3:, act.slot].all()
        assert not visible(at, motion)[:3, act.slot].any()
        others = np.delete(np.arange(len(at.things)), act.slot)
        for frame in range(8):
            for other in others:
                gap = np.abs(motion.centres[frame, act.slot] - motion.centres[frame, other]).max()
                reach = [at.things[n].radius * motion.scales[frame, n] for n in (act.slot, other)]
                assert gap >= sum(reach)


def test_nothing_but_the_act_moves(played):
    for at, act, motion in played:
        still = [n for n in range(len(at.things)) if n != act.slot]
        assert (motion.centres[:, still] == motion.centres[0, still]).all()
        assert (motion.scales[:, still] == 1).all()
        assert np.ptp(motion.angles[:, still], axis=0).max() < 20


@pytest.mark.parametrize(
    "about, least",
    [("moves", 0.1), ("scales", 1.26), ("turns", 40.0), ("zoom", 1.18), ("camera", 0.08)],
)
def test_named_motions_are_large_between_frames_that_a_model_of_four_sees(about, least, played):
    """Of the frame's side, of the size, in degrees: from one such frame to the next."""
    checked = 0
    for at, act, motion in played:
        frames = LOOKED_AT if act.before is None else LOOKED_AT[1:]
        facts = [fact for fact in motions(at) if fact.about == about]
        sides = motion.viewports[frames, 2] - motion.viewports[frames, 0]
        middles = (motion.viewports[frames, :2] + motion.viewports[frames, 2:]) / 2
        for fact in facts:
            slot = act.slot if fact.kinds else 0
            by = {
                "moves": np.abs(np.diff(motion.centres[frames, slot], axis=0)).max(1) / sides[1:],
                "scales": np.exp(np.abs(np.diff(np.log(motion.scales[frames, slot])))),
                "turns": np.abs(np.diff(motion.angles[frames, slot])) * 1.3,
                "zoom": np.exp(np.abs(np.diff(np.log(sides)))),
                "camera": np.abs(np.diff(middles, axis=0)).max(1) / sides[1:],
            }[about]
            assert (by >= least).all(), (at.index, by)
            checked += 1
    assert checked >= 15


def test_siblings_state_the_opposite(played, drawn):
    opposite = {"left": "right", "up": "down", "in": "out", "grows": "shrinks"}
    opposite |= {"clockwise": "counterclockwise", "slow": "quick"}
    opposite |= {other: one for one, other in opposite.items()}
    pairs = [(at, drawn("test", at.sibling)) for at, *_ in played if at.sibling is not None]
    for at, sibling in pairs:
        assert at.act is not None
        abouts = OF_ACT[at.act.kind] | {"pace"}
        ours, theirs = (
            {fact for fact in motions(one) - motions(other) if fact.about in abouts}
            for one, other in ((at, sibling), (sibling, at))
        )
        turned = {
            fact._replace(kinds=fact.kinds[::-1], value=opposite.get(str(fact.value), ""))
            for fact in ours
        }
        assert ours and turned == theirs
    assert len(pairs) > 80


def test_siblings_show_a_model_of_four_frames_the_same_pictures_in_another_order(played, drawn):
    """So that neither the look of a frame nor the mean over them says which of the two it is."""
    checked = Counter[str | None]()
    for at, *_ in played:
        if at.sibling is None or at.differs == "pace" or checked[at.differs] == 2:
            continue
        ours, theirs = (video(one)[LOOKED_AT] for one in (at, drawn("test", at.sibling)))
        frames = [sorted(frame.tobytes() for frame in clip) for clip in (ours, theirs)]
        assert frames[0] == frames[1] and not np.array_equal(ours, theirs)
        checked[at.differs] += 1
    assert set(checked) == set(ACTS)


def acting(act: Act):
    """A scene of one small thing in the middle, another one near the corner, and the act."""
    scenes = (scene("test", index) for index in range(500))
    at = next(at for at in scenes if at.act is not None and len(at.things) == 2)
    one, other = (replace(thing, size="small", count=1, room=0.11) for thing in at.things)
    return replace(at, things=(replace(one, x=0.5, y=0.5), replace(other, x=0.85, y=0.85)), act=act)


VIEW = (0.2, 0.2, 0.8, 0.8)
BEFORE = (0.45, 0.45, 1.0, 1.0)


@pytest.mark.parametrize(
    "changes, about, value",
    [
        ({"kind": "slide", "travel": (0.2, 0.0)}, "moves", "right"),
        ({"kind": "slide", "travel": (0.2, 0.0), "backwards": True}, "moves", "left"),
        ({"kind": "slide", "travel": (0.0, 0.2)}, "moves", "down"),
        ({"kind": "slide", "travel": (0.0, 0.2), "backwards": True}, "moves", "up"),
        ({"kind": "slide", "travel": (0.13, 0.0)}, "moves", None),  # too little
        ({"kind": "slide", "travel": (0.2, 0.15)}, "moves", None),  # neither right nor down
        ({"kind": "slide", "travel": (0.15, 0.0)}, "pace", "slow"),
        ({"kind": "slide", "travel": (0.34, 0.0)}, "pace", "quick"),
        ({"kind": "slide", "travel": (0.25, 0.0)}, "pace", None),
        ({"kind": "grow", "growth": 1.7}, "scales", "grows"),
        ({"kind": "grow", "growth": 1.7, "backwards": True}, "scales", "shrinks"),
        ({"kind": "grow", "growth": 1.5}, "scales", None),
        ({"kind": "turn", "turn": 110.0}, "turns", "counterclockwise"),
        ({"kind": "turn", "turn": 110.0, "backwards": True}, "turns", "clockwise"),
        ({"kind": "turn", "turn": 50.0}, "turns", None),
        ({"kind": "zoom", "views": (VIEW, (0.3, 0.3, 0.7, 0.7))}, "zoom", "in"),
        ({"kind": "zoom", "views": ((0.3, 0.3, 0.7, 0.7), VIEW)}, "zoom", "out"),
        ({"kind": "zoom", "views": (VIEW, (0.25, 0.25, 0.75, 0.75))}, "zoom", None),
    ],
)
def test_what_a_thing_does_by_hand(changes, about, value):
    act = Act(**({"views": (VIEW, VIEW), "before": BEFORE, "slot": 0} | changes))
    at = acting(act)
    kind = at.things[0].kind
    found = {fact for fact in motions(at) if fact.about == about and fact.kinds == (kind,)}
    assert found == ({Fact(about, (kind,), value)} if value else set())


@pytest.mark.parametrize(
    "corner, value",
    [
        ((0.0, 0.4), "right"),
        ((0.4, 0.0), "down"),
        ((0.4, 0.05), "down"),
        ((0.4, 0.3), None),  # aslant
        ((0.0, 0.2), None),  # too little
    ],
)
def test_where_the_camera_moves_by_hand(corner, value):
    """From the upper left corner to another one, and back."""
    y0, x0 = corner
    views = (0.0, 0.0, 0.5, 0.5), (y0, x0, y0 + 0.5, x0 + 0.5)
    back = {"right": "left", "down": "up"}.get(str(value))
    for backwards, wanted in ((False, value), (True, back)):
        at = acting(Act("pan", views, backwards=backwards))
        found = {fact for fact in motions(at) if fact.about == "camera"}
        assert found == ({Fact("camera", (), wanted)} if wanted else set())


def test_what_is_seen_first_by_hand():
    corner = (0.5, 0.5, 1.0, 1.0)
    at = acting(Act("cut", ((0.0, 0.0, 0.5, 0.5), corner)))
    one, other = (thing.kind for thing in at.things)
    at = replace(at, things=(replace(at.things[0], x=0.2, y=0.2), at.things[1]))
    assert motions(at) == {Fact("first", (one, other))}
    back = replace(at, act=Act("cut", ((0.0, 0.0, 0.5, 0.5), corner), backwards=True))
    assert motions(back) == {Fact("first", (other, one))}
    # Of two that one frame shows together, neither is first.
    assert not motions(replace(at, act=Act("cut", ((0.4, 0.4, 1.0, 1.0), corner))))


def test_a_moving_thing_under_a_moving_camera_is_not_said_to_move():
    """Its way across the frame may be the camera's."""
    act = Act("slide", (VIEW, (0.2, 0.25, 0.8, 0.85)), BEFORE, 0, (0.2, 0.0))
    assert not [fact for fact in motions(acting(act)) if fact.about == "moves"]


@pytest.mark.parametrize(
    "changes, plain",
    [
        ({}, True),
        ({"views": ((0.3, 0.3, 0.9, 0.9),) * 2}, False),  # shows the middles of both
        ({"before": (0.4, 0.3, 1.0, 0.9)}, False),  # shows no whole other thing
        ({"before": (0.3, 0.3, 1.0, 1.0)}, False),  # shows a part of what is to move
        ({"travel": (0.1, 0.0)}, False),  # too little to be told
        ({"travel": (0.2, 0.2)}, False),  # into the other one, and neither right nor down
    ],
)
def test_an_act_is_plain_by_hand(changes, plain):
    """A thing in the middle moves to the right; the other one, at the lower right, comes before."""
    settled = {"views": (VIEW, VIEW), "before": (0.65, 0.65, 1.0, 1.0), "travel": (0.2, 0.0)}
    assert is_plain(acting(Act("slide", slot=0, **(settled | changes)))) == plain


def test_round_things_are_not_turned(played):
    turned = {at.things[act.slot or 0].kind for at, act, _ in played if act.kind == "turn"}
    assert turned and not turned & set(acts.ROUND)
