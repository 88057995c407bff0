"""`animclip evaluate`: two-stage retrieval on a source of captioned videos, and what it scored."""

import functools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags
from jax.sharding import Mesh
from ml_collections import ConfigDict, config_flags
from tqdm import tqdm

from animclip_jax import command_line, results, runs, settings, sharding, step
from animclip_jax.checkpoint import Checkpoints
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.rankings import Ranked, sample_queries, write_rankings
from animclip_jax.retrieval import metrics
from animclip_jax.retrieval.coarse import coarse_stage
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.rerank import score_pairs
from animclip_jax.revision import git_commit
from input_pipeline.batches import eval_batches
from input_pipeline.sources import Examples, open_source
from input_pipeline.tokenizer import Tokenizer


class Gallery(NamedTuple):
    """Features of every video and caption of a source; `owner` int [Q]: a caption's video."""

    video: VideoFeatures
    text: TextFeatures
    owner: np.ndarray


def _batches(examples: Examples, config: ConfigDict) -> Iterator[dict]:
    return eval_batches(
        examples,
        num_frames=config.animation.num_frames,
        image_size=config.model.image_size,
        batch_size=config.evaluation.batch_size,
    )


def embed(encoder: Encoder, examples: Examples, config: ConfigDict) -> Gallery:
    """Encodes each video and each caption of a source once."""
    size = config.evaluation.batch_size
    batches = _batches(examples, config)
    videos = []
    total = -(-len(examples.ids) // size)
    for batch in tqdm(batches, "videos", total, unit="batch", leave=False, disable=None):
        features = encoder.encode_video(batch["frames"])
        videos.append(jax.tree.map(lambda x, kept=batch["index"] >= 0: x[kept], features))
    captions = [caption for item in examples.captions for caption in item]
    tokens = Tokenizer(config.model.context_length, config.model.vocab_size)(captions)
    tokens = np.pad(tokens, ((0, -len(tokens) % size), (0, 0)), mode="edge")
    texts = [encoder.encode_text(tokens[i : i + size]) for i in range(0, len(tokens), size)]
    concatenate = functools.partial(jax.tree.map, lambda *parts: np.concatenate(parts))
    text = jax.tree.map(lambda x: x[: len(captions)], concatenate(*texts))
    owner = np.repeat(np.arange(len(examples.ids)), [len(item) for item in examples.captions])
    return Gallery(concatenate(*videos), text, owner)


def search(encoder: Encoder, gallery: Gallery, by_text: bool, k: int) -> tuple[Ranked, dict]:
    """Both stages in one direction: each caption looks for its video, or the other way round.

    Returns:
      what was ranked, and the seconds each stage took.
    """
    text_group, video_group = gallery.owner, np.arange(len(gallery.video.embedding))
    text, video = np.asarray(gallery.text.embedding), np.asarray(gallery.video.embedding)
    queries, items, query_group, item_group = text, video, text_group, video_group
    if not by_text:
        queries, items, query_group, item_group = video, text, video_group, text_group
    k = min(k, len(items))
    began = time.perf_counter()
    coarse = coarse_stage(queries, items, query_group, item_group, k)
    between = time.perf_counter()
    rows = np.broadcast_to(np.arange(len(queries))[:, None], coarse.candidates.shape)
    pair = (rows, coarse.candidates) if by_text else (coarse.candidates, rows)
    fused = score_pairs(encoder, gallery.text, gallery.video, *pair)
    ended = time.perf_counter()
    right = query_group[:, None] == item_group[coarse.candidates]
    reranked, ceiling = metrics.reranked_ranks(coarse.ranks, fused, right)
    ranked = Ranked(coarse.candidates, coarse.scores, coarse.ranks, fused, reranked, ceiling)
    return ranked, {"coarse": between - began, "rerank": ended - between}


def scores(owner: np.ndarray, by_text: Ranked, by_video: Ranked) -> dict[str, Any]:
    """Each direction's stages and the chance level, as results.json has them (docs/results.md)."""

    def stages(ranked: Ranked) -> dict:
        return {
            "coarse": metrics.summary(ranked.coarse_ranks),
            "reranked": metrics.summary(ranked.reranked_ranks),
            "ceiling": metrics.summary(ranked.ceiling_ranks),
        }

    captions_per_video = np.bincount(owner)
    return {
        "text_to_video": stages(by_text),
        "video_to_text": stages(by_video),
        "chance": {
            "text_to_video": metrics.chance(np.ones(len(owner)), len(captions_per_video)),
            "video_to_text": metrics.chance(captions_per_video, len(owner)),
        },
    }


def evaluate(
    config: ConfigDict,
    mesh: Mesh,
    params: dict,
    workdir: Path,
    *,
    steps: int,
    config_overrides: dict[str, Any],
    train_seconds: float,
) -> dict:
    """Retrieval in both directions; writes WORKDIR/results.json and WORKDIR/rankings/.

    Args:
      params: the model's parameters. steps: how many steps made them, in `train_seconds`.

    Returns:
      the contents of results.json (docs/results.md).
    """
    examples = open_source(config.data.eval, config.data.cache_dir)
    encoder = Encoder(mesh, step.graph_definition(settings.retriever(config)), params)
    began = time.perf_counter()
    gallery = embed(encoder, examples, config)
    seconds = {"train": train_seconds, "embed": time.perf_counter() - began}
    k = min(config.evaluation.rerank_k, len(examples.ids))
    by_text, text_seconds = search(encoder, gallery, True, k)
    by_video, video_seconds = search(encoder, gallery, False, k)
    for stage in text_seconds:
        seconds[stage] = text_seconds[stage] + video_seconds[stage]

    report = {
        "dataset": examples.name,
        "num_queries": len(gallery.owner),
        "num_videos": len(examples.ids),
        "seed": config.seed,
        "steps": steps,
        "git_commit": git_commit(),
        "config": config.to_dict(),
        "config_overrides": config_overrides,
        "rerank_k": k,
        **scores(gallery.owner, by_text, by_video),
        "seconds": seconds,
    }
    listing, shown = sample_queries(by_text, examples.ids, examples.captions, config.seed)
    frames = {
        examples.ids[index]: clip
        for batch in _batches(examples, config)
        for index, clip in zip(batch["index"], batch["frames"], strict=True)
        if index in shown
    }
    write_rankings(workdir, listing, frames)
    results.write(workdir / "results.json", report)
    return report


def main(argv: list[str] | None = None) -> int:
    """Evaluates the newest checkpoint of a run; --config.data.eval=... takes other videos."""

    def define_flags(values: flags.FlagValues) -> None:
        flags.DEFINE_string("workdir", None, "folder of the run to evaluate", flag_values=values)
        flags.DEFINE_string(
            "out", None, "folder for results.json; the run's own if not given", flag_values=values
        )
        flags.mark_flags_as_required(["workdir"], flag_values=values)
        if folder := command_line.early_value(argv, "workdir"):
            config = runs.read_config(Path(folder))
            config_flags.DEFINE_config_dict("config", config, flag_values=values)

    values, _ = command_line.parse_flags(argv, "animclip evaluate", define_flags)
    workdir, config = Path(values.workdir), values.config
    settings.keep_compiled_programs(config)
    try:
        mesh = sharding.make_mesh(settings.mesh(config))
        steps, params = load_params(workdir, mesh)
        out = Path(values.out or workdir)
        out.mkdir(parents=True, exist_ok=True)
        report = evaluate(
            config,
            mesh,
            params,
            out,
            steps=steps,
            config_overrides=command_line.overrides(values),
            train_seconds=0.0,
        )
    except (OSError, ValueError) as error:
        print(f"animclip evaluate: {error}", file=sys.stderr)
        return 1
    print(results.table(report))
    return 0


def load_params(workdir: Path, mesh: Mesh) -> tuple[int, dict]:
    """The newest checkpoint's number of steps and parameters, placed on the mesh.

    Raises:
      FileNotFoundError: the run has saved none yet.
    """
    with Checkpoints(workdir) as checkpoints:
        if (steps := checkpoints.latest()) is None:
            raise FileNotFoundError(
                f"no checkpoint in {checkpoints.directory}: train the run first"
            )
        return steps, checkpoints.restore_params(
            steps, functools.partial(sharding.state_sharding, mesh)
        )


if __name__ == "__main__":
    sys.exit(main())
