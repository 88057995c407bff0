"""Tests of input_pipeline.sources.webdataset: what a tar alone can hold, and real ones."""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from input_pipeline.columns import columns
from input_pipeline.columns.columns import Row
from input_pipeline.media import picture
from input_pipeline.sources import opening, shards, webdataset
from tests import memory
from tests.input_pipeline.shard_files import encoded


@pytest.fixture
def samples(shared_data: Path) -> Path:
    return shared_data / "annotations" / "webdataset_samples"


def tar_of(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return str(path)


def test_members_of_a_key_make_a_sample(tmp_path: Path) -> None:
    caption = json.dumps({"caption": "from json"}).encode()
    file = tar_of(
        tmp_path / "a.tar",
        {
            "x/1.txt": b"one", "x/1.JPG": encoded(1), "x/2.json": caption, "x/2.png": encoded(2),
            "y/2.webp": encoded(3, kind="WEBP"), "y/2.txt": b"three", "4.jpg": encoded(4),
            "4.json": b'{"caption": ', "5.txt": b"five", "6.jpg": encoded(6),
            "6.json": b'["caption"]', "6.cls": b"7",
        },
    )  # fmt: skip
    found = list(webdataset.read(file))
    assert [item[0] for item in found] == ["x/1", "x/2", "y/2", "4", "5", "6"]
    captions = [item.captions for item in found if isinstance(item, shards.Found)]
    assert captions == [["one"], ["from json"], ["three"], []]
    assert "json can't be read" in found[3][1] and "0 pictures, wanted one" in found[4][1]


def refused(file: str) -> list[tuple[str, str]]:
    """(key, reason) of a tar in which nothing can be used."""
    found = list(webdataset.read(file))
    assert not any(isinstance(item, shards.Found) for item in found)
    return [(item[0], str(item[1])) for item in found]


def test_links_and_folders_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("1.txt"))
    ((key, reason),) = refused(str(tmp_path / "a.tar"))
    assert key == "1" and reason == "1.jpg is a link to /etc/passwd, wanted the file itself"


def test_members_of_a_key_may_stand_apart(tmp_path: Path) -> None:
    # As `tar --sort=name` and tars of folders by kind have them: pictures first, texts behind.
    members = {f"{n}.jpg": encoded(n) for n in range(3)} | {"note.txt": b"of no picture"}
    members |= {f"{n}.txt": b"picture %d" % n for n in (2, 0, 1)}
    found = list(webdataset.read(tar_of(tmp_path / "a.tar", members)))
    assert [item[:2] for item in found] == [
        ("0", ["picture 0"]), ("1", ["picture 1"]), ("2", ["picture 2"]),
        ("note", "0 pictures, wanted one; found txt"),
    ]  # fmt: skip


def test_hidden_members_are_no_data(tmp_path: Path) -> None:
    hidden = ["._1.jpg", "._1.txt", "x/._2.png", ".DS_Store", "x/.hidden.txt", "README"]
    special = ["__key__", "__info__", "__MACOSX__/x/1.jpg"]
    members = dict.fromkeys([*hidden, *special], b"\0\5\x16\7") | {
        "1.jpg": encoded(1), "1.txt": b"one", "x/2.png": encoded(2, kind="PNG"), "x/2.txt": b"two",
    }  # fmt: skip
    found = list(webdataset.read(tar_of(tmp_path / "a.tar", members)))
    assert [item[:2] for item in found] == [("1", ["one"]), ("x/2", ["two"])]


def test_a_sample_that_comes_again_is_another_one(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in 2 * [("1.jpg", encoded(1)), ("1.txt", b"one")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    found: list[Any] = list(webdataset.read(str(tmp_path / "a.tar")))
    assert [item[:2] for item in found] == [("1", ["one"])] * 2
    assert found[0][3] < found[1][3]  # offsets: the first is the one that comes first


def test_captions_of_a_json_may_be_several_or_stand_in_for_an_empty_text(tmp_path: Path) -> None:
    members = {
        "1.jpg": encoded(1), "1.json": b'{"caption": ["a", "b"]}',
        "2.jpg": encoded(2), "2.txt": b" ", "2.json": b'{"caption": "c"}',
    }  # fmt: skip
    found = list(webdataset.read(tar_of(tmp_path / "a.tar", members)))
    assert [item[1] for item in found] == [["a", "b"], ["c"]]


def test_a_json_may_say_where_what_is_captioned_is_seen(tmp_path: Path) -> None:
    members = {
        "1.jpg": encoded(1), "1.txt": b"a", "1.json": b'{"box": [0, 0.25, 1, 0.5]}',
        "2.jpg": encoded(2), "2.txt": b"b", "2.json": b'{"box": null}',
        "3.jpg": encoded(3), "3.txt": b"c", "3.json": b"cut short",
        "4.jpg": encoded(4), "4.json": b'{"caption": "d", "box": [0, 0, 0.5, 0.5]}',
        "5.jpg": encoded(5), "5.txt": b"e",
    }  # fmt: skip
    found: list[Any] = list(webdataset.read(tar_of(tmp_path / "a.tar", members)))
    assert [item.captions for item in found] == [["a"], ["b"], ["c"], ["d"], ["e"]]
    assert [item.box for item in found] == [[0, 0.25, 1, 0.5], [], [], [0, 0, 0.5, 0.5], []]
    members = {"1.jpg": encoded(1), "1.txt": b"a", "1.json": b'{"box": [0, 0, 30, 40]}'}
    ((key, reason),) = refused(tar_of(tmp_path / "b.tar", members))
    assert key == "1" and reason.startswith('"box" [0, 0, 30, 40], wanted [top, left')


def test_dots_in_keys_are_named_as_the_reason(tmp_path: Path) -> None:
    members = {"photo.1.jpg": encoded(1), "photo.1.txt": b"x", "photo.2.jpg": encoded(2)}
    ((key, reason),) = refused(tar_of(tmp_path / "a.tar", members))
    assert key == "photo" and reason.endswith(
        "a key ends at the first dot of a name, so remove the dots from keys"
    )


def test_what_stands_apart_in_a_tar_that_is_cut_short_is_used(tmp_path: Path) -> None:
    members = {"1.jpg": encoded(1), "2.jpg": encoded(2), "1.txt": b"one", "2.txt": b"x" * 3000}
    path = Path(tar_of(tmp_path / "a.tar", members))
    with tarfile.open(path) as tar:
        start = tar.getmember("2.txt").offset_data
    path.write_bytes(path.read_bytes()[: start + 1000])
    sound, cut = webdataset.read(str(path))
    where, reason = cut[0], str(cut[1])
    assert sound[:2] == ("1", ["one"])
    assert where == f"{path} from some point on" and "can't be read as a tar" in reason


def hole(name: str, gibibytes: int, start: int) -> bytes:
    """A GNU sparse member of so many gibibytes, of which 512 bytes from `start` on are there."""
    member = tarfile.TarInfo(name)
    member.size = 512
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398] = b"%011o\0" % start
    header[398:410] = b"%011o\0" % 512
    header[483:495] = b"\x80" + (gibibytes << 30).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"\0" * 512


@pytest.mark.parametrize("extension", ["jpg", "txt", "json"])
def test_members_with_holes_are_not_filled(tmp_path: Path, extension: str) -> None:
    file = tmp_path / "a.tar"
    members = {"jpg": encoded(2), "txt": b"y"}
    sound = [n for n in members if n != extension and (n, extension) != ("txt", "json")]
    tar_of(file, {f"1.{name}": members[name] for name in sound})
    file.write_bytes(hole(f"1.{extension}", 900, 0) + file.read_bytes())
    with memory.rising_less(50_000):
        ((key, reason),) = refused(str(file))
    assert key == "1" and f"1.{extension} has holes" in reason


def test_members_that_are_too_long_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "MAX_BYTES", 4000)
    members = {"a.jpg": encoded(1), "a.txt": b"x", "b.jpg": encoded(2), "b.txt": b"y" * 4001}
    found = list(webdataset.read(tar_of(tmp_path / "a.tar", members)))
    assert isinstance(found[0], shards.Found)
    assert found[1] == ("b", "4001 bytes, wanted 4000 at most")


def test_a_json_without_end_costs_its_sample(tmp_path: Path) -> None:
    members = {"a.jpg": encoded(1), "a.json": b"[" * 100_000, "b.jpg": encoded(2), "b.txt": b"y"}
    bad, sound = webdataset.read(tar_of(tmp_path / "a.tar", members))
    assert bad[0] == "a" and "its json can't be read" in bad[1] and sound[0] == "b"


def test_what_is_no_tar_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar" * 500)
    ((where, reason),) = refused(str(tmp_path / "a.tar"))
    assert where.startswith(str(tmp_path / "a.tar")) and "can't be read as a tar" in reason


def _given(rows: list[Row], _: dict[str, str]) -> list[Row]:
    return rows


def test_real_tars_of_pictures(samples: Path) -> None:
    files = sorted(map(str, samples.glob("clip_retrieval_*.tar")))
    assert len(files) == 4
    for file in files:
        found = list(webdataset.read(file))
        assert found and all(isinstance(item, shards.Found) for item in found)
        rows = [
            Row(item.id, ["x"], (1, 1), offset=item.offset, length=item.length)
            for item in found
            if isinstance(item, shards.Found)
        ]
        fetch = webdataset.fetch([file], columns.held(functools.partial(_given, rows)))
        with tarfile.open(file) as tar:
            for n, member in enumerate(tar.getmembers()):
                held = tar.extractfile(member)
                assert held is not None
                assert fetch(tf.constant(n, tf.int64)).numpy().tolist() == [held.read()]


def test_a_real_tar_of_videos_says_what_it_holds(samples: Path) -> None:
    found = list(webdataset.read(str(samples / "video2dataset_return_all_test.tar")))
    assert len(found) == 6
    assert {item[1] for item in found} == {"0 pictures, wanted one; found json, mp4, txt"}


def test_an_empty_tar_leaves_the_others_readable(tmp_path: Path) -> None:
    for name in ("0", "2"):
        tar_of(tmp_path / f"{name}.tar", {"a.jpg": encoded(1), "a.txt": b"a caption"})
    (tmp_path / "1.tar").touch()
    source = f"webdataset:{tmp_path / '*.tar'}"
    examples = opening.open_source(source, str(tmp_path / "cache"))
    assert len(examples.ids) == 2
    for number in range(2):
        (found,) = examples.fetch(tf.constant(number, tf.int64)).numpy().tolist()
        assert found == encoded(1)


def six(path: Path) -> dict[str, int]:
    """A tar of six samples. Returns where the header of each member begins."""
    members: dict[str, bytes] = {}
    for n in range(6):
        members |= {f"{n}.jpg": encoded(n), f"{n}.txt": b"picture %d" % n}
    with tarfile.open(tar_of(path, members)) as tar:
        return {member.name: member.offset for member in tar}


def damaged_header(file: Path, starts: dict[str, int]) -> None:
    data = bytearray(file.read_bytes())
    data[starts["3.jpg"]] ^= 0xFF
    file.write_bytes(data)


def cut_within_a_header(file: Path, starts: dict[str, int]) -> None:
    file.write_bytes(file.read_bytes()[: starts["3.jpg"] + 300])


def joined(file: Path, _: dict[str, int]) -> None:
    other = Path(tar_of(file.with_name("b.tar"), {"7.jpg": encoded(7), "7.txt": b"seven"}))
    file.write_bytes(file.read_bytes() + other.read_bytes())


@pytest.mark.parametrize(
    ("damage", "sound", "said"),
    [
        (damaged_header, 3, "no header of a member at byte "),
        (cut_within_a_header, 3, "no header of a member at byte "),
        (joined, 6, "more than zeros behind its end at byte "),
    ],
)
def test_what_a_tar_loses_in_its_middle_is_told(
    tmp_path: Path, damage: Callable[[Path, dict[str, int]], None], sound: int, said: str
) -> None:
    file = tmp_path / "a.tar"
    damage(file, six(file))
    *found, last = webdataset.read(str(file))
    where, reason = map(str, last[:2])
    assert [item[:2] for item in found] == [(f"{n}", [f"picture {n}"]) for n in range(sound)]
    assert where == f"{file} from some point on"
    assert reason.startswith(f"can't be read as a tar: {said}"), reason


@pytest.mark.parametrize("end", [0, 512, 1024, 10240, 1 << 21])
def test_any_zeros_or_none_end_a_tar(tmp_path: Path, end: int) -> None:
    file = tmp_path / "a.tar"
    last = six(file)["5.txt"] + 1024
    file.write_bytes(file.read_bytes()[:last] + b"\0" * end)
    assert [item[0] for item in webdataset.read(str(file))] == [f"{n}" for n in range(6)]
