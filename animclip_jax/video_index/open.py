"""Opens an index with the model that it was made with, and writes its answers as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from animclip_jax import api
from animclip_jax.engines.place import Place, given
from animclip_jax.video_index.published import PublishedIndex
from animclip_jax.video_index.ranking import Answer, Hit
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher

COARSE_ONLY = "coarse search only: the model of this index has no re-ranker"
NO_SCENES = (
    "moments of videos that an earlier version indexed are not grouped by scene: run animclip "
    "index again"
)


def open_index(
    index: str | Path | Place, model: str | Path | None = None, num_candidates: int = 50
) -> Searcher:
    """Opens an index, for `search("a dog", n=10)`.

    Args:
      index: the folder of `animclip index`, or where it published one, as in "lancedb:FOLDER".
      model: a folder or a name on the Hugging Face Hub; None takes it from where it was when the
        index was made.
      num_candidates: how many segments the re-ranker sees for each query.
    Raises:
      FileNotFoundError, ValueError: one of them can't be read, or they don't belong together.
    """
    place = given(index) if isinstance(index, str) else index
    opened = PublishedIndex(place) if isinstance(place, Place) else Index(Path(str(index)))
    where = Path(opened.catalogue.model_path) if model is None else api.find(model)
    if not where.is_dir():
        raise FileNotFoundError(
            f"{where}: no such folder, the model that {index} was made with; --model says where it "
            "is now"
        )
    return Searcher(api.load(where), opened, num_candidates)


def note(searcher: Searcher) -> str | None:
    """What model and index can't do, for whoever reads their answers."""
    notes = [] if searcher.reranks else [COARSE_ONLY]
    notes += [api.DRAWN_ONLY] if searcher.model.drawn_only else []
    notes += [NO_SCENES] if searcher.index.lacks_scenes else []
    return "; ".join(notes) or None


def as_json(answer: Answer, shown: Sequence[Hit], searcher: Searcher) -> dict[str, Any]:
    """What --json prints."""
    return {
        "stage": answer.stage,
        "reranks": searcher.reranks,
        "note": note(searcher),
        "candidates": answer.candidates,
        "milliseconds": answer.milliseconds,
        "results": [searcher.index.moment(hit).as_json() for hit in shown],
    }
