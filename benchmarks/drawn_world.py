"""How hard the drawn world's gallery is: how many of its videos each caption is true of.

python -m benchmarks.drawn_world --split test --count 600
"""

import argparse
import sys

import numpy as np

from input_pipeline.drawn.cache import CAPTIONS_STORED, DEFAULT_COUNTS
from input_pipeline.drawn.captions import holds, write
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
    true_of = np.array(
        [sum(all(holds(fact, at) for fact in caption.facts) for at in scenes) for caption in told]
    )
    siblings = sum(at.sibling is not None for at in scenes)
    print(f"world {WORLD_VERSION}, {options.split}: {count} scenes, {len(told)} captions")
    print(f"scenes with a sibling that differs in one swap: {100 * siblings / count:.0f}%")
    print(
        f"videos a caption is true of: {true_of.mean():.2f}; of one alone: "
        f"{100 * np.mean(true_of == 1):.0f}% of the captions"
    )
    print(f"best possible text-to-video R@1: {100 * np.mean(1 / true_of):.1f}%")
    return 0


if __name__ == "__main__":
    sys.exit(main())
