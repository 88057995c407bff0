"""A model of ours in mteb's tasks: `mteb.evaluate(TwoStage(ac.load(DIR), "me/name"), tasks)`.

docs/mteb.md shows it. No other module imports this one. mteb, which brings torch, is imported when
a model is wrapped.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from animclip_jax import api
from animclip_jax.models.retriever import RetrieverConfig, VideoFeatures
from animclip_jax.retrieval.coarse import top_k as best_items
from animclip_jax.retrieval.rerank import Captions, PairScorer, encode_captions
from animclip_jax.words import count, installs
from input_pipeline.media.picture import short_side

# Videos that an error names.
NAMED = 20
_MODALITIES = ("text", "video")
Scores = dict[str, dict[str, float]]


class DualEncoder:
    """Stage one alone, as mteb's EncoderProtocol: cosine similarities of texts and videos.

    mteb_model_meta: mteb's ModelMeta. Its revision is the model's fingerprint, so that results that
    mteb has cached are never another model's.
    """

    def __init__(self, model: api.Model, name: str, **experiment: Any):
        """Wraps a model.

        Args:
          name: what mteb lists it as, "owner/model". experiment: settings that results depend on.

        Raises:
          ModuleNotFoundError: mteb is not installed. ValueError: mteb takes no such name.
        """
        if importlib.util.find_spec("mteb") is None:
            raise ModuleNotFoundError(f"mteb is not installed: {installs('mteb')}")
        from mteb.models.model_meta import ModelMeta

        clip = model.config.clip
        self.model = model
        self.mteb_model_meta = ModelMeta(
            loader=None,
            name=name,
            revision=model.fingerprint,
            release_date=None,
            languages=None,
            n_parameters=sum(leaf.size for leaf in jax.tree.leaves(model.encoder.params)),
            memory_usage_mb=None,
            max_tokens=clip.context_length,
            embed_dim=clip.embed_dim,
            license=None,
            open_weights=None,
            public_training_code=None,
            public_training_data=None,
            framework=["JAX"],
            similarity_fn_name="cosine",
            use_instructions=False,
            training_datasets=None,
            modalities=[*_MODALITIES],
            experiment_kwargs=experiment or None,
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **options: Any,
    ) -> np.ndarray:
        """Embeddings of the items of a DataLoader, in order: float32 [N, E], unit length.

        Args:
          inputs: its `dataset` has a column "text" or "video". options: ignored, as batch sizes.

        Raises:
          ValueError: the task asks for both in one item, or videos are missing or can't be decoded;
            names them.
        """
        return np.asarray(self._features(inputs.dataset, task_metadata, prompt_type).embedding)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosine similarities, a torch tensor float32 [N, M]."""
        import torch

        one, other = (np.atleast_2d(np.asarray(some)) for some in (embeddings1, embeddings2))
        return torch.from_numpy(one @ other.T)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosine similarities of pairs, a torch tensor float32 [N]."""
        import torch

        return torch.from_numpy((np.asarray(embeddings1) * np.asarray(embeddings2)).sum(-1))

    def _features(self, items: Any, task: Any, prompt_type: Any) -> Captions | VideoFeatures:
        asked = set(task.get_modalities(prompt_type)) & {*items.column_names} & {*_MODALITIES}
        if asked == {"text"}:
            return self._captions(list(items["text"]))
        if asked == {"video"}:
            return self._videos(items, task.name)
        found = " and ".join(sorted(asked)) or ", ".join(items.column_names)
        raise ValueError(f"{task.name}: found {found} in each item, wanted either text or video")

    def _captions(self, texts: list[str]) -> Captions:
        encoder = self.model.encoder
        at_once = -(-api.TEXTS_AT_ONCE // encoder.num_parts) * encoder.num_parts
        return encode_captions(encoder, self.model.tokenizer(texts), at_once)

    def _videos(self, items: Any, task: str) -> VideoFeatures:
        from datasets import Video

        if isinstance(items.features["video"], Video):
            # Frames are taken evenly in time, as everywhere here; mteb's decoder takes others.
            items = items.cast_column("video", Video(decode=False))
        bad: list[str] = []
        parts: list[VideoFeatures] = []
        for start in range(0, len(items), api.VIDEOS_AT_ONCE):
            frames = []
            for number in range(start, min(start + api.VIDEOS_AT_ONCE, len(items))):
                item = items[number]
                try:
                    frames.append(_frames(item["video"], self.model.config))
                except (OSError, ValueError) as error:
                    bad.append(f"{item.get('id', number)} ({error})")
            if not bad:
                parts.append(self.model.encode_video(frames))
        if bad:
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            raise ValueError(
                f"{task}: {len(bad)} of {count(len(items), 'video')} can't be read: "
                f"{'; '.join(bad[:NAMED])}{more}. Get them again: scores of a part of a task can't "
                "be compared"
            )
        return jax.tree.map(lambda *some: np.concatenate(some), *parts)


class TwoStage(DualEncoder):
    """Both stages, as mteb's SearchProtocol: the re-ranker scores each query's best candidates."""

    def __init__(self, model: api.Model, name: str, candidates: int = 50):
        """Wraps a model.

        Args:
          candidates: K, how many items of a query are re-ranked; the rest follow in coarse order.

        Raises:
          ValueError: the model has no re-ranker, or K is below 1. As `DualEncoder`.
        """
        if not model.reranks:
            raise ValueError("this model has no re-ranker: wrap it by DualEncoder")
        if candidates < 1:
            raise ValueError(f"candidates: found {candidates}, wanted 1 or more")
        super().__init__(model, name, candidates=candidates)
        self.candidates = candidates
        self._ids: list[str] = []
        self._items: Captions | VideoFeatures | None = None

    def index(
        self, corpus: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **options: Any
    ) -> None:
        """Encodes the corpus and keeps its features; raises as `encode`."""
        self._ids = list(corpus["id"])
        self._items = self._features(corpus, task_metadata, "document")

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        top_ranked: dict[str, list[str]] | None = None,
        **options: Any,
    ) -> Scores:
        """Scores of each query's best items, by their ids; higher is better.

        Args:
          top_k: items of a query, at most. top_ranked: the items to score, by query; None: all.

        Raises:
          ValueError: queries and corpus are not texts on one side and videos on the other; or as
            `encode`. RuntimeError: there is no corpus yet.
        """
        if self._items is None:
            raise RuntimeError("search: no corpus; call index first")
        asked = self._features(queries, task_metadata, "query")
        by_text = isinstance(asked, Captions)
        captions, videos = (asked, self._items) if by_text else (self._items, asked)
        if not isinstance(captions, Captions) or isinstance(videos, Captions):
            raise ValueError(
                f"{task_metadata.name}: queries and corpus are of one kind, wanted texts and "
                "videos; wrap the model by DualEncoder"
            )
        names = list(queries["id"])
        if top_ranked is not None:
            place = {name: number for number, name in enumerate(self._ids)}
            listed = [[place[one] for one in top_ranked.get(name, [])] for name in names]
            scored = score_listed(self.model, captions, videos, by_text, listed)
        else:
            scored = search(self.model, captions, videos, by_text, self.candidates, top_k)
        return {
            name: {self._ids[item]: score for item, score in best[:top_k]}
            for name, best in zip(names, scored, strict=True)
        }


def search(
    model: api.Model,
    captions: Captions,
    videos: VideoFeatures,
    by_text: bool,
    candidates: int,
    top_k: int,
) -> list[list[tuple[int, float]]]:
    """Each query's best items, `top_k` of them, as (number, score), best first.

    The first `candidates` by cosine similarity have their fused scores, also where `top_k` is less.
    Those of the rest lie below and keep their order, one apart: mteb rounds scores.
    """
    queries, items = captions.embedding, np.asarray(videos.embedding)
    if not by_text:
        queries, items = items, queries
    found, _ = best_items(queries, items, max(top_k, candidates), model.encoder.split)
    listed = found[:, :candidates].tolist()
    scored = score_listed(model, captions, videos, by_text, listed)
    for best, rest in zip(scored, found[:, candidates:].tolist(), strict=True):
        lowest = best[-1][1]
        best += [(item, lowest - place) for place, item in enumerate(rest, 1)]
    return [best[:top_k] for best in scored]


def score_listed(
    model: api.Model,
    captions: Captions,
    videos: VideoFeatures,
    by_text: bool,
    listed: list[list[int]],
) -> list[list[tuple[int, float]]]:
    """Fused scores of each query's listed items, as (number, score), best first.

    Raises ValueError where a score is not finite.
    """
    rows = np.repeat(np.arange(len(listed)), [len(some) for some in listed])
    columns = np.array([item for some in listed for item in some], np.int64)
    pairs = (rows, columns) if by_text else (columns, rows)
    fused = PairScorer(model.encoder, captions, videos)(*pairs)
    if not np.isfinite(fused).all():
        raise ValueError("a fused score is not finite: the weights are damaged")
    scored: list[list[tuple[int, float]]] = [[] for _ in listed]
    for row, column, score in zip(rows, columns, fused.tolist(), strict=True):
        scored[row].append((int(column), score))
    return [sorted(some, key=lambda one: -one[1]) for some in scored]


def _frames(found: Any, config: RetrieverConfig) -> np.ndarray:
    """Frames uint8 [T, H, W, 3] of a video as `datasets` keeps it: its bytes, or its path."""
    from input_pipeline.media.video import read_frames

    looked_at = config.num_frames, short_side(config.clip.image_size)
    data, path = (
        found.get(name) if isinstance(found, dict) else None for name in ("bytes", "path")
    )
    if data:
        with tempfile.NamedTemporaryFile(suffix=Path(path or "").suffix) as file:
            file.write(data)
            file.flush()
            try:
                return read_frames(file.name, *looked_at)
            except ValueError as error:
                raise ValueError(str(error).replace(f"{file.name}: ", "")) from None
    if not path:
        raise ValueError("missing: neither bytes nor a path")
    return read_frames(path, *looked_at)
