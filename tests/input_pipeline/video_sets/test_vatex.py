"""Tests of input_pipeline.video_sets.vatex."""

from __future__ import annotations

import pytest

from input_pipeline.video_sets import vatex
from input_pipeline.video_sets.download import Download

LISTS = {"train_list.txt": "a\nb\n", "val_list.txt": "c\nd\n", "test_list.txt": "e\nf\n"}
SECOND = {"test1k5_sec_list.txt": "f\nc\n"}
CAPTIONS = {id: [f"{id} runs", "x"] for id in "abcdef"}
AS_PUBLISHED = [{"videoID": id, "enCap": t, "chCap": ["跑"]} for id, t in CAPTIONS.items()]
AS_CLIP2VIDEO = {id: {"enCap": texts} for id, texts in CAPTIONS.items()}


@pytest.mark.parametrize("content", [CAPTIONS, AS_PUBLISHED, AS_CLIP2VIDEO])
def test_the_two_protocols(write, content: object) -> None:
    splits = vatex.read(Download(write(LISTS | SECOND | {"vatex_data.json": content})))
    assert {name: [*videos] for name, videos in splits.items()} == {
        "hgr-train": ["a", "b"],
        "hgr-val": ["c", "d"],
        "hgr-test": ["e", "f"],
        "test1k5-train": ["a", "b"],
        "test1k5-val": ["d", "e"],
        "test1k5-test": ["f", "c"],
    }
    assert splits["test1k5-test"]["f"] == ["f runs", "x"]


def test_a_video_may_have_several_entries_in_a_file(write) -> None:
    content = [{"videoID": "e", "enCap": [text]} for text in ("1", "2")]
    splits = vatex.read(Download(write(LISTS | {"vatex_data.json": content})))
    assert splits["hgr-test"] == {"e": ["1", "2"], "f": []}


def test_captions_of_several_files(write) -> None:
    files = {"vatex_a.json": {"a": ["1"], "c": ["2"]}, "vatex_b.json": {"e": ["3"], "a": ["1"]}}
    splits = vatex.read(Download(write(LISTS | files, "a")))
    assert splits["hgr-train"] == {"a": ["1"], "b": []}
    assert splits["hgr-test"] == {"e": ["3"], "f": []}
    assert "test1k5-test" not in splits
    files["vatex_b.json"]["a"] = ["other"]
    with pytest.raises(ValueError, match="vatex_b.json: other captions of 'a' than in vatex_a"):
        vatex.read(Download(write(LISTS | files, "b")))


@pytest.mark.parametrize(
    "content",
    [3, [1], [{"videoID": "a"}], [{"videoID": "a", "enCap": "text"}], {"a": "text"}, {"a": [1]}],
)
def test_what_is_wrong_is_named(write, content: object) -> None:
    with pytest.raises(ValueError, match="vatex_x.json: .*captions of"):
        vatex.read(Download(write(LISTS | {"vatex_x.json": content})))


def test_missing_files_are_named(write) -> None:
    with pytest.raises(FileNotFoundError, match=r"no vatex\*.json"):
        vatex.read(Download(write(LISTS, "a")))
    with pytest.raises(FileNotFoundError, match="no train_list.txt"):
        vatex.read(Download(write({"vatex_data.json": {}}, "b")))


def test_real_counts(real) -> None:
    lists = [f"{part}_list.txt" for part in ("train", "val", "test")]
    folder = real("vatex", *lists, vatex.SECOND_TEST, "vatex_en_captions_val_publictest.json")
    splits = vatex.read(Download(folder))
    # How many videos, and how many of them these files have captions of: 5 each, none of training.
    assert {n: (len(v), sum(len(t) == 5 for t in v.values())) for n, v in splits.items()} == {
        "hgr-train": (25_991, 0),
        "hgr-val": (1_500, 1_395),
        "hgr-test": (1_500, 1_415),
        "test1k5-train": (25_991, 0),
        "test1k5-val": (1_500, 1_404),
        "test1k5-test": (1_500, 1_406),
    }
    for protocol in ("hgr", "test1k5"):
        train, val, test = (
            splits[f"{protocol}-{part}"].keys() for part in ("train", "val", "test")
        )
        assert not train & val and not train & test and not val & test
    assert len(splits["test1k5-test"].keys() & splits["hgr-val"].keys()) == 776
    assert len(splits["test1k5-test"].keys() & splits["hgr-test"].keys()) == 724


def test_the_real_second_file_of_captions_is_not_mixed_in(real) -> None:
    lists = [f"{part}_list.txt" for part in ("train", "val", "test")]
    captions = ("vatex_en_captions_val_publictest.json", "vatex_captions_from_vitatecs.json")
    with pytest.raises(ValueError, match="other captions of .*keep one of the two files"):
        vatex.read(Download(real("vatex", *lists, *captions)))
