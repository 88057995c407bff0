"""Tests of input_pipeline.video_sets.msvd."""

from __future__ import annotations

import pickle

import pytest

from input_pipeline.video_sets import msvd
from input_pipeline.video_sets.download import Download

LISTS = {"train_list.txt": "-a_1_2\nb\n", "val_list.txt": "c\n", "test_list.txt": "d"}
WORDS = {id: [[f"{id}", "runs"], ["two"]] for id in ("-a_1_2", "b", "c", "d")}
REAL_LISTS = ("train_list.txt", "val_list.txt", "test_list.txt")


@pytest.mark.parametrize("name", [msvd.PICKLE, msvd.JSON])
def test_the_splits(write, name: str) -> None:
    texts = {id: [" ".join(words) for words in captions] for id, captions in WORDS.items()}
    content = pickle.dumps(WORDS) if name == msvd.PICKLE else texts
    assert msvd.read(Download(write(LISTS | {name: content}))) == {
        "train": {"-a_1_2": ["-a_1_2 runs", "two"], "b": ["b runs", "two"]},
        "val": {"c": ["c runs", "two"]},
        "test": {"d": ["d runs", "two"]},
    }


def test_a_video_without_captions_is_kept_without(write) -> None:
    splits = msvd.read(Download(write(LISTS | {msvd.JSON: {"c": ["x"]}})))
    assert splits["val"] == {"c": ["x"]} and splits["test"] == {"d": []}


@pytest.mark.parametrize("content", [[], {"a": "text"}, {"a": [1]}, {"a": [["x", 1]]}, {1: []}])
def test_what_is_wrong_is_named(write, content: object) -> None:
    with pytest.raises(ValueError, match="raw-captions.pkl: wanted the captions of each video"):
        msvd.read(Download(write(LISTS | {msvd.PICKLE: pickle.dumps(content)})))


def test_missing_files_are_named(write) -> None:
    with pytest.raises(FileNotFoundError, match="no raw-captions.pkl"):
        msvd.read(Download(write(LISTS, "a")))
    with pytest.raises(FileNotFoundError, match="no train_list.txt"):
        msvd.read(Download(write({msvd.JSON: {}}, "b")))


@pytest.mark.parametrize("captions", ["captions_msvd.json", "raw-captions.derived.pkl"])
def test_real_counts(real, captions: str) -> None:
    splits = msvd.read(Download(real("msvd", captions, *REAL_LISTS)))
    counts = {name: (len(v), sum(map(len, v.values()))) for name, v in splits.items()}
    assert counts == {"train": (1_200, 48_774), "val": (100, 4_290), "test": (670, 27_763)}
    assert sum(captions for _, captions in counts.values()) == 80_827
    first = splits["train"]["-4wsuPCjDBc_5_15"]
    assert first[0] == "a squirrel is eating a peanut in it s shell"
    assert not any(not texts for videos in splits.values() for texts in videos.values())
