"""Tests of input_pipeline.sources.captions_files: every format gives the rows of captions.jsonl."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from input_pipeline.sources import folder, opening
from input_pipeline.sources.captions_files import choosing, rows, whole_json
from input_pipeline.video_sets import preparable
from tests import captioned

COCO = {
    "images": [
        {"id": 7, "file_name": "a.jpg", "split": "x"},
        {"id": 8, "file_name": "b.jpg", "split": "y"},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "caption": "one"},
        {"id": 2, "image_id": 8, "caption": "three"},
        {"id": 3, "image_id": 7, "caption": "two"},
    ],
}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {"filename": "a.jpg", "split": "x", "sentences": [{"raw": "one"}, {"raw": "two"}]},
        {"filename": "b.jpg", "filepath": "", "split": "y", "sentences": [{"raw": "three"}]},
    ],
}
ROWS = "{0}\na.jpg{1}one{1}x\na.jpg{1}two{1}x\nb.jpg{1}three{1}y\n"
OBJECTS = [
    {"file_name": "a.jpg", "text": "one", "split": "x"},
    {"file_name": "a.jpg", "text": ["two"], "split": "x"},
    {"file_name": "b.jpg", "text": "three", "split": "y"},
]
SAME = {
    "captions.csv": ROWS.format("image,caption,split", ","),
    "captions.tsv": ROWS.format("filepath\ttitle\tsplit", "\t"),
    "metadata.csv": ROWS.format("file_name,text,split", ",").replace("\n", "\r\n"),
    "metadata.jsonl": "\n".join(map(json.dumps, OBJECTS)),
    "captions.json": json.dumps(OBJECTS),
    "captions_val2014.json": json.dumps(COCO),
    "dataset_coco.json": json.dumps(KARPATHY),
}


def write(directory: Path, name: str, text: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def bad(directory: Path) -> str:
    """The one row that is bad beside the good ones."""
    ((where, reason),) = folder.read_listing(str(directory)).bad
    return f"{where}: {reason}"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", SAME)
def test_every_format_gives_the_same_captions(tmp_path: Path, name: str, mark: bytes) -> None:
    write(tmp_path, name, mark + SAME[name].encode())
    listing = folder.read_listing(str(tmp_path))
    assert not listing.bad and not listing.is_video and listing.path == tmp_path / name
    found = [(item.file, item.captions, item.fields["split"]) for item in listing.items]
    assert found == [("a.jpg", ["one", "two"], "x"), ("b.jpg", ["three"], "y")]
    (chosen,) = folder.read_listing(f"{tmp_path}@split=y").selected
    assert chosen.captions == ["three"]
    with pytest.raises(ValueError, match=f"{name} .*: no field 'part' to choose by"):
        folder.read_listing(f"{tmp_path}@part=1")


@pytest.mark.parametrize("name", SAME)
def test_a_format_is_utf8(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, SAME[name].encode("utf-16"))
    with pytest.raises(ValueError, match=f"{name}: is UTF-16, wanted UTF-8"):
        folder.read_listing(str(tmp_path))


def test_pictures_open_by_a_table(tmp_path: Path) -> None:
    for name in "ab":
        captioned.write_photo(tmp_path / f"{name}.jpg")
    write(tmp_path, "captions.csv", "image,caption\na.jpg,one\nb.jpg,two\ngone.jpg,three\n../c,x\n")
    source = opening.open_source(f"folder:{tmp_path}", str(tmp_path / "cache"))
    assert [*source.ids] == ["a.jpg", "b.jpg"]
    assert [*map(list, source.captions)] == [["one"], ["two"]]
    assert list(source.missing) == ["captions.csv line 5", "gone.jpg"]
    assert "'../c' is outside" in source.missing["captions.csv line 5"]
    named = opening.open_source(f"folder:{tmp_path}/captions.csv", str(tmp_path / "cache"))
    assert [*named.ids] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("file", "kind"), [("a.MP4", "video"), ("a.jpg", "image"), ("a.gif", "image"), ("a", "image")]
)
def test_a_suffix_says_what_a_file_is(file: str, kind: str) -> None:
    assert rows.named({"file_name": file, "text": "x"}).kind == kind
    assert rows.named({"video": file, "text": "x"}).kind == "video"


def test_the_first_name_counts_and_the_others_are_fields() -> None:
    values = {"path": "p", "file_name": "f", "title": "t", "text": "x", "captions": ["c"]}
    assert rows.named(values) == ("image", "f", ["c"], {"path": "p", "title": "t", "text": "x"})
    assert rows.named({"image": "i", "captions": "a", "caption": "b"}).captions == ["a", "b"]
    assert rows.named({"image": "i"}).captions is None


def test_own_file_first_then_the_only_one_or_the_one_named(tmp_path: Path) -> None:
    write(tmp_path, "metadata.csv", SAME["metadata.csv"])
    other = write(tmp_path, "dataset_coco.json", SAME["dataset_coco.json"])
    write(tmp_path, "old.csv", "image,text\nc.jpg,x\n")
    several = "found dataset_coco.json, metadata.csv, wanted one .*such as folder:/.*coco.json"
    with pytest.raises(ValueError, match=several):
        folder.read_listing(str(tmp_path))
    assert folder.read_listing(f"{other}@split=y").selected[0].captions == ["three"]
    assert folder.read_listing(str(tmp_path / "old.csv")).items[0].file == "c.jpg"
    own = write(tmp_path, "captions.jsonl", '{"image": "own.jpg", "caption": "x"}\n')
    assert choosing.find(tmp_path) == own


def test_what_is_no_captions_file_is_said(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", "")
    advice = f"captions.jsonl: no such file; .*name it: folder:{tmp_path}/labels.csv$"
    with pytest.raises(FileNotFoundError, match=advice):
        folder.read_listing(str(tmp_path))
    write(tmp_path, "notes.txt", "")
    with pytest.raises(ValueError, match=r"notes.txt: found the suffix '.txt', wanted .*\.tsv"):
        folder.read_listing(str(tmp_path / "notes.txt"))


def test_files_of_one_folder_have_caches_of_their_own(tmp_path: Path) -> None:
    for name in ("captions.csv", "other.csv"):
        write(tmp_path, name, SAME["captions.csv"])
    first, second = (folder.read_listing(str(path)) for path in sorted(tmp_path.glob("*.csv")))
    assert first.cache("c") != second.cache("c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "captions.csv: it is empty, wanted a header"),
        ("\n \n", "captions.csv: it is empty, wanted a header"),
        ("a.jpg,one\nb.jpg,two\n", "line 1: found no column for the file in 'a.jpg', 'one', sep"),
        ("imgae,caption\n", "no column for the file .*; did you mean 'image' by 'imgae'"),
        ("\nimage,captoin\n", "line 2: .*for the captions .*did you mean 'caption' by 'captoin'"),
        ("image;caption\na;b\n", "no column for the file in 'image;caption', separated by ','"),
        ("image,caption,n,n\n", "line 1: the column 'n' comes twice"),
        ("Image,image,caption\n", "line 1: the column 'image' comes twice"),
        ('image,"cap"tion\n', "line 1: .*wanted each quote inside of a quoted cell twice"),
        ("image,caption\n", "no line among 0, wanted 1 or more$"),
    ],
)
def test_a_header_that_is_wrong_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "captions.csv", text)
    with pytest.raises(ValueError, match=message):
        folder.read_listing(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c.jpg,a dog, running", "line 4: found 3 cells in .*, wanted 2 .*needs quotes"),
        ("c.jpg", "line 4: found 1 cell in 'c.jpg', wanted 2"),
        ("c.jpg, ", "line 4: all captions of 'c.jpg' are empty"),
        (",a dog", 'line 4: wanted one of "image" and "video"'),
        ('c.jpg,"a "big" dog"', "line 4: ',' expected after '\"': wanted each quote"),
        ("/etc/passwd,x", "line 4: '/etc/passwd' is outside"),
        ("c.jpg,caf\udce9", "line 4: not UTF-8: .*save the file as UTF-8"),
    ],
)
def test_a_wrong_line_of_a_table_is_named(tmp_path: Path, line: str, reason: str) -> None:
    text = f'image,caption\na.jpg,"one,\nof two lines"\n{line}\nb.jpg,"say ""hi"""\n'
    write(tmp_path, "captions.csv", text.encode(errors="surrogateescape"))
    listing = folder.read_listing(str(tmp_path))
    assert [item.captions for item in listing.items] == [["one,\nof two lines"], ['say "hi"']]
    assert re.match(f"captions.csv {reason}", bad(tmp_path)), bad(tmp_path)


def test_a_quote_that_stays_open_costs_its_lines(tmp_path: Path) -> None:
    write(tmp_path, "captions.csv", 'image,caption\na,one\nb,"two\nc,three\n')
    assert bad(tmp_path).startswith("captions.csv line 3 to line 4: unexpected end of data")


def test_a_cell_may_hold_a_list_or_nothing(tmp_path: Path) -> None:
    header = "Image,captions,box,sibling,differs,n"
    lines = ['a,"[""x"", ""y""]","[0, 0, 1, 0.5]",b,,', "b,z,,,,2", "c,[z] z,,,,3", "d,x,[z],,,4"]
    write(tmp_path, "captions.csv", "\n".join([header, *lines]))
    listing = folder.read_listing(str(tmp_path))
    first, second = listing.items
    assert first.captions == ["x", "y"] and first.fields["box"] == [0, 0, 1, 0.5]
    assert first.siblings["x"].sibling == "b" and first.fields["n"] == ""
    assert second.captions == ["z"] and not second.siblings and second.fields == {"n": "2"}
    assert [where for where, _ in listing.bad] == ["captions.csv line 4", "captions.csv line 5"]
    assert listing.bad[0][1].startswith("captions '[z] z' begins as a list, but is no JSON (")


def changed(document: dict[str, Any], part: str, *more: Any) -> str:
    return json.dumps(document | {part: [*document[part], *more]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (changed(COCO, "annotations", 3), r"annotations\[3\]: found 3, wanted an object whose"),
        (
            changed(COCO, "annotations", {"image_id": 9, "caption": "x"}),
            r"annotations\[3\]: found .*'image_id': 9.* wanted an object whose \"image_id\" is of",
        ),
        (changed(COCO, "annotations", {"image_id": [7]}), r"annotations\[3\]: found .*wanted an"),
        (changed(COCO, "annotations", {"image_id": 7}), r"annotations\[3\]: 'a.jpg' has no \"cap"),
        (
            changed(COCO, "annotations", {"image_id": 7, "caption": 5}),
            r"annotations\[3\]: captions \[5\], wanted a list of texts",
        ),
        (changed(COCO, "images", "c"), r"images\[2\]: found 'c', wanted an object with \"id\""),
        (
            changed(COCO, "images", {"id": 7, "file_name": "c"}),
            r"images\[2\]: has the id 7, as .* images\[0\] has",
        ),
        (
            changed(COCO, "images", {"id": 9, "file_name": "c"}),
            r"images\[2\]: no annotation has its id 9",
        ),
        (changed(KARPATHY, "images", {"filename": "c"}), r"images\[2\]: found .*and \"sentences\""),
        (
            changed(KARPATHY, "images", {"filename": "c", "sentences": [{"tokens": ["x"]}]}),
            r"images\[2\]: captions \[None\], wanted a list of texts",
        ),
        (
            changed(KARPATHY, "images", {"filename": "c", "filepath": "..", "sentences": ["x"]}),
            r"images\[2\]: '../c' is outside",
        ),
        (json.dumps([*OBJECTS, "x"]), r"\[3\]: found 'x', wanted a JSON object"),
        (
            json.dumps([*OBJECTS, {"file_nam": "a", "text": "x"}]),
            r"\[3\]: wanted one of .*; did you mean 'file_name' by 'file_nam'\?",
        ),
        (
            json.dumps([*OBJECTS, {"image": "a", "captoins": ["x"]}]),
            r"\[3\]: 'a' has no .*; did you mean 'captions' by 'captoins'\?",
        ),
    ],
)
def test_a_wrong_record_of_a_document_is_named(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path, "captions.json", text)
    assert len(folder.read_listing(str(tmp_path)).items) == 2
    assert re.match(f"captions.json {reason}", bad(tmp_path)), bad(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON .*, wanted COCO's captions"),
        ('{"images": [', "not JSON .*, wanted COCO's captions"),
        ("[" * 100_000, "not JSON: nested too deeply"),
        ('{"a.jpg": "x"}', "found 'a.jpg', wanted COCO's captions"),
        ("3", "found int, wanted COCO's captions"),
        ('{"images": [], "annotations": 3}', "found 'images', 'annotations', wanted COCO's"),
        ('[{"image": "a", "caption": "x", "caption": "y"}]', "found 'caption' twice in one object"),
        (b'["caf\xe9"]', "not UTF-8, byte 5 is 0xe9"),
        ('{"images": [], "annotations": []}', "no line among 0, wanted 1 or more$"),
    ],
)
def test_a_document_that_is_no_captions_is_an_error(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = write(tmp_path, "captions.json", text)
    with pytest.raises(ValueError, match=f"^{path}: {message}"):
        folder.read_listing(str(tmp_path))


def test_karpathys_folders_are_part_of_the_path(tmp_path: Path) -> None:
    image = {"filename": "a.jpg", "filepath": "val2014", "split": "test", "sentences": ["x"]}
    write(tmp_path, "dataset_coco.json", json.dumps({"images": [image]}))
    (item,) = folder.read_listing(f"{tmp_path}@split=test").selected
    assert item.file == "val2014/a.jpg"


def test_a_document_takes_at_most_eight_times_its_size(tmp_path: Path) -> None:
    """As docs/data.md says."""
    images = [
        {"id": n, "file_name": f"COCO_val2014_{n:012}.jpg", "height": 480, "width": 640}
        for n in range(2000)
    ]
    annotations = [
        {"image_id": n % 2000, "id": n, "caption": f"A person stands near thing {n} in a room."}
        for n in range(10_000)
    ]
    document = {"images": images, "annotations": annotations}
    path = write(tmp_path, "captions_val2014.json", json.dumps(document))
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            assert sum(1 for _ in whole_json.read(file, path)) == 10_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * path.stat().st_size


def test_videos_are_prepared_from_any_format(tmp_path: Path) -> None:
    write(tmp_path, "metadata.csv", "file_name,text,split\na.mp4,one,x\nb.webm,two,y\na.mp4,\n")
    collection = preparable.read_source(f"folder:{tmp_path}", [])
    assert not preparable.holds_pictures(f"folder:{tmp_path}")
    assert collection.source == f"folder:{tmp_path}/metadata.csv"
    assert [(one.id, one.captions, one.fields["split"]) for one in collection.videos] == [
        ("a.mp4", ["one"], "x"),
        ("b.webm", ["two"], "y"),
    ]
    assert [*collection.missing] == ["metadata.csv line 4"]
