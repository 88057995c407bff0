"""How well shot changes are found, beside PySceneDetect's detectors as they come.

    pip install -e '.[bench]'
    python -m benchmarks.shots [--videos FOLDER --truth FILE] [--edited FOLDER] [--json FILE]

Makes films of known truth of the folder's videos, or of drawn ones, and looks for their changes. Of
the videos, one half is for choosing parameters (--half=choose) and the other for reporting. FILE
says of each edited video where its changes are, {"name": [["cut", 30, 30], ["dissolve", 90, 110]]},
or null where that is not clear; all others are taken for one shot each. A cut counts as found
within one frame, another change where a frame of it is found.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from animclip_jax import files
from benchmarks.edited_films import FPS, Change, drawn_clip, read_clip, write_films
from input_pipeline.media.container import decode, opened, packet_timing
from input_pipeline.media.shots import Shots

THEIRS = (
    *("ContentDetector", "AdaptiveDetector", "HashDetector"),
    *("HistogramDetector", "ThresholdDetector"),
)
HALVES = ("choose", "report")
# Frames that a cut may be off, and how many drawn videos each half is made of.
NEAR, DRAWN = 1, 30
EDITED = "edited"


class Score(NamedTuple):
    """Changes that were found, that are there, and how many were said to be there."""

    found: int
    there: int
    said: int

    @property
    def precision(self) -> float:
        return self.found / self.said if self.said else float(not self.there)

    @property
    def recall(self) -> float:
        return self.found / self.there if self.there else 1.0

    @property
    def f1(self) -> float:
        return 2 * self.found / (self.said + self.there) if self.said + self.there else 1.0


def score(said: Sequence[int], truth: Sequence[Change]) -> Score:
    """Of the frames at which changes were said to be; each counts for one change at most."""
    left, found = sorted(said), 0
    for kind, first, last in truth:
        slack = NEAR if kind == "cut" else 0
        hit = next((one for one in left if first - slack <= one <= last + slack), None)
        if hit is not None:
            left.remove(hit)
            found += 1
    return Score(found, len(truth), len(said))


def ours(path: Path) -> list[int]:
    """The frames with which shots begin, as an index finds them."""
    timing = packet_timing(path)
    shots = Shots(len(timing.times) / timing.seconds)
    with opened(path) as film:
        for frame in decode(film):
            shots.look(frame)
    shots.finish()
    return shots.changes


def theirs(name: str) -> Callable[[Path], list[int]]:
    """The same by a detector of PySceneDetect, with its own settings."""
    import scenedetect

    def found(path: Path) -> list[int]:
        scenes = scenedetect.detect(str(path), getattr(scenedetect, name)())
        return [begin.frame_num for begin, _ in scenes[1:]]

    return found


def halved(names: Sequence[str], half: str) -> list[str]:
    """Every second one, in an order that has nothing to do with what they show."""
    return sorted(names, key=lambda name: zlib.crc32(name.encode()))[HALVES.index(half) :: 2]


def clips(videos: Path | None, edited: Mapping[str, Any], half: str) -> list[np.ndarray]:
    """What films are made of: videos of one shot and a second or more."""
    if videos is None:
        first = DRAWN * HALVES.index(half)
        return [drawn_clip(number) for number in range(first, first + DRAWN)]
    names = [one.name for one in videos.iterdir() if one.name not in edited]
    found = (read_clip(videos / name) for name in halved(names, half))
    return [one for one in found if len(one) >= FPS]


def measure(
    films: Mapping[Path, tuple[str, Sequence[Change]]],
    detectors: Mapping[str, Callable[[Path], list[int]]],
) -> list[dict[str, Any]]:
    """A row for each detector and kind of film.

    films: of each its kind and its changes.
    """
    rows = []
    minutes = {path: packet_timing(path).seconds / 60 for path in films}
    for name, detector in detectors.items():
        for kind in dict.fromkeys(kind for kind, _ in films.values()):
            some = {path: truth for path, (of, truth) in films.items() if of == kind}
            start = time.process_time()
            said = {path: detector(path) for path in some}
            spent = time.process_time() - start
            total = Score(*map(sum, zip(*(score(said[p], some[p]) for p in some), strict=True)))
            rows.append(
                {
                    "films": kind,
                    "detector": name,
                    **total._asdict(),
                    "precision": total.precision,
                    "recall": total.recall,
                    "f1": total.f1,
                    "minutes": sum(minutes[path] for path in some),
                    "CPU s a minute": spent / sum(minutes[path] for path in some),
                }
            )
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = ["| films | detector | precision | recall | F1 | found, of, said | CPU s a minute |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        shares = " | ".join(f"{row[name]:.3f}" for name in ("precision", "recall", "f1"))
        counts = f"{row['found']}, {row['there']}, {row['said']}"
        cost = row["CPU s a minute"]
        lines.append(f"| {row['films']} | {row['detector']} | {shares} | {counts} | {cost:.2f} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--videos", type=Path, help="a folder; without it videos are drawn")
    parser.add_argument("--truth", type=Path, help="the changes of edited videos, JSON")
    parser.add_argument("--edited", type=Path, action="append", default=[], help="their folder")
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--films", type=int, default=8, help="films of each kind (8)")
    parser.add_argument("--ours-alone", action="store_true", help="without PySceneDetect")
    parser.add_argument("--json", type=Path, help="writes the rows there")
    options = parser.parse_args(argv)
    truth = json.loads(options.truth.read_text()) if options.truth else {}
    others = {} if options.ours_alone else {name: theirs(name) for name in THEIRS}
    with tempfile.TemporaryDirectory() as folder:
        made = write_films(
            Path(folder),
            clips(options.videos, truth, options.half),
            options.films,
            HALVES.index(options.half),
        )
        films = {Path(folder, name): (found[0].kind, found) for name, found in made.items()}
        here = {one.name: one for where in options.edited for one in where.iterdir()}
        for name in halved([name for name in truth if name in here], options.half):
            if truth[name] is not None:
                films[here[name]] = EDITED, [Change(*one) for one in truth[name]]
        rows = measure(films, {"ours": ours} | others)
    if options.json:
        files.write_json(options.json, rows, indent=1)
    print(table(rows))


if __name__ == "__main__":
    main()
