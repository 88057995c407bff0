"""Tests of input_pipeline.video_sets.collect."""

from __future__ import annotations

import pytest

from input_pipeline.video_sets.collect import collect

VATEX = {
    "train_list.txt": "a\nb\n",
    "val_list.txt": "c\n",
    "test_list.txt": "d\ne\n",
    "test1k5_sec_list.txt": "c\n",
    "vatex_data.json": {"a": ["x", "x"], "b": ["y"], "c": ["z"], "d": ["w"]},
    **{f"videos/{id}.mp4": "" for id in "acde"},
}


def test_videos_captions_and_what_is_missing(write) -> None:
    directory = write(VATEX)
    collection = collect("vatex", directory)
    assert [(v.id, v.path, v.captions) for v in collection.videos] == [
        ("a", directory / "videos/a.mp4", ["x"]),
        ("c", directory / "videos/c.mp4", ["z"]),
        ("d", directory / "videos/d.mp4", ["w"]),
    ]
    assert collection.source == f"vatex:{directory}"
    assert collection.missing == {
        "b": f"no video file of that name in {directory}",
        "e": f"no captions of it in {directory}",
    }
    assert [*collection.splits] == [
        *("hgr-train", "hgr-val", "hgr-test"),
        *("test1k5-train", "test1k5-val", "test1k5-test"),
    ]
    assert collection.splits["hgr-train"] == {"a": ["x", "x"], "b": ["y"]}


def test_captions_without_a_word_are_dropped(write) -> None:
    captions = {"a": ["", "a dog", " \n"], "b": [" "], "c": ["z"], "d": ["w"], "e": ["v"]}
    files = {"vatex_data.json": captions, "videos/b.mp4": ""}
    directory = write(VATEX | files)
    collection = collect("vatex", directory)
    assert {video.id: video.captions for video in collection.videos}["a"] == ["a dog"]
    assert collection.missing == {"b": f"no captions of it in {directory}"}
    assert collection.splits["hgr-train"] == {"a": ["a dog"], "b": []}


def test_splits_and_protocols_are_chosen(write) -> None:
    directory = write(VATEX)
    assert [*collect("vatex", directory, ["hgr-test"]).splits] == ["hgr-test"]
    chosen = collect("vatex", directory, ["test1k5", "hgr-val"])
    assert [*chosen.splits] == ["test1k5-train", "test1k5-val", "test1k5-test", "hgr-val"]
    assert [v.id for v in collect("vatex", directory, ["hgr-val"]).videos] == ["c"]
    with pytest.raises(ValueError, match="no split 'hgr-tset', there are hgr-train, hgr-val"):
        collect("vatex", directory, ["hgr-tset"])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train_list.txt", "a\nd\n", "1 video of hgr-test also in hgr-train, such as d"),
        ("val_list.txt", "c\ne\n", "1 video of hgr-test also in hgr-val, such as e"),
        ("val_list.txt", "b\nc\n", "1 video of hgr-val also in hgr-train, such as b"),
    ],
)
def test_training_on_the_test_is_refused(write, file: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collect("vatex", write(VATEX | {file: text}), ["hgr"])


def test_training_on_the_test_of_msrvtt_is_refused(write) -> None:
    video = {"video_id": "video0", "split": "test"}
    sentence = {"video_id": "video0", "caption": "x"}
    files = {
        "MSRVTT_data.json": {"videos": [video], "sentences": [sentence]},
        "MSRVTT_JSFUSION_test.csv": "video_id,sentence\nvideo0,x\n",
        "MSRVTT_train.9k.csv": "video_id\nvideo0\n",
    }
    with pytest.raises(ValueError, match="of 1k-A-9k-test also in 1k-A-9k-train"):
        collect("msrvtt", write(files))
