"""What storing the video codes in fewer bits changes: orderings of candidates, and R@1.

    python -m benchmarks.codes runs/quickstart/animated [--json FILE]

Every caption's K best videos are re-ranked with the codes in each dtype. An ordering is a pair of a
caption's candidates; it is changed when the two stand the other way round than with bfloat16.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax import files, process, settings, sharding
from animclip_jax.evaluation import metrics
from animclip_jax.evaluation.arm import embed, open_sources
from animclip_jax.models import parameters
from animclip_jax.models.reranker import CODE_DTYPES
from animclip_jax.models.video_code import PackedCode, pack
from animclip_jax.retrieval.coarse import coarse_stage
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.rerank import PairScorer
from animclip_jax.training.checkpoint import load_params

REFERENCE = "bfloat16"


def changed_orderings(scores: np.ndarray, reference: np.ndarray) -> float:
    """Percent of the pairs of a row's columns that two score matrices [Q, K] order differently."""
    first, second = np.triu_indices(scores.shape[1], k=1)
    signs = [np.sign(x[:, first] - x[:, second]) for x in (scores, reference)]
    return 100 * float(np.mean(signs[0] != signs[1]))


def measure(workdir: Path) -> list[dict[str, float | str]]:
    """A row for each dtype."""
    config = settings.of_run(workdir)
    config.reranker.code_dtype = "float32"
    process.keep_compiled_programs(config.data.cache_dir)
    mesh = sharding.make_mesh(settings.mesh(config))
    model = settings.retriever(config)
    _, params = load_params(workdir, mesh, model)
    split = sharding.batch_sharding(mesh)
    encoder = Encoder(split, parameters.graph_definition(model), params)
    evaluation = settings.evaluation(config)
    gallery = embed(encoder, open_sources(evaluation)["data.eval"], evaluation)
    video = gallery.video
    places = np.arange(len(video.embedding))
    k = min(config.evaluation.rerank_k, len(places))
    text = np.asarray(gallery.text.embedding)
    coarse = coarse_stage(text, np.asarray(video.embedding), gallery.owner, places, k, split)
    captions = np.broadcast_to(np.arange(len(text))[:, None], coarse.candidates.shape)
    right = gallery.owner[:, None] == coarse.candidates

    kept = video.code
    assert isinstance(kept, PackedCode)
    scores, sizes = {}, {}
    for dtype in CODE_DTYPES:
        code = jax.device_get(pack(jnp.asarray(kept.values), dtype))
        sizes[dtype] = sum(leaf.nbytes for leaf in jax.tree.leaves(code)) / len(places) / 1024
        stored = video._replace(code=code)
        scores[dtype] = PairScorer(encoder, gallery.text, stored)(captions, coarse.candidates)
    rows: list[dict[str, float | str]] = []
    for dtype in CODE_DTYPES:
        ranks, _ = metrics.reranked_ranks(coarse.ranks, scores[dtype], right)
        rows.append(
            {
                "code": dtype,
                "KiB a video": sizes[dtype],
                "orderings changed, %": changed_orderings(scores[dtype], scores[REFERENCE]),
                "R@1": metrics.summary(ranks)["R@1"],
            }
        )
    return rows


def main(argv: list[str] | None = None) -> int:
    """Prints a table; writes it as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path, help="a finished run")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    options = parser.parse_args(argv)
    rows = measure(options.workdir)
    print(f"| {' | '.join(rows[0])} |\n|{' --- |' * len(rows[0])}")
    for row in rows:
        cells = [f"{x:.3f}" if isinstance(x, float) else x for x in row.values()]
        print(f"| {' | '.join(cells)} |")
    if options.json:
        files.write_json(options.json, rows, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
