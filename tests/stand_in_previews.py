"""What makes previews in tests of the server: in processes that import nothing slow."""

import os
import time

from input_pipeline.media.clip import Clip

SIZE = 10_000


def make(clip: Clip) -> bytes:
    """Not a video. Each call leaves a line in calls.txt, in the video's folder."""
    with open(clip.path.parent / "calls.txt", "a") as file:
        file.write(f"{clip.start:g}\n")
    return b"x" * SIZE


def make_slowly(clip: Clip) -> bytes:
    time.sleep(0.2)
    return make(clip)


def fail(clip: Clip) -> bytes:
    """As broken videos do, by the second they are asked for."""
    made = make(clip)
    if clip.start == 1:
        os.abort()
    if clip.start == 2:
        time.sleep(600)
    if clip.start == 5:
        return made
    raise ValueError(f"{clip.path}: breaks after 3 frames")
