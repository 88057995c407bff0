"""Whose property is whose: how often a run's model prefers a video to its near-duplicate.

    python -m benchmarks.siblings runs/quickstart/animated

For every caption of the run's drawn videos that is false of its video's sibling: is the video's
score above the sibling's? The two differ in one swap, so that 50% is chance.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from animclip_jax import process, settings, sharding
from animclip_jax.evaluation.arm import embed
from animclip_jax.models import parameters
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.rerank import PairScorer
from animclip_jax.training.checkpoint import load_params
from input_pipeline.drawn.captions import holds, write
from input_pipeline.drawn.scene import scene
from input_pipeline.sources.opening import open_source


def telling_captions(split: str, videos: int, per_video: int) -> list[tuple[int, int, int, str]]:
    """(caption, its video, the sibling, what differs) where the caption is false of the sibling."""
    found = []
    for index in range(videos):
        at = scene(split, index)
        if at.sibling is None:
            continue
        sibling = scene(split, at.sibling)
        for number, caption in enumerate(write(at, per_video)):
            if not all(holds(fact, sibling) for fact in caption.facts):
                row = index * per_video + number
                found.append((row, index, at.sibling, str(at.differs)))
    return found


def main(argv: list[str] | None = None) -> int:
    """Prints a line for all captions, and one for each kind of swap."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path, help="a finished run evaluated on drawn videos")
    workdir = parser.parse_args(argv).workdir
    config = settings.of_run(workdir)
    process.keep_compiled_programs(config.data.cache_dir)
    mesh = sharding.make_mesh(settings.mesh(config))
    _, params = load_params(workdir, mesh)
    graphdef = parameters.graph_definition(settings.retriever(config))
    encoder = Encoder(sharding.batch_sharding(mesh), graphdef, params)
    examples = open_source(config.data.eval, config.data.cache_dir)
    gallery = embed(encoder, examples, settings.evaluation(config))

    per_video = len(examples.captions[0])
    told = telling_captions(config.data.eval.split(":")[1], len(examples.ids), per_video)
    rows, own, sibling = (np.array([one[part] for one in told]) for part in range(3))
    differs = np.array([one[3] for one in told])
    text, video = np.asarray(gallery.text.embedding), np.asarray(gallery.video.embedding)
    coarse = np.sum(text[rows] * (video[own] - video[sibling]), axis=1)
    pairs = np.stack([rows, rows], axis=1), np.stack([own, sibling], axis=1)
    scorer = PairScorer(encoder, gallery.text, gallery.video)
    fused = -np.diff(scorer(*pairs), axis=1)[:, 0]

    print(f"{examples.name}: own video above its sibling, percent of captions (chance 50)")
    for swap in ("all", *sorted(set(differs))):
        chosen = (differs == swap) | (swap == "all")
        shares = [100 * np.mean(score[chosen] > 0) for score in (coarse, fused)]
        print(f"{swap:8} {chosen.sum():5} captions: coarse {shares[0]:.1f}, fused {shares[1]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
