"""Tests of input_pipeline.sources.folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import picture, quarantine
from input_pipeline.media.video import write_video
from input_pipeline.sources import folder
from input_pipeline.store import records, videos


def write_captions(directory: Path, lines: Sequence[dict | str]) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (directory / "captions.jsonl").write_text("\n".join(texts) + "\n")


def write_picture(path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path)


def image(name: str, **fields: object) -> dict:
    return {"image": name, "captions": ["x"]} | fields


def test_a_listing_is_what_captions_say(tmp_path: Path) -> None:
    write_captions(tmp_path, [image("a.jpg"), "", image("sub/b.png", captions=["y", "z"])])
    listing = folder.read_listing(str(tmp_path))
    assert not listing.is_video and listing.directory == tmp_path
    assert listing.items == [folder.Item("a.jpg", ["x"]), folder.Item("sub/b.png", ["y", "z"])]
    assert listing.selected == listing.items


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("pool=true", ["a", "c"]), ("pool=false", ["b"]), ("split=train", ["a", "b"]),
        ("split=7", ["c"]), ("n=1", ["a"]), ("n=1.0", ["a"]), ("n=2.5", ["b"]), ("n=true", ["c"]),
    ],
)  # fmt: skip
def test_a_condition_keeps_lines(tmp_path: Path, condition: str, kept: list[str]) -> None:
    lines = [
        image("a", pool=True, split="train", n=1),
        image("b", pool=False, split="train", n=2.5),
        image("c", pool=True, split="7", n=True),
    ]
    write_captions(tmp_path, lines)
    listing = folder.read_listing(f"{tmp_path}@{condition}")
    assert [item.file for item in listing.selected] == kept
    assert len(listing.items) == 3


def test_a_directory_may_have_an_at_sign(tmp_path: Path) -> None:
    (tmp_path / "me@home").mkdir()
    write_captions(tmp_path / "me@home", [image("a")])
    assert len(folder.read_listing(str(tmp_path / "me@home")).items) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"image": ', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("\ufffd\0", "not JSON"),
        ("[1]", "found '.1.', wanted a JSON object"),
        ({"captions": ["x"]}, 'wanted one of "image" and "video"'),
        (image("a", video="b"), 'wanted one of "image" and "video"'),
        ({"image": 3, "captions": ["x"]}, 'wanted one of "image" and "video"'),
        (image("a", captions=[]), "'a' has no \"captions\""),
        (image("a", captions=3), "captions .* wanted a list of texts"),
        (image("a", captions=None), "captions .* wanted a list of texts"),
        (image("a", captions=["x", 3]), "captions .* wanted a list of texts"),
        (image("a", captions=["", " "]), "all captions of 'a' are empty"),
        (image("a", captions=["\ud800"]), "surrogates not allowed"),
        *(
            (image("a", box=box), '"box" .*, wanted .top, left, bottom, right. as fractions')
            for box in (
                [0, 0, 1],
                [0, 0, 9, 9],
                [0.5, 0, 0.5, 1],
                [0, True, 1, 1],
                "x",
                [0, 0, 1, "1"],
            )
        ),
        (image("../a"), "'../a' is outside"),
        (image("/etc/passwd"), "'/etc/passwd' is outside"),
        (image("a\0b"), "is outside"),
    ],
)
def test_wrong_lines_are_left_out_and_named(tmp_path: Path, line: dict | str, reason: str) -> None:
    write_captions(tmp_path, [image("good"), line, image("last")])
    listing = folder.read_listing(str(tmp_path))
    assert [item.file for item in listing.items] == ["good", "last"]
    ((where, found),) = listing.bad
    assert where == "captions.jsonl line 2" and re.search(reason, found), found


def test_a_file_may_have_a_line_for_each_caption(tmp_path: Path) -> None:
    lines = [
        {"image": "a.jpg", "caption": "one", "split": "train", "n": 0},
        {"image": "b.jpg", "captions": "two", "split": "train", "n": 1},
        {"image": "a.jpg", "captions": ["three", "four"], "split": "train", "n": 2},
        {"image": "./a.jpg", "caption": "five", "split": "val", "n": 3},
        {"image": "a.jpg", "caption": "one", "split": "train", "n": 4},
    ]
    write_captions(tmp_path, lines)
    listing = folder.read_listing(str(tmp_path))
    assert not listing.bad
    assert [(item.file, item.captions) for item in listing.items] == [
        ("a.jpg", ["one", "three", "four", "five", "one"]),
        ("b.jpg", ["two"]),
    ]
    # A filter chooses lines; a store can only choose by what all lines of a file agree on.
    assert [item.fields for item in listing.items] == [{}, {"split": "train", "n": 1}]
    train = folder.read_listing(f"{tmp_path}@split=train").selected
    assert [item.captions for item in train] == [["one", "three", "four", "one"], ["two"]]
    assert train[0].fields == {"split": "train"}
    (val,) = folder.read_listing(f"{tmp_path}@split=val").selected
    assert val.captions == ["five"]


def test_a_picture_may_have_a_box_if_all_its_lines_agree(tmp_path: Path) -> None:
    box, other = [0.1, 0, 1, 0.5], [0, 0, 0.5, 0.5]
    lines = [
        image("a", box=box), image("a", box=box), image("b", box=box), image("b", box=other),
        image("c", box=other), image("c"), image("d", box=None),
    ]  # fmt: skip
    write_captions(tmp_path, lines)
    listing = folder.read_listing(str(tmp_path))
    assert [item.fields for item in listing.items] == [
        {"box": [0.1, 0, 1, 0.5]},
        {},
        {},
        {"box": None},
    ]
    assert not listing.bad
    write_captions(tmp_path, [{"video": "a.mp4", "captions": ["x"], "box": "no picture's"}])
    assert folder.read_listing(str(tmp_path)).items[0].fields == {}


def test_videos_have_the_captions_of_the_lines_that_are_kept(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8)
    lines = [{"video": "a.mp4", "caption": f"{n}", "part": n % 2} for n in range(4)]
    write_captions(tmp_path, lines)
    whole = folder.read_listing(str(tmp_path))
    directory = folder.prepared_videos(whole, tmp_path / "cache")
    index = records.read_index(directory)
    assert [line["captions"] for line in index] == [["0", "1", "2", "3"]]
    odd = folder.read_listing(f"{tmp_path}@part=1")
    kept, missing = folder.usable(odd, index, directory)
    assert [line["captions"] for line in kept] == [["1", "3"]] and not missing


def test_a_line_ends_where_json_lines_end(tmp_path: Path) -> None:
    captions = ["a\u2028b", "c\x85d", "e"]
    lines = [json.dumps(image(name, captions=captions), ensure_ascii=False) for name in "ab"]
    (tmp_path / "captions.jsonl").write_bytes("\r\n".join(lines).encode())
    listing = folder.read_listing(str(tmp_path))
    assert [item.captions for item in listing.items] == [captions, captions]


def test_a_folder_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    write_captions(tmp_path / "pictures", [image("a")])
    assert folder.read_listing("~/pictures").directory == tmp_path / "pictures"


def test_bytes_that_are_no_utf8_cost_their_line(tmp_path: Path) -> None:
    lines = [json.dumps(image("a")).encode(), b"\xff\xfe{", json.dumps(image("b")).encode()]
    (tmp_path / "captions.jsonl").write_bytes(b"\n".join(lines))
    listing = folder.read_listing(str(tmp_path))
    assert [item.file for item in listing.items] == ["a", "b"] and len(listing.bad) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([image("a"), {"video": "b", "captions": ["x"]}], "line 2: pictures and videos"),
        ([""], "no line among 0, wanted 1 or more"),
        (["{", "["], "no line among 0, wanted 1 or more; captions.jsonl line 1: not JSON"),
    ],
)
def test_what_leaves_nothing_is_an_error(tmp_path: Path, lines: list, message: str) -> None:
    write_captions(tmp_path, lines)
    with pytest.raises(ValueError, match=message):
        folder.read_listing(str(tmp_path))


def test_empty_captions_are_left_out_long_ones_kept(tmp_path: Path) -> None:
    long = "word " * 10_000
    write_captions(tmp_path, [image("a", captions=["", long, " \n"])])
    assert folder.read_listing(str(tmp_path)).items[0].captions == [long]


def test_names_that_no_file_can_have_cost_their_line(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "folder.png").mkdir()
    names = ["loop.png", "x" * 5000 + ".png", "folder.png", "", "a.png"]
    write_captions(tmp_path, [*map(image, names), *(image(f"{n}.png") for n in range(3))])
    for n in range(3):
        write_picture(tmp_path / f"{n}.png")
    listing = folder.read_listing(str(tmp_path))
    folder.check_pictures(listing, tmp_path / "cache")
    listed = quarantine.read(tmp_path / "cache" / "quarantine.jsonl")
    assert [*listed] == names[:4] and "too long" in listed[names[1]]


def test_links_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "secret.png")
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "secret.png")
    write_captions(tmp_path / "in", [image("a.png"), image("b.png")])
    listing = folder.read_listing(str(tmp_path / "in"))
    assert [item.file for item in listing.items] == ["b.png"]
    assert "'a.png' is outside" in listing.bad[0][1]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone: no such directory"):
        folder.read_listing(str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="captions.jsonl: no such file"):
        folder.read_listing(str(tmp_path))
    write_captions(tmp_path, [image("a", split="train"), image("b")])
    with pytest.raises(ValueError, match="line 2: no field 'split' to choose by"):
        folder.read_listing(f"{tmp_path}@split=train")
    write_captions(tmp_path, [image("a", split="train")])
    with pytest.raises(ValueError, match="no line with split = test among 1"):
        folder.read_listing(f"{tmp_path}@split=test")
    with pytest.raises(ValueError, match="wanted FIELD=VALUE"):
        folder.read_listing(f"{tmp_path}@split")
    with pytest.raises(ValueError, match="no field before ="):
        folder.read_listing(f"{tmp_path}@=x")


def test_bad_pictures_are_quarantined_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.jpg", "b.png", "cut.jpg", "c.gif", "gone.jpg", "text.jpg", "d.jpg", "e.webp"]
    for name in names:
        if name != "gone.jpg":
            write_picture(tmp_path / name)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-300])
    (tmp_path / "text.jpg").write_text("<html>")
    write_picture(tmp_path / "d.jpg", mode="CMYK")
    write_captions(tmp_path, [*map(image, names), "{", "[]"])
    cache = tmp_path / "cache"
    listing = folder.read_listing(str(tmp_path))
    kept, missing = folder.checked_pictures(listing, cache)
    assert [found.item.file for found in kept] == ["a.jpg", "b.png", "c.gif", "d.jpg", "e.webp"]
    assert all(found.header == (30, 40, 1) for found in kept)
    (path,) = cache.glob("*/quarantine.jsonl")
    bad = {line["file"]: line["reason"] for line in map(json.loads, path.read_text().splitlines())}
    lines = ["captions.jsonl line 9", "captions.jsonl line 10"]
    assert list(bad) == [*lines, "cut.jpg", "gone.jpg", "text.jpg"]
    assert missing == bad
    assert "truncated" in bad["cut.jpg"] and bad["gone.jpg"] == "no such file"
    assert "cannot identify" in bad["text.jpg"] and "JSON object" in bad[lines[1]]
    said = capsys.readouterr().err
    assert "5 of 10 files can't be used, such as " in said and f"listed in {path}" in said

    monkeypatch.setattr(picture, "check", lambda path: pytest.fail("checked again"))
    assert folder.checked_pictures(listing, cache) == (kept, missing)
    assert "5 of 10 files can't be used" in capsys.readouterr().err


def test_over_half_bad_stops(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    write_captions(tmp_path, [image("a.jpg", n=1), image("b.jpg", n=1), image("c.jpg", n=2)])
    with pytest.raises(ValueError, match="over half .* 2 of 3 .*quarantine.jsonl"):
        folder.checked_pictures(folder.read_listing(str(tmp_path)), tmp_path / "cache")
    # What counts is what is asked for.
    listing = folder.read_listing(f"{tmp_path}@n=1")
    kept, missing = folder.checked_pictures(listing, tmp_path / "cache")
    assert len(kept) == 1 and missing == {"b.jpg": "no such file"}


def test_videos_are_prepared_once_and_chosen_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.mp4", "cut.mp4"):
        write_video(tmp_path / name, np.zeros((4, 32, 32, 3), np.uint8), 8)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "cut.mp4").read_bytes()[:-200])
    lines = [
        {"video": name, "captions": [name], "pool": name != "a.mp4"}
        for name in ("cut.mp4", "b.mp4", "a.mp4")
    ]
    write_captions(tmp_path, [*lines, "{"])
    cache = tmp_path / "cache"
    listing = folder.read_listing(str(tmp_path))
    assert listing.is_video
    directory = folder.prepared_videos(listing, cache)
    index = records.read_index(directory)
    assert [line["id"] for line in index] == ["b.mp4", "a.mp4"]
    kept, missing = folder.usable(listing, index, directory)
    assert kept == index and list(missing) == ["captions.jsonl line 4", "cut.mp4"]
    assert "2 of 4 files can't be used" in capsys.readouterr().err
    listed = records.read_lines(directory / "quarantine.jsonl")
    assert [(line["file"], line.get("fields")) for line in listed] == [
        ("captions.jsonl line 4", None),
        ("cut.mp4", {"pool": True}),
    ]

    monkeypatch.setattr(videos, "prepare_videos", lambda *_, **__: pytest.fail("prepared again"))
    pool = folder.read_listing(f"{tmp_path}@pool=true")
    assert folder.prepared_videos(pool, cache) == directory
    with pytest.raises(ValueError, match="over half .* 2 of 3 files can't be used"):
        folder.usable(pool, index, directory)
    others = folder.read_listing(f"{tmp_path}@pool=false")
    assert [line["id"] for line in folder.usable(others, index, directory)[0]] == ["a.mp4"]
    assert "1 of 2 files can't be used" in capsys.readouterr().err


def test_other_captions_have_another_cache(tmp_path: Path) -> None:
    write_captions(tmp_path, [image("a")])
    before = folder.read_listing(str(tmp_path)).cache("cache")
    assert folder.read_listing(str(tmp_path)).cache("cache") == before
    write_captions(tmp_path, [image("a", captions=["y"])])
    assert folder.read_listing(str(tmp_path)).cache("cache") != before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"image": "b.jpg", "captions": ["x"], "captions": ["y"]}', "found 'captions' twice in"),
        (b'{"image": "b.jpg", "image": "a.jpg", "caption": "x"}', "found 'image' twice in one"),
        (b'{"image": "b.jpg", "caption": "caf\xe9"}', "not UTF-8: .*save the file as UTF-8"),
    ],
)
def test_a_line_that_would_lose_or_change_a_caption_is_bad(tmp_path, line, why):
    good = b'{"image": "a.jpg", "caption": "caf\xc3\xa9"}\n'
    (tmp_path / "captions.jsonl").write_bytes(good + line + b"\n")
    listing = folder.read_listing(str(tmp_path))
    assert [item.captions for item in listing.items] == [["caf\u00e9"]]
    ((name, reason),) = listing.bad
    assert name == "captions.jsonl line 2" and re.search(why, reason), reason
