"""`animclip search INDEX "a dog catches a frisbee"`: the moments of videos that show it.

Instead of a sentence, --image=FILE and --video=FILE search for what looks alike.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from animclip_jax import api
from animclip_jax.api import DRAWN_ONLY
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.search import parse
from animclip_jax.video_index import catalogue
from animclip_jax.video_index.query_picture import read_picture
from animclip_jax.video_index.searcher import Answer, Hit, Index, Searcher
from animclip_jax.weights import published

COARSE_ONLY = "coarse search only: the model of this index has no re-ranker"


@stoppable("animclip search")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    try:
        searcher = open_searcher(options.index, options.model, options.rerank_k)
        if options.image:
            if not options.image.is_file():
                raise FileNotFoundError(f"{options.image}: no such file")
            try:
                answer = searcher.by_picture(read_picture(options.image.read_bytes()))
            except ValueError as error:
                raise ValueError(f"{options.image}: {error}") from error
        elif options.video:
            answer = searcher.by_video(options.video)
        else:
            answer = searcher.by_text(options.text, coarse_only=options.coarse_only)
    except (OSError, ValueError) as error:
        print(f"animclip search: {error}", file=sys.stderr)
        return 1
    shown = answer.hits[: options.n]
    if options.json:
        print(json.dumps(as_json(answer, shown, searcher), indent=1))
        return 0
    if told := note(searcher):
        print(told)
    print(table(shown, searcher.index))
    return 0


def open_searcher(index: Path, model: str | None, num_candidates: int) -> Searcher:
    """An index with its model.

    Args:
      model: None takes it from where it was when the index was made.
    Raises:
      FileNotFoundError, ValueError: one of them can't be read, or they don't belong together.
    """
    where = Path(catalogue.read(index).model_path) if model is None else published.find(model)
    if not where.is_dir():
        raise FileNotFoundError(
            f"{where}: no such folder, the model that {index} was made with; --model says where it "
            "is now"
        )
    return Searcher(api.load(where), Index(index), num_candidates)


def note(searcher: Searcher) -> str | None:
    """What the model can't do, for whoever reads its answers."""
    notes = [] if searcher.reranks else [COARSE_ONLY]
    notes += [DRAWN_ONLY] if searcher.model.drawn_only else []
    return "; ".join(notes) or None


def as_json(answer: Answer, shown: list[Hit], searcher: Searcher) -> dict[str, Any]:
    """What --json prints."""
    return {
        "stage": "coarse" if shown[0].fused is None else "reranked",
        "reranks": searcher.reranks,
        "note": note(searcher),
        "milliseconds": {stage: 1000 * seconds for stage, seconds in answer.seconds.items()},
        "results": [describe(hit, searcher.index) for hit in shown],
    }


def describe(hit: Hit, index: Index) -> dict[str, Any]:
    """A result by the names of docs/search.md."""
    start, end = index.times[hit.segment].tolist()
    return {
        "rank": hit.rank,
        "coarse_rank": hit.coarse_rank,
        "video": readable(index.names[hit.segment]),
        "start": round(start, 3),
        "end": round(end, 3),
        "coarse": hit.coarse,
        "reranked": hit.fused,
    }


def readable(name: str) -> str:
    """A file's name as text, also where its bytes are none."""
    return os.fsencode(name).decode("utf-8", "replace")


def on_a_terminal(name: str) -> str:
    """As `readable`, with control characters, which a terminal would obey, as their numbers."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in readable(name)
    )


def clock(seconds: float) -> str:
    """As in 1:02:03.4, the hours where there are any."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def table(hits: list[Hit], index: Index) -> str:
    """Results for people, one a line."""
    reranked = hits[0].fused is not None
    lines = ["rank  before  reranked  coarse  moment" if reranked else "rank  coarse  moment"]
    for hit in hits:
        start, end = index.times[hit.segment]
        moment = f"{on_a_terminal(index.names[hit.segment])}  {clock(start)}-{clock(end)}"
        fused = f"{hit.coarse_rank:6}  {hit.fused:8.3f}  " if reranked else ""
        lines.append(f"{hit.rank:4}  {fused}{hit.coarse:6.3f}  {moment}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
