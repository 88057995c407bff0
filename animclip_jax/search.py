"""`animclip search INDEX "a dog catches a frisbee"`: the moments of videos that show it.

--like=FILE and --without=SENTENCE add to the sentence, or stand in its place.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["search", *sys.argv[1:]]))

import argparse

from animclip_jax import process
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.search import parse
from animclip_jax.video_index import likeness, moments, spoken
from animclip_jax.video_index.filters import Filters
from animclip_jax.video_index.open import note, open_index
from animclip_jax.video_index.query import Part, Query
from animclip_jax.video_index.ranking import Hit
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import SAID
from animclip_jax.words import clock, on_a_terminal
from input_pipeline.media import picture


@stoppable("animclip search")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    process.keep_programs_of_queries()
    try:
        searcher = open_index(options.index, options.model, options.rerank_k)
        asked = query(options, searcher.index)
        how = {"by": options.by, "coarse_only": options.coarse_only, "filters": options.only}
        answer = searcher.answer(asked, **how, num_scenes=options.n if options.group else 0)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip search: {error}", file=sys.stderr)
        return 1
    shown = answer.hits[: options.n]
    if options.format is None:
        index = searcher.index
        found = table(shown, index) if shown else nothing(asked, options.by, options.only, index)
        print(*filter(None, [note(searcher), found]), sep="\n")
        return 0
    title = options.text or " ".join(map(str, [*options.like, *options.without])) or "moments"
    try:
        print(moments.written(options.format, answer, shown, searcher, title), end="")
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip search: {error}", file=sys.stderr)
        return 1
    return 0


def query(options: argparse.Namespace, index: Index) -> Query:
    """What the options search for. Raises FileNotFoundError, ValueError as `likeness.part`."""
    process.ignore_odd_pictures()
    parts = [*options.parts]
    for sign, files in ((1, options.like), (-1, options.unlike)):
        parts += [likeness.part(file, sign, index) for file in files]
    if options.image:
        parts.append(Part(picture.read(options.image, picture.QUERY)))
    if options.video:
        parts.append(Part(options.video))
    return Query(tuple(parts))


def nothing(asked: Query, by: str, only: Filters, index: Index) -> str:
    """That there is no result, and why, where that is known."""
    if only.folder and not Filters(folder=only.folder).allowed(index).any():
        known = f"; it has {on_a_terminal(one)}" if (one := next(iter(index.folders), "")) else ""
        wanted = "wanted one below the folder that was indexed"
        return f"no moment found: no folder {on_a_terminal(only.folder)}: {wanted}{known}"
    if by == SAID and not index.speaks:
        return "no moment found: no video of this index has subtitles, which --by said searches"
    if by == SAID and spoken.expression(asked) is None:
        return "no moment found: --by said searches for words, wanted a sentence"
    return "no moment found"


def table(hits: list[Hit], index: Index) -> str:
    """Results for people, one a line."""
    reranked = any(hit.fused is not None for hit in hits)
    lines = ["rank  before  reranked  coarse  moment" if reranked else "rank  coarse  moment"]
    for hit in hits:
        start, end = index.times[hit.segment]
        shown = "photo" if index.photo[hit.segment] else f"{clock(start)}-{clock(end)}"
        moment = f"{on_a_terminal(index.names[hit.segment])}  {shown}"
        if hit.scene and len(hit.scene) > 1:
            first, last = index.span(index.scene_of(hit.segment))
            moment += f"  ({len(hit.scene)} moments of the scene {clock(first)}-{clock(last)})"
        before, score = hit.coarse_rank or "", "" if hit.fused is None else f"{hit.fused:.3f}"
        fused = f"{before:>6}  {score:>8}  " if reranked else ""
        said = "" if hit.said is None else f"  said: {on_a_terminal(hit.said)}"
        lines.append(f"{hit.rank:4}  {fused}{hit.coarse:6.3f}  {moment}{said}")
    return "\n".join(lines)
