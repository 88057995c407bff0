"""Shards of an index that are written anew as one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path

from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards
from animclip_jax.video_index.catalogue import Catalogue

_BITS = 3  # Shards of a tier differ by less than eight times.


def rewrite(directory: Path, catalogue: Catalogue, names: list[str], shard: str) -> None:
    """Writes the rows of videos as one shard, in that order, and saves the catalogue.

    Shards without a video remain. A kill leaves the catalogue before, and what it names.
    """
    read = shards.reader(len(catalogue.shards))
    segments = sum(catalogue.videos[name].segments for name in names)
    parts = (read(directory, catalogue, name) for name in names)
    shards.write(directory, shard, segments, parts)
    first = 0
    for name in names:
        video = catalogue.videos[name]
        catalogue.videos[name] = video._replace(shard=shard, first=first)
        first += video.segments
    catalogues.save(directory, catalogue)


def join(directory: Path, catalogue: Catalogue, joined: Collection[str], shard: str) -> None:
    """Writes some shards as one, as their rows lie there."""
    names = [name for name, video in catalogue.videos.items() if video.shard in joined]
    names.sort(key=lambda name: (catalogue.videos[name].shard, catalogue.videos[name].first))
    rewrite(directory, catalogue, names, shard)


def tier(catalogue: Catalogue, some: Collection[str], most: int) -> list[str]:
    """Those of some shards to join next; none if there are no more than `most`, 1 or more.

    They are of about one size, so that each row of n is written anew O(log n) times.
    """
    if len(some) <= most:
        return []
    rows: Counter[str] = Counter({shard: 0 for shard in some})
    for video in catalogue.videos.values():
        if video.shard in rows:
            rows[video.shard] += video.segments
    tiers = defaultdict(list)
    for shard, count in rows.items():
        tiers[count.bit_length() // _BITS].append(shard)
    fullest = max(tiers.values(), key=len)
    return fullest if len(fullest) > 1 else sorted(rows, key=rows.__getitem__)[:2]
