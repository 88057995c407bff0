"""Tests of input_pipeline.video_sets.msrvtt."""

from __future__ import annotations

import csv
import gzip
import io

import pytest

from input_pipeline.video_sets import msrvtt
from input_pipeline.video_sets.download import Download

SPLIT = {"video0": "train", "video1": "validate", "video2": "test", "video3": "test"}


def data(ids: list[str]) -> dict:
    return {
        "info": {},
        "videos": [{"video_id": id, "split": SPLIT[id]} for id in ids],
        "sentences": [
            {"sen_id": n, "video_id": id, "caption": f"{id} {n}"} for n in (0, 1) for id in ids
        ],
    }


FILES = {
    "MSRVTT_data.json": data([*SPLIT]),
    "MSRVTT_JSFUSION_test.csv": "key,vid_key,video_id,sentence\nret0,msr3,video3,the test\n",
    "MSRVTT_train.9k.csv": "video_id\nvideo0\nvideo1\nvideo2\n",
    "MSRVTT_train.7k.csv": "video_id\nvideo0\nvideo1\n",
}
RELEASE = {
    "train_val_videodatainfo.json": data(["video0", "video1"]),
    "test_videodatainfo.json": data(["video2", "video3"]),
}


def test_the_three_protocols(write) -> None:
    splits = msrvtt.read(Download(write(FILES)))
    assert {name: [*videos] for name, videos in splits.items()} == {
        "full-train": ["video0"],
        "full-val": ["video1"],
        "full-test": ["video2", "video3"],
        "1k-A-9k-train": ["video0", "video2"],
        "1k-A-9k-val": ["video1"],
        "1k-A-9k-trainval": ["video0", "video1", "video2"],
        "1k-A-9k-test": ["video3"],
        "1k-A-7k-train": ["video0"],
        "1k-A-7k-val": ["video1"],
        "1k-A-7k-trainval": ["video0", "video1"],
        "1k-A-7k-test": ["video3"],
    }
    assert splits["full-test"]["video3"] == ["video3 0", "video3 1"]
    assert splits["1k-A-9k-test"]["video3"] == ["the test"]


def test_each_row_of_the_test_list_is_a_query(write) -> None:
    rows = "ret0,msr3,video3,the test\nret1,msr2,video2,x\nret2,msr3,video3,a second caption\n"
    files = FILES | {"MSRVTT_JSFUSION_test.csv": f"key,vid_key,video_id,sentence\n{rows}"}
    splits = msrvtt.read(Download(write(files | {"MSRVTT_train.9k.csv": "video_id\nvideo0\n"})))
    wanted = {"video3": ["the test", "a second caption"], "video2": ["x"]}
    assert splits["1k-A-9k-test"] == splits["1k-A-7k-test"] == wanted


def test_the_release_holds_the_same(write) -> None:
    assert msrvtt.read(Download(write(RELEASE, "a"))) == {
        name: videos
        for name, videos in msrvtt.read(Download(write(FILES, "b"))).items()
        if name.startswith("full")
    }


def test_what_is_wrong_is_named(write) -> None:
    with pytest.raises(FileNotFoundError, match="no train_val_videodatainfo.json"):
        msrvtt.read(Download(write({"x": ""}, "a")))
    with pytest.raises(ValueError, match="MSRVTT_data.json: .*'sentences'"):
        msrvtt.read(Download(write({"MSRVTT_data.json": {"videos": []}}, "b")))
    with pytest.raises(ValueError, match="train.9k.csv: 'video9' and 0 more have no captions"):
        msrvtt.read(Download(write(FILES | {"MSRVTT_train.9k.csv": "video_id\nvideo9\n"}, "c")))


@pytest.mark.parametrize(
    "broken",
    [
        {"sentences": [{"video_id": "video0", "caption": 3}]},
        {"sentences": [{"video_id": 0, "caption": "x"}]},
        {"sentences": [{"video_id": ["video0"], "caption": "x"}]},
        {"sentences": ["video0"]},
        {"sentences": 3},
        {"videos": [{"video_id": "video0", "split": "extra"}]},
        {"videos": [{"video_id": [], "split": "train"}]},
        {"videos": None},
    ],
)
def test_what_can_not_be_a_caption_or_a_video_is_named(write, broken) -> None:
    directory = write(FILES | {"MSRVTT_data.json": data([*SPLIT]) | broken})
    with pytest.raises(ValueError, match="MSRVTT_data.json: "):
        msrvtt.read(Download(directory))


def test_what_is_no_file_of_msr_vtt_is_said_in_words(write) -> None:
    directory = write(FILES | {"MSRVTT_data.json": []}, "a")
    with pytest.raises(ValueError, match="wanted an object with lists of sentences and videos"):
        msrvtt.read(Download(directory))
    wrong = {"videos": [{"video_id": "video0", "split": "valid"}]}
    directory = write(FILES | {"MSRVTT_data.json": data([*SPLIT]) | wrong}, "b")
    with pytest.raises(ValueError, match="found the split 'valid', wanted train, "):
        msrvtt.read(Download(directory))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('ret0,msr3,video3,"a quotation mark\nret1,msr2,video2,swallowed\n', "not a CSV table"),
        (f"ret0,msr3,video3,{'x' * 200_000}\n", "not a CSV table: field larger"),
        ("ret0,msr3\n", "line 2: found "),
        ("\x00\x00,,\n", "line 2: found |not a CSV table"),
    ],
)
def test_a_broken_row_of_a_list_is_named(write, row, reason) -> None:
    header = "key,vid_key,video_id,sentence\n"
    directory = write(FILES | {"MSRVTT_JSFUSION_test.csv": header + row})
    with pytest.raises(ValueError, match=f"MSRVTT_JSFUSION_test.csv:? ?.*({reason})"):
        msrvtt.read(Download(directory))


def test_real_counts(real) -> None:
    lists = ("MSRVTT_JSFUSION_test.csv", "MSRVTT_train.9k.csv", "MSRVTT_train.7k.csv")
    folder = real("msrvtt", "MSRVTT_data.merged.json", *lists)
    splits = msrvtt.read(Download(folder))
    counts = {name: (len(v), sum(map(len, v.values()))) for name, v in splits.items()}
    assert counts == {
        "full-train": (6_513, 130_260),
        "full-val": (497, 9_940),
        "full-test": (2_990, 59_800),
        "1k-A-9k-train": (8_503, 170_060),
        "1k-A-9k-val": (497, 9_940),
        "1k-A-9k-trainval": (9_000, 180_000),
        "1k-A-9k-test": (1_000, 1_000),
        "1k-A-7k-train": (6_513, 130_260),
        "1k-A-7k-val": (497, 9_940),
        "1k-A-7k-trainval": (7_010, 140_200),
        "1k-A-7k-test": (1_000, 1_000),
    }
    assert sum(counts[f"full-{part}"][1] for part in ("train", "val", "test")) == 200_000
    assert splits["1k-A-9k-test"]["video7020"] == ["a woman creating a fondant baby and flower"]
    assert [*splits["full-val"]] == [f"video{n}" for n in range(6513, 7010)]
    assert not splits["1k-A-9k-trainval"].keys() & splits["1k-A-9k-test"].keys()
    assert splits["1k-A-9k-test"].keys() <= splits["full-test"].keys()


def test_the_real_release_and_published_lists_agree(real) -> None:
    parts = ("train", "val", "test")
    lists = [f"MSRVTT_{part}.full.csv" for part in parts]
    folder = real("msrvtt", *msrvtt.RELEASE, *lists)
    splits = msrvtt.read(Download(folder))
    assert sum(len(texts) for v in splits.values() for texts in v.values()) == 200_000
    videos = [v for name in msrvtt.RELEASE for v in Download(folder).json(name)["videos"]]
    held_out = {v["url"] for v in videos if v["video_id"] in splits["full-val"]}
    others = {v["url"] for v in videos if v["video_id"] not in splits["full-val"]}
    assert len(videos) == 10_000 and not held_out & others, "two clips of one film"
    for part, name in zip(parts, lists, strict=True):
        text = gzip.decompress((folder / f"{name}.gz").read_bytes()).decode()
        ids = [row["video_id"] for row in csv.DictReader(io.StringIO(text))]
        assert set(splits[f"full-{part}"]) == set(ids) and len(ids) == len(set(ids))
