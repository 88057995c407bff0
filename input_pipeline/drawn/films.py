"""Videos of the drawn world as .mp4 files, to index, search and look at.

    python -m input_pipeline.drawn.films runs/demo-search/videos --count=60

A file's name is what its video shows.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from input_pipeline.drawn.captions import captions
from input_pipeline.drawn.raster import video
from input_pipeline.drawn.scene import SPLITS, scene
from input_pipeline.media.video import write_video

SIZE, FPS = 288, 4.0


def write_films(directory: Path, split: str, count: int) -> None:
    """Writes scenes 0 to count - 1 of a split that are not there yet, each whole.

    Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"--count={count}: wanted 1 or more")
    directory.mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(count), f"drawing {directory}", unit="video", disable=None):
        drawn = scene(split, index)
        path = directory / f"{index:03} {captions(drawn, 1)[0]}.mp4"
        if not path.exists():
            write_video(path, video(drawn, SIZE), FPS)


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--split", default="test", choices=SPLITS[1:])
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args(argv)
    try:
        write_films(options.directory, options.split, options.count)
    except (OSError, ValueError) as error:
        print(f"films: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
