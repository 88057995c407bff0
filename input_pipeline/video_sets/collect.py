"""A downloaded video set -> what is to be prepared of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType

from animclip_jax.words import count
from input_pipeline.store.videos import Collection, Video
from input_pipeline.video_sets import msrvtt, msvd, vatex
from input_pipeline.video_sets.download import Download

SETS: dict[str, ModuleType] = {"msrvtt": msrvtt, "msvd": msvd, "vatex": vatex}
# Parts of a protocol that hold no video in common.
DISJOINT = (("test", "train"), ("test", "trainval"), ("test", "val"), ("val", "train"))


def collect(kind: str, directory: str | os.PathLike[str], wanted: Sequence[str] = ()) -> Collection:
    """The videos of a set, "msrvtt", "msvd" or "vatex", in the splits that are wanted.

    Args:
      wanted: splits such as "1k-A-9k-test", or protocols such as "1k-A-9k"; none takes all.
    Returns:
      each video once, with all captions with text that it has in any of those splits; those without
      a file or such a caption under `missing`.
    Raises:
      FileNotFoundError or ValueError: a file is missing or wrong, there is no such split, or two
        splits of a protocol share videos.
    """
    download = Download(directory)
    splits = {
        name: {id: [text for text in texts if text.strip()] for id, texts in videos.items()}
        for name, videos in SETS[kind].read(download).items()
    }
    _check_disjoint(splits, str(download.directory))
    splits = _choose(splits, wanted, f"{kind}:{directory}")
    captions: dict[str, dict[str, None]] = {}
    for videos in splits.values():
        for id, texts in videos.items():
            captions.setdefault(id, {}).update(dict.fromkeys(texts))
    found: list[Video] = []
    missing: dict[str, str] = {}
    for id in captions:
        path = download.video(id)
        if isinstance(path, str):
            missing[id] = path
        elif not captions[id]:
            missing[id] = f"no captions of it in {download.directory}"
        else:
            found.append(Video(id, path, [*captions[id]]))
    return Collection(f"{kind}:{download.directory}", found, missing, splits)


def _choose(
    splits: dict[str, dict[str, list[str]]], wanted: Sequence[str], source: str
) -> dict[str, dict[str, list[str]]]:
    chosen: dict[str, dict[str, list[str]]] = {}
    for want in wanted:
        names = [name for name in splits if name == want or name.startswith(f"{want}-")]
        if not names:
            raise ValueError(
                f"{source}: no split {want!r}, there are {', '.join(splits)} (others need "
                "annotation files that are not there)"
            )
        chosen |= {name: splits[name] for name in names}
    return chosen or splits


def _check_disjoint(splits: dict[str, dict[str, list[str]]], where: str) -> None:
    for later, earlier in DISJOINT:
        for name in splits:
            protocol, dash, part = name.rpartition("-")
            other = f"{protocol}{dash}{earlier}"
            if part != later or other not in splits:
                continue
            shared = splits[name].keys() & splits[other].keys()
            if shared:
                raise ValueError(
                    f"{where}: {count(len(shared), 'video')} of {name} also in {other}, such as "
                    f"{min(shared)}, wanted none"
                )
