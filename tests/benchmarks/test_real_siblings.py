"""Real videos backwards and in a mirror: which captions that makes false, and what is written."""

import json

import numpy as np
import pytest

from benchmarks import real_siblings
from input_pipeline.media.video import read_frames, write_video
from input_pipeline.sources.opening import open_source


@pytest.mark.parametrize(
    ("caption", "changes"),
    [
        ("a boat sails and turns to the left", ["mirrored"]),
        ("a cart moves from right to left", ["mirrored"]),
        ("The camera pans right over a city.", ["mirrored"]),
        ("a man walks slowly to the right and then sits", ["mirrored", "backwards"]),
        ("someone pours rice into a pot of water", ["backwards"]),
        ("a bird climbs a ladder", ["backwards"]),
        ("robot arms close the helmet", ["backwards"]),
        ("a cook slices bread into pieces", ["backwards"]),
        ("a ball rolls down", ["backwards"]),
        # Nothing of these is false backwards or in a mirror.
        ("a car driving down a road with clouds", []),
        ("dolphins are swimming in the ocean", []),
        ("a close up of a cat", []),
        ("a woman flips a pancake in a frying pan in a kitchen", []),
        ("a man stands to the left of a car", []),
        ("a gymnast on a climbing wall", []),
        (f"a ball rolls down {'and a cat sleeps ' * 10}", []),  # too long to be false as a whole
    ],
)
def test_captions_that_a_change_makes_false_are_known_by_their_words(caption, changes):
    assert real_siblings.changes_of(caption) == changes


@pytest.fixture
def videos(tmp_path):
    """A bar that moves to the right at the top, and two other files."""
    folder = tmp_path / "videos"
    folder.mkdir()
    frames = np.full((16, 64, 96, 3), 40, np.uint8)
    for n in range(16):
        frames[n, :32, 6 * n : 6 * n + 6] = 220
    write_video(folder / "bar.mp4", frames, 8)
    write_video(folder / "plain.mp4", frames[:4], 8)
    (folder / "broken.mp4").write_bytes(b"no video")
    lines = [
        {"video": "bar.mp4", "captions": ["a bar slides to the right", "a bar rises", "a bar"]},
        {"video": "plain.mp4", "caption": "a picture of a bar"},
        {"video": "broken.mp4", "caption": "a door opens"},
    ]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_pairs_are_written_from_the_same_frames(videos, tmp_path, capsys):
    out = tmp_path / "pairs"
    assert real_siblings.main([str(videos), str(out)]) == 0
    printed = capsys.readouterr()
    assert "mirrored: 1 caption of 5, of 1 video" in printed.out
    assert "backwards: 1 caption of 5, of 1 video" in printed.out
    assert "broken.mp4 can't be used: " in printed.err
    own, mirrored, backwards = (
        read_frames(out / f"0000{name}.mp4", 32).astype(int)
        for name in ("", "-mirrored", "-backwards")
    )
    assert np.abs(own[0] - own[-1]).mean() > 10
    assert np.abs(mirrored[:, :, ::-1] - own).mean() < 3
    assert np.abs(backwards[::-1] - own).mean() < 3
    examples = open_source(f"folder:{out}", str(tmp_path / "cache"))
    assert examples.ids == ["0000.mp4", "0000-mirrored.mp4", "0000-backwards.mp4"]
    assert examples.captions == [
        ["a bar slides to the right", "a bar rises"],
        ["a bar slides to the right, in a mirror"],
        ["a bar rises, played backwards"],
    ]
    told = [(one.sibling, one.differs) for some in examples.told for one in some]
    assert told == [
        ("0000-mirrored.mp4", "mirrored"),
        ("0000-backwards.mp4", "backwards"),
        ("", ""),
        ("", ""),
    ]


def test_what_can_not_be_made_is_said_and_leaves_nothing(videos, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    assert real_siblings.main([str(videos), str(tmp_path / "there")]) == 1
    assert "there" in capsys.readouterr().err
    (videos / "captions.jsonl").write_text('{"video": "plain.mp4", "caption": "a bar"}')
    assert real_siblings.main([str(videos), str(tmp_path / "out")]) == 1
    assert "no caption of up to 40 words names a direction" in capsys.readouterr().err
    (videos / "captions.jsonl").write_text('{"video": "broken.mp4", "caption": "a door opens"}')
    assert real_siblings.main([str(videos), str(tmp_path / "out")]) == 1
    assert "none of 1 video can be used: {'broken.mp4': " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
