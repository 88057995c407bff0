"""How hard the drawn world's gallery is: how many of its videos each caption is true of.

python -m benchmarks.drawn_world --split test --count 600
"""

import argparse
import sys

import numpy as np

from input_pipeline.drawn.cache import CAPTIONS_STORED, DEFAULT_COUNTS
from input_pipeline.drawn.captions import is_true, write
from input_pipeline.drawn.scene import SPLITS, WORLD_VERSION, scene


def main(argv: list[str] | None = None) -> int:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--count", type=int, help="scenes; the split's own number if not given")
    options = parser.parse_args(argv)
    count = options.count or DEFAULT_COUNTS[options.split]
    scenes = [scene(options.split, index) for index in range(count)]
    told = [caption for at in scenes for caption in write(at, CAPTIONS_STORED[options.split])]
    true_of = np.array([sum(is_true(caption, at) for at in scenes) for caption in told])
    moving = np.array([caption.names_motion for caption in told])
    paired = [at for at in scenes if at.sibling is not None]
    print(f"world {WORLD_VERSION}, {options.split}: {count} scenes, {len(told)} captions")
    for what, moves in (("swap", False), ("motion", True)):
        share = 100 * sum((at.act is not None) == moves for at in paired) / count
        print(f"scenes with a sibling that differs in one {what}: {share:.0f}%")
    for name, chosen in (
        ("all captions", np.ones(len(told), bool)),
        ("captions that name a motion", moving),
        ("the other captions", ~moving),
    ):
        some = true_of[chosen]
        if len(some):
            print(
                f"{name}: {len(some)}; each true of {some.mean():.2f} videos, "
                f"{100 * np.mean(some == 1):.0f}% of one alone; "
                f"best possible text-to-video R@1: {100 * np.mean(1 / some):.1f}%"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
