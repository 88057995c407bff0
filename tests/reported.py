"""A run to report, and the page as its reader or a browser sees it."""

import html
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from animclip_jax.animation.contact_sheet import strip
from animclip_jax.evaluation import results
from animclip_jax.reporting import words as report_words
from animclip_jax.runs.samples import write_samples
from tests import a_run

HOSTILE = """</h4><script>alert("1")</script> & 'x' "><img src=x onerror=alert(2)>"""
# Of the right video before and after re-ranking, three of each group of queries.
RANKS = [(7, 1), (3, 2), (41, 1), (1, 4), (2, 9), (5, 6)] + [(1, 1)] * 3 + [(60, 60)] * 3
FRAMES, SIDE = 4, 24


def clip(seed):
    return np.random.default_rng(seed).integers(0, 255, (FRAMES, SIDE, SIDE, 3), np.uint8)


def write_run(folder, run, text="a red ball", side=SIDE):
    """A run's folder as training and evaluation leave it; `text` is in its captions and ids.

    Where the run tells siblings apart, there is a pair of them to look at.
    """
    folder.mkdir(parents=True)
    results.write(folder / "results.json", run)
    entries = [
        {"step": s, "loss": None if s == 30 else 5.0 / s, "matching": 0.7} for s in range(10, 200)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    clips = np.stack([clip(seed) for seed in range(6)])
    write_samples(folder, list(clips[:, 0]), clips, [f"{text} {n}" for n in range(6)])
    queries, videos = [], {f"{text}/{n}" for n in range(12, 17)}
    for number, (before, after) in enumerate(RANKS):
        target = f"{text}/{number}"
        videos.add(target)
        query: dict[str, Any] = {"caption": f"{text} {number}", "target": target}
        for stage, rank in (("coarse", before), ("reranked", after)):
            found = [f"{text}/{n}" for n in range(12, 17)]
            if rank <= 5:
                found[rank - 1] = target
            query[stage] = [{"id": one, "score": 0.5} for one in found]
            query[f"{stage}_rank"] = rank
        queries.append(query)
    (folder / "rankings").mkdir()
    strips = {
        video: {"file": f"{n}.jpg", "frames": FRAMES, "side": side}
        for n, video in enumerate(sorted(videos))
    }
    for seed, one in enumerate(strips.values()):
        picture = strip(clip(seed)).resize((side * FRAMES + 2 * (FRAMES - 1), side))
        picture.save(folder / "rankings" / one["file"])
    counts = {"helped": 143, "hurt": 61, "right": 52, "missed": 256}
    listing = {"queries": queries, "counts": counts, "strips": strips}
    if "siblings" in run:
        said = [
            {"caption": f"{text} slides left", "coarse": [0.41, 0.42], "reranked": [0.61, 0.32]},
            {"caption": f"{text} slides right", "coarse": [0.43, 0.44], "reranked": [0.33, 0.64]},
        ]
        pair = [f"{text}/{n}" for n in (12, 13)]
        listing["pairs"] = [{"differs": f"{text} slide", "videos": pair, "captions": said}]
    (folder / "rankings" / "rankings.json").write_text(json.dumps(listing))


def text_of(page):
    """What a reader sees, pictures' data left out."""
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.S))
    return re.sub(r"\s+", " ", shown)


class Outline(HTMLParser):
    """Tags and attributes of a page; fails where tags are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def arms_with(*first_places, count=512):
    arms = []
    for number, (coarse, reranked) in enumerate(first_places):
        run = a_run.results(coarse=coarse, reranked=reranked) | {"num_queries": count}
        arms.append(report_words.Arm(f"arm{number}", run, {}, [], None))
    return arms
