"""One evaluation: a source is encoded, searched in two stages and scored; what that leaves."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from animclip_jax import distributed, files, sharding
from animclip_jax.evaluation import comparison, metrics, results, siblings
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.evaluation.protocols import describe, protocol_of
from animclip_jax.evaluation.rankings import sample_pairs, sample_queries, write_rankings
from animclip_jax.evaluation.shares import Shares, gathered
from animclip_jax.evaluation.two_stage import Gallery, Ranked, Search
from animclip_jax.models.parameters import graph_definition
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.rerank import Captions, encode_captions
from animclip_jax.runs import layout
from animclip_jax.runs.revision import git_commit
from input_pipeline.batches import Shown, eval_batches
from input_pipeline.examples import Examples
from input_pipeline.sources.opening import open_source
from input_pipeline.store.videos import FramesWanted
from input_pipeline.tokenizers.opening import Tokenizer, open_tokenizer


class Made(NamedTuple):
    """Where the parameters come from, as results.json says it.

    steps: training steps, in `seconds`. config: all settings of the run, a plain dict; overrides:
    those that were changed, by dotted name.
    """

    steps: int
    config: dict[str, Any]
    overrides: dict[str, Any]
    seconds: float = 0.0

    def said(self) -> dict[str, Any]:
        """The fields of results.json that say it, beside the seconds."""
        return {
            "steps": self.steps,
            "git_commit": git_commit(),
            "config": self.config,
            "config_overrides": self.overrides,
        }


def embed(encoder: Encoder, examples: Examples, config: EvaluationConfig) -> Gallery:
    """Encodes each video and each caption of a source once, each in the process that has it."""
    captions = [caption for item in examples.captions for caption in item]
    owner = np.repeat(np.arange(len(examples.ids)), [len(item) for item in examples.captions])
    video = _embed_videos(encoder, examples, config)
    text = _embed_captions(encoder, captions, config)
    return Gallery(video, text, owner, [*examples.ids], captions)


def _batch_size(encoder: Encoder, config: EvaluationConfig) -> int:
    """Over all devices: each encodes as many at once, however many there are."""
    return config.batch_size * encoder.num_parts


def _embed_videos(encoder: Encoder, examples: Examples, config: EvaluationConfig) -> VideoFeatures:
    size, mine = _batch_size(encoder, config), Shares(len(examples.ids)).mine
    batches = _frames(examples, config, size, mine)
    shown = tqdm(
        batches,
        "videos",
        total=-(-len(mine) // size),
        unit="batch",
        leave=False,
        disable=_is_hidden(),
    )
    features = [encoder.encode_video(batch.frames, size) for batch in shown]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(mine)], *features)


def _is_hidden() -> bool | None:
    """Whether a process shows no bar; None leaves it to the terminal."""
    return None if jax.process_index() == 0 else True


def _embed_captions(encoder: Encoder, captions: list[str], config: EvaluationConfig) -> Captions:
    mine = Shares(len(captions)).mine
    tokens = open_tokenizer(*config.model.clip.reading)(captions[mine.start : mine.stop])
    return encode_captions(encoder, tokens, _batch_size(encoder, config))


def _frames(
    examples: Examples, config: EvaluationConfig, batch_size: int, items: Sequence[int]
) -> Iterator[Shown]:
    return eval_batches(
        examples,
        num_frames=config.model.num_frames,
        image_size=config.model.clip.image_size,
        batch_size=batch_size,
        items=items,
        resize=config.model.clip.towers.pixels.resize,
        interpolation=config.model.clip.towers.pixels.interpolation,
        antialias=config.model.clip.towers.pixels.antialias,
    )


def open_sources(config: EvaluationConfig) -> dict[str, Examples]:
    """The sources of an evaluation, opened, by their settings' names.

    Raises:
      ValueError, FileNotFoundError: a source can't be opened, or does not fit the protocol.
    """
    sources = {"data.eval": config.source, "evaluation.query_bank": config.query_bank}
    wanted = FramesWanted(config.model.num_frames, config.model.clip.image_size)
    found = {
        setting: open_source(source, config.cache_dir, wanted)
        for setting, source in sources.items()
        if source
    }
    _setting(config, found["data.eval"])
    return found


def evaluate(
    config: EvaluationConfig,
    mesh: Mesh,
    params: dict,
    workdir: Path,
    made: Made,
    *,
    against: comparison.Evaluated | None = None,
) -> dict:
    """Retrieval in both directions; writes WORKDIR/results.json, ranks.npz and rankings/.

    All processes call this together: each encodes its share, and the first one writes.

    Args:
      params: the model's parameters, on the mesh. workdir: where the first process writes; the
        others don't use theirs. made: where the parameters come from.
      against: an evaluation to compare with. If that is impossible, nothing is evaluated. The first
        process alone needs it.

    Returns:
      the contents of results.json (docs/results.md).

    Raises:
      ValueError: the source does not fit the protocol, an item can't be used, or `against` has
        other queries or another protocol.
    """
    _, protocol = protocol_of(config.protocol, config.source)
    sources = open_sources(config)
    examples = sources["data.eval"]
    setting = _setting(config, examples)
    if against is not None:
        comparison.refuse_unlike(setting, against.results, str(against.path))
    _require_the_same(sources)
    mesh, params = sharding.local(mesh, params)
    encoder = Encoder(sharding.batch_sharding(mesh), graph_definition(config.model), params)
    bank = _embed_bank(encoder, sources, config)
    began = time.perf_counter()
    gallery = embed(encoder, examples, config)
    seconds = {"train": made.seconds, "embed": time.perf_counter() - began}
    once, kind = protocol.groups_once, config.normalization
    search = Search(encoder, gallery, groups_once=once, normalization=kind, bank=bank)
    ranked, directions = search_both(search, setting["rerank_k"])
    apart = siblings.measure(search, examples.told, stage_ranks(ranked["text_to_video"]))
    tokenizer = open_tokenizer(*config.model.clip.reading)
    report = {
        **setting,
        **made.said(),
        **{direction: found["scores"] for direction, found in directions.items()},
        **apart.report,
        "chance": chance(gallery.owner, protocol.groups_once),
        "shared_captions": shared_captions(gallery.captions, gallery.owner, tokenizer),
        "seconds": seconds | _total([found["seconds"] for found in directions.values()]),
    }
    if jax.process_index() == 0:
        _write(workdir, config, examples, gallery, ranked, apart, report)
    distributed.wait("its results")
    return report


def _require_the_same(sources: dict[str, Examples]) -> None:
    """Finds that the sources of all processes hold the same, so that their shares fit each other.

    Raises:
      ValueError: one does not; names the setting and the process.
    """
    for setting, examples in sources.items():
        here = np.frombuffer(bytes.fromhex(fingerprint(examples)), np.uint8)[None]
        found = gathered(here, [1] * jax.process_count())
        other = np.flatnonzero((found != found[:1]).any(axis=1))
        if len(other):
            raise ValueError(
                f"{setting} {examples.name}: process {other[0]} finds other videos or captions "
                "there than process 0: give all of them the same files; where one's cache lists "
                "videos that it could not read (quarantine.jsonl), remove that list"
            )


def _embed_bank(
    encoder: Encoder, sources: dict[str, Examples], config: EvaluationConfig
) -> np.ndarray | None:
    """Embeddings float32 [B, E] of QB-Norm's captions, where there are such."""
    if (bank := sources.get("evaluation.query_bank")) is None:
        return None
    captions = [caption for item in bank.captions for caption in item]
    embedding = _embed_captions(encoder, captions, config).embedding
    return Shares(len(captions)).gathered(embedding)


def _setting(config: EvaluationConfig, examples: Examples) -> dict[str, Any]:
    """The fields of results.json that say what is searched, and how; raises as `evaluate` does."""
    name, _ = protocol_of(config.protocol, config.source)
    num_captions = sum(map(len, examples.captions))
    described = describe(
        name,
        config.source,
        num_videos=len(examples.ids),
        num_captions=num_captions,
        missing=len(examples.missing),
        num_frames=config.model.num_frames,
    )
    return {
        "dataset": examples.name,
        **described,
        "queries": fingerprint(examples),
        "normalization": config.normalization,
        "num_queries": num_captions,
        "num_videos": len(examples.ids),
        "seed": config.seed,
        "rerank_k": min(config.rerank_k, len(examples.ids)),
        "stage_one": "exact",
    }


def search_both(search: Search, k: int) -> tuple[dict[str, Ranked], dict[str, dict[str, Any]]]:
    """Both directions by the names of results.json: what was ranked, and its scores and seconds."""
    owner, videos = search.gallery.owner, len(search.gallery.ids)
    # As many of them here as in the other processes, or nearly so.
    pairs = (len(owner) + videos) * k // jax.process_count()
    ranked, found = {}, {}
    hidden = _is_hidden()
    with tqdm(total=pairs, desc="re-ranking", unit="pair", leave=False, disable=hidden) as bar:
        for direction, cluster in (("text_to_video", owner), ("video_to_text", np.arange(videos))):
            one, sweep, seconds = search(direction == "text_to_video", k, bar.update)
            stages = {
                stage: metrics.scores(ranks, cluster) for stage, ranks in stage_ranks(one).items()
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


def shared_captions(
    captions: list[str], owner: np.ndarray, tokenizer: Tokenizer
) -> dict[str, float]:
    """How many captions another video has too, as the model reads them, and the R@1 they leave.

    Args:
      owner: int [Q], the video of each caption.
    """
    texts = [tokenizer.plain(caption) for caption in captions]
    count, greatest = metrics.greatest_recall(texts, owner)
    return {"captions": count, "greatest_R@1": greatest}


def fingerprint(examples: Examples) -> str:
    """A digest of the videos and captions that are searched, in order."""
    captions = [caption for item in examples.captions for caption in item]
    owner = [index for index, item in enumerate(examples.captions) for _ in item]
    listed = json.dumps([list(examples.ids), captions, owner])
    return hashlib.sha256(listed.encode()).hexdigest()


def _total(seconds: list[dict[str, float]]) -> dict[str, float]:
    return {stage: sum(one[stage] for one in seconds) for stage in seconds[0]}


def _write(
    workdir: Path,
    config: EvaluationConfig,
    examples: Examples,
    gallery: Gallery,
    ranked: dict[str, Ranked],
    apart: siblings.Measured,
    report: dict[str, Any],
) -> None:
    """Replaces the files of an evaluation, all or none of them; results.json comes last."""
    shown = ranked["text_to_video"]
    listing, videos = sample_queries(shown, examples.ids, examples.captions, config.seed)
    listing["pairs"], paired = sample_pairs(apart, examples.ids, gallery.captions, config.seed)
    videos |= paired
    frames = {
        examples.ids[index]: clip
        for batch in _frames(examples, config, config.batch_size, sorted(videos))
        for index, clip in zip(batch.index, batch.frames, strict=True)
        if index >= 0
    }
    new = workdir / layout.NEW
    shutil.rmtree(new, ignore_errors=True)
    with files.new_folder(new) as aside:
        write_rankings(aside, listing, frames)
        ranks = {name: stage_ranks(one) for name, one in ranked.items()}
        comparison.write_ranks(aside, gallery.owner, ranks, apart.arrays)
        results.write(aside / layout.RESULTS, report)
    # All of it is on the disk. A kill from here on leaves no results, but never those of another
    # evaluation beside these.
    (workdir / layout.RESULTS).unlink(missing_ok=True)
    shutil.rmtree(workdir / layout.RANKINGS, ignore_errors=True)
    for name in (layout.RANKINGS, layout.RANKS, layout.RESULTS):
        os.replace(new / name, workdir / name)
    new.rmdir()
