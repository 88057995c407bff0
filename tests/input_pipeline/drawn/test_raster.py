"""Drawing: the same pixels everywhere, and everything that captions tell can be seen."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline.drawn.backgrounds import PAINTERS
from input_pipeline.drawn.motion import play
from input_pipeline.drawn.raster import LIGHT_GAIN, LIGHT_VEIL, still, video
from input_pipeline.drawn.scene import LIGHTS, TEXTURES, scene
from input_pipeline.drawn.shapes import SHAPES
from input_pipeline.drawn.sprites import COLOUR_RGB
from input_pipeline.drawn.things import BACKGROUNDS, COLOURS, KINDS, SIZES

STILLS = Path(__file__).parents[1] / "golden" / "stills_of_world_3.png"


def posed(**changes):
    """A scene with one large thing in the middle of squared paper, by day."""
    at = scene("train", 0)
    thing = replace(at.things[0], kind="ball", colour="red", texture="plain", size="large")
    thing = replace(thing, count=1, x=0.5, y=0.5, room=0.17)
    about = {name: changes.pop(name) for name in ("background", "light") if name in changes}
    at = replace(at, light_from="left", **{"background": "paper", "light": "day", **about})
    return replace(at, things=(replace(thing, **changes),))


def middle(picture):
    return picture[42:86, 42:86].astype(float)


def difference(one, other):
    return float(np.abs(one.astype(float) - other).mean())


def test_stills_are_those_of_world_3():
    """Twelve of them, a quarter as large. Another Pillow may round a pixel differently."""
    with Image.open(STILLS) as image:
        wanted = np.asarray(image, float)
    for index in range(12):
        row, column = 32 * (index // 4), 32 * (index % 4)
        drawn = np.asarray(Image.fromarray(still(scene("train", index))).reduce(4))
        assert difference(wanted[row : row + 32, column : column + 32], drawn) < 0.5


def test_every_word_has_a_drawing():
    assert set(SHAPES) == set(KINDS)
    assert set(COLOUR_RGB) == set(COLOURS)
    assert set(PAINTERS) == set(BACKGROUNDS)
    assert set(LIGHT_GAIN) == set(LIGHT_VEIL) == set(LIGHTS)


def test_shapes_and_dtypes():
    picture, frames = still(scene("train", 3)), video(scene("test", 3))
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
    assert frames.shape == (8, 96, 96, 3) and frames.dtype == np.uint8


def test_same_pixels_in_a_fresh_process():
    code = (
        "import hashlib\n"
        "from input_pipeline.drawn.raster import still, video\n"
        "from input_pipeline.drawn.scene import scene\n"
        "for index in (30, 2, 11):\n"
        "    print(hashlib.sha256(still(scene('train', index)).tobytes()).hexdigest())\n"
        "    print(hashlib.sha256(video(scene('test', index)).tobytes()).hexdigest())\n"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    drawn = [
        hashlib.sha256(picture.tobytes()).hexdigest()
        for index in (30, 2, 11)
        for picture in (still(scene("train", index)), video(scene("test", index)))
    ]
    assert fresh.stdout.split() == drawn


@pytest.mark.parametrize(
    ("name", "values", "least"),
    [("kind", KINDS, 12), ("colour", COLOURS, 20), ("texture", TEXTURES, 20)],
)
def test_what_a_thing_is_can_be_seen(name, values, least):
    pictures = {value: middle(still(posed(**{name: value}))) for value in values}
    for one, other in combinations(values, 2):
        assert difference(pictures[one], pictures[other]) > least, (one, other)


def test_where_it_is_can_be_seen():
    for name, values in (("background", BACKGROUNDS), ("light", LIGHTS)):
        pictures = {
            value: still(posed(**{"background": "bricks", name: value})) for value in values
        }
        for one, other in combinations(values, 2):
            # In grey levels, on average over the picture: backgrounds are faded on purpose.
            assert difference(pictures[one], pictures[other]) > 6, (one, other)


def test_sizes_and_counts_can_be_seen():
    def area(**changes):
        thing = still(posed(**changes)).astype(float)
        bare = still(replace(posed(), things=()))
        return (np.abs(thing - bare).max(-1) > 24).mean()

    sizes = [area(size=size) for size in ("small", "medium", "large")]
    assert sizes[0] * 1.6 < sizes[1] and sizes[1] * 1.6 < sizes[2]
    counts = [area(size="small", count=count) for count in (1, 2, 3)]
    assert counts[0] * 1.15 < counts[1] and counts[1] * 1.15 < counts[2]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_fill_their_box_and_stay_in_it(kind):
    bare = still(replace(posed(), things=())).astype(float)
    drawn = np.abs(still(posed(kind=kind)) - bare).max(-1) > 60
    rows, columns = (np.flatnonzero(drawn.any(axis)) for axis in (1, 0))
    side, middle = SIZES["large"] * 128, 64
    assert max(np.ptp(rows), np.ptp(columns)) > 0.74 * side
    # Two pixels for the outline; below and to the right four more for the shadow.
    assert min(rows.min(), columns.min()) >= middle - side / 2 - 2
    assert max(rows.max(), columns.max()) <= middle + side / 2 + 6


def test_the_last_thing_hides_the_one_before():
    at = posed()
    back = at.things[0]
    front = replace(back, kind="cube", colour="blue", size="small")
    shown = still(replace(at, things=(back, front)))
    hidden = still(replace(at, things=(front, back)))
    assert shown[66, 62, 2] > shown[66, 62, 0] and hidden[66, 62, 0] > hidden[66, 62, 2]


@pytest.mark.long
def test_things_are_drawn_where_the_motion_says(drawn):
    """Another colour changes the pixels around the thing's centre, seen through the viewport."""
    checked = 0
    for index in range(140):
        at = drawn("test", index)
        slot = len(at.things) - 1
        thing = at.things[slot]
        motion = play(at)
        recoloured = replace(thing, colour="blue" if thing.colour != "blue" else "yellow")
        frames = video(at).astype(float)
        others = video(replace(at, things=(*at.things[:-1], recoloured)))
        for frame in range(len(frames)):
            y0, x0, y1, _ = motion.viewports[frame]
            zoom = 96 / (y1 - y0)
            x, y = (motion.centres[frame, slot] - (x0, y0)) * zoom
            reach = thing.radius * motion.scales[frame, slot] * zoom * 1.42 + 2
            rows, columns = np.nonzero(np.abs(frames[frame] - others[frame]).max(-1) > 8)
            assert (np.abs(rows - y) < reach).all() and (np.abs(columns - x) < reach).all()
            if reach < min(x, y) and max(x, y) < 96 - reach:
                assert abs(np.mean([rows.min(), rows.max()]) - y) < 0.3 * reach + 1
                assert abs(np.mean([columns.min(), columns.max()]) - x) < 0.3 * reach + 1
                checked += 1
    assert checked > 20


def test_frames_of_a_video_differ():
    for index in range(10):
        frames = video(scene("test", index)).astype(float)
        assert np.abs(np.diff(frames, axis=0)).mean((1, 2, 3)).max() > 4
