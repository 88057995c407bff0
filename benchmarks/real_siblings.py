"""Real videos and their siblings: the same in a mirror or backwards, which a caption is false of.

    python -m benchmarks.real_siblings VIDEOS OUT
    animclip evaluate --workdir=runs/mine --config.data.eval=folder:OUT --out=runs/mine-siblings

VIDEOS is a folder of captioned videos. Captions that name a direction, a change or an order in the
words of CHANGES are taken, if they are short. Both videos of a pair are written anew from the same
frames, so that nothing else differs. The evaluation's `siblings` say how often a caption scores its
own video above the other one: half of the time by chance. Its ranks mean little, since the other
one's caption is the same with "in a mirror" or "played backwards".
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from animclip_jax import files
from animclip_jax.words import count
from input_pipeline.media.container import packet_timing
from input_pipeline.media.picture import SHORT_SIDE
from input_pipeline.media.video import read_frames, write_video
from input_pipeline.sources import folder
from input_pipeline.sources.captions_files import choosing

FRAMES = 32  # of a video, evenly spaced
MOST_WORDS = 40  # longer captions tell of many things, most of which stay true

_MOVES = (
    r"\b(mov\w+|slid\w+|walk\w*|runs|running|driv\w+|turn\w*|pans|panning|flies|flying|swim\w*"
    r"|roll\w*|glid\w+|drift\w*|goes|going|comes|coming|jump\w*)"
)
_PUTS = r"\b(put|pour|dump|drop|throw|sprinkl|spread|add|plac)\w*\b"
_CUTS = r"\b(cut|slic|chop|break|tear|fold)\w*\b"


class Change(NamedTuple):
    """How a sibling is made; `said` is what its caption adds.

    words: captions with one of them are false of the sibling. turned: from frames uint8
    [T, H, W, 3] to the sibling's.
    """

    words: re.Pattern[str]
    turned: Callable[[np.ndarray], np.ndarray]
    said: str


CHANGES = {
    "mirrored": Change(
        re.compile(
            rf"{_MOVES}( \w+){{0,4}} (left|right|leftwards?|rightwards?)\b"
            r"|\bfrom (left to right|right to left)\b"
        ),
        lambda frames: frames[:, :, ::-1],
        "in a mirror",
    ),
    "backwards": Change(
        re.compile(
            rf"{_PUTS}.* (into|in|onto|on|over|to) |{_CUTS}.* (into|in) |\b(then|before)\b"
            rf"|{_MOVES} (up|down|upwards|downwards|into|out of|away|towards?|closer)\b"
            r"(?! (a|the) (road|street))"
            r"|\b(climbs|falls|rises|launches|lands|blooms|blooming|melts|grows|shrinks)\b"
            r"|\b(enters|leaves|arrives|departs|approaches|appears|disappears|takes off)\b"
            r"|\b(opens|closes|close the|assembles?|builds?|zooms?|zooming)\b"
        ),
        lambda frames: frames[::-1],
        "played backwards",
    ),
}


def changes_of(caption: str) -> list[str]:
    """Which of CHANGES make a caption false."""
    if len(caption.split()) > MOST_WORDS:
        return []
    return [name for name, change in CHANGES.items() if change.words.search(caption.lower())]


def told(items: list[folder.Item]) -> dict[str, dict[str, list[str]]]:
    """By file and change, the captions that the change makes false; files without any left out."""
    found: dict[str, dict[str, list[str]]] = {}
    for item in items:
        for caption in item.captions:
            for change in changes_of(caption):
                found.setdefault(item.file, {}).setdefault(change, []).append(caption)
    return found


def write(directory: Path, captions: dict[str, dict[str, list[str]]], out: Path) -> dict[str, str]:
    """Writes the videos of pairs and their captions.jsonl into `out`, whole or not at all.

    Args:
      captions: what `told` found in `directory`.

    Returns:
      videos that can't be used, with the reason.

    Raises:
      FileExistsError: `out` is there. ValueError: no video can be used.
    """
    bad: dict[str, str] = {}
    lines: list[dict[str, Any]] = []
    with files.new_folder(out) as pairs:
        for number, (file, of_file) in enumerate(tqdm(captions.items(), "videos", disable=None)):
            path = directory / file
            try:
                frames = read_frames(path, FRAMES, SHORT_SIDE)
                fps = FRAMES / packet_timing(path).seconds
            except (OSError, ValueError) as error:
                bad[file] = str(error)
                continue
            write_video(pairs / f"{number:04}.mp4", frames, fps)
            for change, said in of_file.items():
                sibling = f"{number:04}-{change}.mp4"
                write_video(pairs / sibling, CHANGES[change].turned(frames).copy(), fps)
                lines += _lines(f"{number:04}.mp4", sibling, change, said)
        if not lines:
            raise ValueError(f"{directory}: none of {count(len(bad), 'video')} can be used: {bad}")
        files.write_lines(pairs / choosing.OWN, lines)
    return bad


def _lines(video: str, sibling: str, change: str, captions: list[str]) -> Iterator[dict[str, Any]]:
    yield {"video": video, "captions": captions, "sibling": sibling, "differs": change}
    yield {"video": sibling, "captions": [f"{one}, {CHANGES[change].said}" for one in captions]}


def main(argv: list[str] | None = None) -> int:
    """Prints how many captions were found; 1 after saying on stderr what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="a folder of captioned videos")
    parser.add_argument("out", type=Path, help="the folder to write")
    options = parser.parse_args(argv)
    try:
        listing = folder.read_listing(str(options.videos))
        found = told(listing.items)
        if not found:
            raise ValueError(
                f"{options.videos}: no caption of up to {MOST_WORDS} words names a direction, a "
                "change or an order in the words of this script"
            )
        bad = write(listing.directory, found, options.out)
    except (OSError, ValueError) as error:
        print(f"benchmarks.real_siblings: {error}", file=sys.stderr)
        return 1
    for file, reason in bad.items():
        print(f"{file} can't be used: {reason}", file=sys.stderr)
    every = sum(len(item.captions) for item in listing.items)
    usable = [one for file, one in found.items() if file not in bad]
    for change in CHANGES:
        captions = [one[change] for one in usable if change in one]
        said = count(sum(map(len, captions)), "caption")
        print(f"{change}: {said} of {every:,}, of {count(len(captions), 'video')}")
    print(f"next: animclip evaluate --workdir=RUN --config.data.eval=folder:{options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
