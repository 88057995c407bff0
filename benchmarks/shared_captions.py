"""The greatest text-to-video R@1 that the captions of a video set leave to reach.

    python -m benchmarks.shared_captions msrvtt:DIR msvd:DIR vatex:DIR

Needs the annotation files alone, as docs/data.md lists them.
"""

import sys

import numpy as np

from animclip_jax.evaluation.arm import shared_captions
from input_pipeline.tokenizers.clip import ClipTokenizer
from input_pipeline.video_sets.collect import SETS
from input_pipeline.video_sets.download import Download


def row(split: str, videos: dict[str, list[str]]) -> str:
    """A line of the table, of the captions of each video of a split."""
    captions = [text for texts in videos.values() for text in texts]
    owner = np.repeat(np.arange(len(videos)), [len(texts) for texts in videos.values()])
    found = shared_captions(captions, owner, ClipTokenizer())
    return (
        f"| `{split}` | {len(videos):,} | {len(captions):,} | {found['captions']:,} | "
        f"{found['greatest_R@1']:.1f} |"
    )


def main(sources: list[str]) -> None:
    """Prints the table in Markdown."""
    print("| split | videos | captions | shared with another video | greatest R@1 |")
    print("| --- | --- | --- | --- | --- |")
    for source in sources:
        kind, _, directory = source.partition(":")
        for split, videos in SETS[kind].read(Download(directory)).items():
            if split.rpartition("-")[2] in ("test", "val") and any(videos.values()):
                print(row(split, videos))


if __name__ == "__main__":
    main(sys.argv[1:])
