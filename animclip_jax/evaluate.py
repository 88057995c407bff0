"""`animclip evaluate`: two-stage retrieval on a source of captioned videos, and what it scored."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh
from ml_collections import ConfigDict
from tqdm import tqdm

from animclip_jax import process, settings, sharding
from animclip_jax.cli import flags
from animclip_jax.cli.signals import stoppable
from animclip_jax.evaluation import comparison, metrics, results
from animclip_jax.evaluation.protocols import describe, protocol_of
from animclip_jax.evaluation.rankings import sample_queries, write_rankings
from animclip_jax.evaluation.table import table
from animclip_jax.evaluation.two_stage import Gallery, Ranked, Search
from animclip_jax.models.parameters import graph_definition
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.options.evaluate import parse
from animclip_jax.report import report as write_page
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.normalization import KINDS
from animclip_jax.retrieval.placement import local_rows
from animclip_jax.retrieval.rerank import Captions, encode_captions
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror, local_folder
from animclip_jax.runs.revision import git_commit
from animclip_jax.training.checkpoint import load_params
from input_pipeline.batches import eval_batches
from input_pipeline.examples import Examples
from input_pipeline.sources.opening import open_source
from input_pipeline.tokenizer import Tokenizer, clean


def embed(encoder: Encoder, examples: Examples, config: ConfigDict) -> Gallery:
    """Encodes each video and each caption of a source once, over all devices of all processes."""
    captions = [caption for item in examples.captions for caption in item]
    owner = np.repeat(np.arange(len(examples.ids)), [len(item) for item in examples.captions])
    video = _embed_videos(encoder, examples, config)
    return Gallery(video, _embed_captions(encoder, captions, config), owner, examples.ids, captions)


def _batch_size(encoder: Encoder, config: ConfigDict) -> int:
    """The configured size, or the next multiple of the number of devices."""
    return -(-config.evaluation.batch_size // encoder.num_parts) * encoder.num_parts


def _embed_videos(encoder: Encoder, examples: Examples, config: ConfigDict) -> VideoFeatures:
    size, count = _batch_size(encoder, config), len(examples.ids)
    rows = local_rows(encoder.split, size)
    total = -(-count // size)
    mine = (np.arange(total)[:, None] * size + rows).ravel()
    batches = _frames(examples, config, len(rows), mine[mine < count])
    shape = config.animation.num_frames, config.model.image_size, config.model.image_size, 3
    features = []
    for _ in tqdm(range(total), "videos", unit="batch", leave=False, disable=None):
        # Another process may have a part of the last batch where this one has none.
        batch = next(batches, None)
        frames = np.zeros((len(rows), *shape), np.uint8) if batch is None else batch["frames"]
        features.append(encoder.encode_video(frames, size))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *features)


def _embed_captions(encoder: Encoder, captions: list[str], config: ConfigDict) -> Captions:
    tokens = Tokenizer(config.model.context_length, config.model.vocab_size)(captions)
    return encode_captions(encoder, tokens, _batch_size(encoder, config))


def _frames(
    examples: Examples, config: ConfigDict, batch_size: int, items: Sequence[int]
) -> Iterator[dict]:
    return eval_batches(
        examples,
        num_frames=config.animation.num_frames,
        image_size=config.model.image_size,
        batch_size=batch_size,
        items=items,
    )


def open_sources(config: ConfigDict) -> dict[str, Examples]:
    """What an evaluation reads, opened, by the settings' names; the query bank where there is one.

    Raises:
      ValueError, FileNotFoundError: one can't be opened, or not be searched as is configured.
    """
    name, _ = protocol_of(config.evaluation.protocol, config.data.eval)
    _check_normalization(config)
    sources = {"data.eval": config.data.eval, "evaluation.query_bank": config.evaluation.query_bank}
    found = {
        setting: open_source(source, config.data.cache_dir)
        for setting, source in sources.items()
        if source
    }
    _setting(config, found["data.eval"], name)
    return found


def _check_normalization(config: ConfigDict) -> None:
    """Raises ValueError for QB-Norm without a bank, a bank without it, or one that is searched."""
    kind, source = config.evaluation.normalization, config.evaluation.query_bank
    if kind not in KINDS:
        raise ValueError(f"evaluation.normalization {kind!r}: wanted one of {', '.join(KINDS)}")
    if (kind == "qb_norm") != bool(source) or source == config.data.eval:
        raise ValueError(
            f"evaluation.normalization={kind} with evaluation.query_bank={source!r}: qb_norm needs "
            "a bank of training captions, such as folder:STORE@split=1k-A-9k-train, and only that"
        )


def evaluate(
    config: ConfigDict,
    mesh: Mesh,
    params: dict,
    workdir: Path,
    *,
    steps: int,
    config_overrides: dict[str, Any],
    train_seconds: float,
    against: comparison.Evaluated | None = None,
) -> dict:
    """Retrieval in both directions; writes WORKDIR/results.json, ranks.npz and rankings/.

    Args:
      params: the model's parameters. steps: how many steps made them, in `train_seconds`.
      against: an evaluation to compare with; what makes that impossible is said at once.

    Returns:
      the contents of results.json (docs/results.md).

    Raises:
      ValueError: the protocol does not search that source, an item can't be used, or `against`
        is of other queries or of another protocol.
    """
    name, protocol = protocol_of(config.evaluation.protocol, config.data.eval)
    sources = open_sources(config)
    examples = sources["data.eval"]
    setting = _setting(config, examples, name)
    if against is not None:
        comparison.refuse_unlike(setting, against.results, str(against.path))
    graphdef = graph_definition(settings.retriever(config))
    encoder = Encoder(sharding.batch_sharding(mesh), graphdef, params)
    bank = None
    if (captions := sources.get("evaluation.query_bank")) is not None:
        queries = [one for item in captions.captions for one in item]
        bank = _embed_captions(encoder, queries, config).embedding
    began = time.perf_counter()
    gallery = embed(encoder, examples, config)
    seconds = {"train": train_seconds, "embed": time.perf_counter() - began}
    search = Search(
        encoder,
        gallery,
        groups_once=protocol.groups_once,
        normalization=config.evaluation.normalization,
        bank=bank,
    )
    ranked, directions = search_both(search, setting["rerank_k"])
    report = {
        **setting,
        "steps": steps,
        "git_commit": git_commit(),
        "config_overrides": config_overrides,
        **{direction: found["scores"] for direction, found in directions.items()},
        "chance": chance(gallery.owner, protocol.groups_once),
        "shared_captions": shared_captions(gallery.captions, gallery.owner),
        "seconds": seconds | _total([found["seconds"] for found in directions.values()]),
    }
    if jax.process_index() == 0:
        _write(workdir, config, examples, gallery, ranked, report)
    return report


def _setting(config: ConfigDict, examples: Examples, protocol: str) -> dict[str, Any]:
    """What results.json says of what is searched, and how; raises as `evaluate` does."""
    num_captions = sum(map(len, examples.captions))
    described = describe(
        protocol,
        config.data.eval,
        num_videos=len(examples.ids),
        num_captions=num_captions,
        missing=len(examples.missing),
        num_frames=config.animation.num_frames,
    )
    return {
        "dataset": examples.name,
        **described,
        "queries": fingerprint(examples),
        "normalization": config.evaluation.normalization,
        "num_queries": num_captions,
        "num_videos": len(examples.ids),
        "seed": config.seed,
        "config": config.to_dict(),
        "rerank_k": min(config.evaluation.rerank_k, len(examples.ids)),
        "stage_one": "exact",
    }


def search_both(search: Search, k: int) -> tuple[dict[str, Ranked], dict[str, dict[str, Any]]]:
    """Both directions by the names of results.json: what was ranked, and its scores and seconds."""
    owner, videos = search.gallery.owner, len(search.gallery.ids)
    pairs = (len(owner) + videos) * k
    ranked, found = {}, {}
    with tqdm(total=pairs, desc="re-ranking", unit="pair", leave=False, disable=None) as bar:
        for direction, cluster in (("text_to_video", owner), ("video_to_text", np.arange(videos))):
            one, sweep, seconds = search(direction == "text_to_video", k, bar.update)
            stages = {
                stage: metrics.summary(ranks) | {"intervals": metrics.intervals(ranks, cluster)}
                for stage, ranks in stage_ranks(one).items()
            }
            ranked[direction] = one
            found[direction] = {"scores": stages | {"k_sweep": sweep}, "seconds": seconds}
    return ranked, found


def stage_ranks(ranked: Ranked) -> dict[str, np.ndarray]:
    """Ranks by the names of results.json's stages."""
    stages = ranked.coarse_ranks, ranked.reranked_ranks, ranked.ceiling_ranks
    return dict(zip(results.STAGES, stages, strict=True))


def chance(owner: np.ndarray, groups_once: bool) -> dict[str, dict[str, float]]:
    """What a random order would reach, by direction."""
    captions = np.bincount(owner)
    by_text = metrics.chance(np.ones(len(owner)), len(captions))
    by_video = by_text if groups_once else metrics.chance(captions, len(owner))
    return {"text_to_video": by_text, "video_to_text": by_video}


def shared_captions(captions: list[str], owner: np.ndarray) -> dict[str, float]:
    """How many captions another video has too, as CLIP reads them, and the R@1 they leave.

    Args:
      owner: int [Q], the video of each caption.
    """
    texts = [clean(caption).lower() for caption in captions]
    count, greatest = metrics.greatest_recall(texts, owner)
    return {"captions": count, "greatest_R@1": greatest}


def fingerprint(examples: Examples) -> str:
    """A digest of the videos and captions that are searched, in order."""
    captions = [caption for item in examples.captions for caption in item]
    owner = [index for index, item in enumerate(examples.captions) for _ in item]
    listed = json.dumps([examples.ids, captions, owner])
    return hashlib.sha256(listed.encode()).hexdigest()


def _total(seconds: list[dict[str, float]]) -> dict[str, float]:
    return {stage: sum(one[stage] for one in seconds) for stage in seconds[0]}


def _write(
    workdir: Path,
    config: ConfigDict,
    examples: Examples,
    gallery: Gallery,
    ranked: dict[str, Ranked],
    report: dict[str, Any],
) -> None:
    """results.json last: that it is there says that the run is finished."""
    shown = ranked["text_to_video"]
    listing, videos = sample_queries(shown, examples.ids, examples.captions, config.seed)
    frames = {
        examples.ids[index]: clip
        for batch in _frames(examples, config, config.evaluation.batch_size, sorted(videos))
        for index, clip in zip(batch["index"], batch["frames"], strict=True)
        if index >= 0
    }
    write_rankings(workdir, listing, frames)
    comparison.write_ranks(
        workdir, gallery.owner, {name: stage_ranks(one) for name, one in ranked.items()}
    )
    results.write(workdir / layout.RESULTS, report)


def _evaluate_newest(
    workdir: epath.Path,
    out: Path,
    config: ConfigDict,
    overrides: dict[str, Any],
    against: comparison.Evaluated | None,
) -> dict[str, Any]:
    """Evaluates a run's newest checkpoint; writes the results, and their page, into `out`."""
    mesh = sharding.make_mesh(settings.mesh(config))
    steps, params = load_params(workdir, mesh)
    report = evaluate(
        config,
        mesh,
        params,
        out,
        steps=steps,
        config_overrides=overrides,
        train_seconds=0.0,
        against=against,
    )
    write_page(out)
    return report


@stoppable("animclip evaluate")
def main(argv: list[str] | None = None) -> int:
    """Evaluates the newest checkpoint of a run; --config.data.eval=... takes other videos."""
    values = parse(argv)
    workdir, config = epath.Path(values.workdir), values.config
    try:
        process.keep_compiled_programs(config.data.cache_dir)
        theirs = comparison.read(Path(values.against)) if values.against else None
        folder_to_write = epath.Path(values.out or workdir)
        with run_config.alone(local_folder(folder_to_write, config.data.cache_dir)):
            kept = Mirror(folder_to_write, config.data.cache_dir)
            out = kept.local
            report = _evaluate_newest(workdir, out, config, flags.overrides(values), theirs)
            kept.push()
        print(table(report))
        if theirs is not None:
            compared = comparison.compare(comparison.read(out / layout.RESULTS), theirs)
            print(f"\n{comparison.table(compared)}")
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip evaluate: {error}", file=sys.stderr)
        return 1
    print(f"\n{kept.remote / layout.RESULTS}\n{kept.remote / layout.REPORT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
