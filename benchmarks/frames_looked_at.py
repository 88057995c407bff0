"""When the 12 frames that CLIP4Clip takes of a video are shown, beside ours.

    python -m benchmarks.frames_looked_at train_val_videodatainfo.json test_videodatainfo.json

Takes the durations of MSR-VTT's clips from its annotation files (plain or .gz); frame rates are not
in them. CLIP4Clip's extractor (its commit c19b819, with --feature_framerate 1 --slice_framepos 2)
counts a second as int(rate) frames, takes the first frame of each, and of those 12 by linspace.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from input_pipeline.media.timing import positions
from input_pipeline.store.videos import NUM_FRAMES

FRAMES = 12
RATES = (15.0, 24000 / 1001, 25.0, 30000 / 1001, 30.0)


def theirs(seconds: float, rate: float) -> np.ndarray:
    """Times in s of the frames that CLIP4Clip takes, 12 or, of a short video, fewer."""
    count, a_second = round(seconds * rate), int(rate)
    taken = np.arange(0, count, a_second)
    if len(taken) > FRAMES:
        taken = taken[np.linspace(0, len(taken) - 1, FRAMES, dtype=int)]
    return taken / rate


def ours(seconds: float) -> np.ndarray:
    """Times in s of the 12 that an evaluation takes of the 16 that a prepared store keeps."""
    return (positions(FRAMES, NUM_FRAMES) + 0.5) * seconds / NUM_FRAMES


def durations(files: Sequence[str]) -> list[float]:
    """Seconds of each clip of MSR-VTT's annotation files."""
    found = []
    for file in files:
        content = Path(file).read_bytes()
        listed = json.loads(gzip.decompress(content) if file.endswith(".gz") else content)
        found += [video["end time"] - video["start time"] for video in listed["videos"]]
    return found


def row(clips: Sequence[float], rate: float) -> str:
    """A line of the table."""
    pairs = [(theirs(seconds, rate), ours(seconds), seconds) for seconds in clips]
    whole = [(one, two, seconds) for one, two, seconds in pairs if len(one) == FRAMES]
    apart = [np.abs(one - two) for one, two, _ in whole]
    ends = [seconds - one[-1] for one, _, seconds in whole]
    return (
        f"| {rate:.2f} | {100 * (1 - len(whole) / len(pairs)):.0f}% | {np.mean(apart):.2f} s | "
        f"{np.max(apart):.2f} s | {np.mean(ends):.2f} s |"
    )


def main(files: list[str]) -> None:
    """Prints the table in Markdown."""
    clips = durations(files)
    shortest, longest, mean = min(clips), max(clips), np.mean(clips)
    print(f"{len(clips):,} clips of {shortest:.1f} to {longest:.1f} s, on average {mean:.1f} s\n")
    print("| rate | clips of fewer than 12 | mean distance | greatest | theirs end early by |")
    print("| --- | --- | --- | --- | --- |")
    for rate in RATES:
        print(row(clips, rate))


if __name__ == "__main__":
    main(sys.argv[1:])
