"""VATEX, English: by the split of HGR (25,991 / 1,500 / 1,500), and CLIP2Video's test1k5.

Annotation files: train_list.txt, val_list.txt and test_list.txt; test1k5_sec_list.txt for the
second protocol; captions in files named vatex*.json, as published (a list of {"videoID", "enCap"})
or as CLIP2Video has them ({id: {"enCap"}}), or {id: [caption]}.

The two tests are different videos: test1k5 holds 724 of HGR's test and 776 of HGR's validation. So
test1k5 validates on the 1,500 videos of those two lists that it doesn't test on.
"""

from __future__ import annotations

from typing import Any

from input_pipeline.video_sets.download import Download

SECOND_TEST = "test1k5_sec_list.txt"


def read(download: Download) -> dict[str, dict[str, list[str]]]:
    """The captions of each video of hgr-train, hgr-val, hgr-test, test1k5-train ...

    A video without captions in the files there has none. Raises FileNotFoundError or ValueError
    naming the file that is missing or wrong.
    """
    captions = _captions(download)
    train, val, test = (download.lines(f"{part}_list.txt") for part in ("train", "val", "test"))
    ids = {"hgr-train": train, "hgr-val": val, "hgr-test": test}
    if download.has(SECOND_TEST):
        second = download.lines(SECOND_TEST)
        tested = set(second)
        ids |= {
            "test1k5-train": train,
            "test1k5-val": [id for id in [*val, *test] if id not in tested],
            "test1k5-test": second,
        }
    return {name: {id: captions.get(id, []) for id in listed} for name, listed in ids.items()}


def _captions(download: Download) -> dict[str, list[str]]:
    """Of all files. Raises ValueError where two of them tell different ones of a video."""
    names = download.names("vatex", ".json")
    if not names:
        raise FileNotFoundError(f"{download.directory}: no vatex*.json with captions in it")
    captions: dict[str, list[str]] = {}
    told_by: dict[str, str] = {}
    for name in names:
        for id, texts in _of_file(download.json(name), str(download.path(name))).items():
            if captions.setdefault(id, texts) != texts:
                raise ValueError(
                    f"{download.path(name)}: other captions of {id!r} than in {told_by[id]}; keep "
                    f"one of the two files in {download.directory}"
                )
            told_by[id] = name
    return captions


def _of_file(content: Any, where: str) -> dict[str, list[str]]:
    try:
        if isinstance(content, list):
            found: dict[str, list[str]] = {}
            for video in content:  # A video may have several entries.
                found[video["videoID"]] = found.get(video["videoID"], []) + video["enCap"]
        else:
            found = {id: v["enCap"] if isinstance(v, dict) else v for id, v in content.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: not captions of VATEX: {error!r}") from error
    for id, texts in found.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{where}: captions of {id!r}: found {texts!r:.80}, wanted texts")
    return found
