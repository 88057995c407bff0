"""Tests of input_pipeline.store.pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline.examples import Told
from input_pipeline.sources.opening import open_source
from input_pipeline.store import making
from input_pipeline.store.making import Effort
from input_pipeline.store.partial import Encoded
from input_pipeline.store.pictures import PictureSettings, encode_picture, prepare_pictures
from tests.input_pipeline import transparent
from tests.input_pipeline.shard_files import encoded


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def shrunk(picture: bytes) -> Encoded:
    made = encode_picture(picture, PictureSettings())
    assert len(made.frames) == 1
    return made


def decoded(picture: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "JPEG" and image.mode == "RGB"
        return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((500, 375), (427, 320)), ((375, 500), (320, 427)), ((320, 400), (320, 400)),
     ((100, 50), (100, 50)), ((1, 1), (1, 1)), ((3000, 321), (2991, 320))],
)  # fmt: skip
def test_the_short_side_becomes_320(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    made = shrunk(encoded(90, size))
    assert (made.width, made.height) == wanted
    assert decoded(made.frames[0]).shape == (wanted[1], wanted[0], 3)


def test_shrinking_is_anti_aliased() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(decoded(shrunk(jpeg(stripes)).frames[0])[:, 4:-4] - 127).max() < 20


def test_pictures_come_out_upright_and_without_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned a quarter clockwise to be shown.
    stored = np.zeros((400, 800, 3), np.uint8)
    stored[:, :400, 0] = 250
    made = shrunk(jpeg(stored, exif=exif))
    assert (made.width, made.height) == (320, 640)
    shown = decoded(made.frames[0])
    assert shown[:300, :, 0].min() > 230 and shown[340:, :, 0].max() < 20
    with Image.open(io.BytesIO(made.frames[0])) as image:
        assert not image.getexif()


@pytest.mark.parametrize("name", ["png", "palette", "webp", "gif"])
def test_what_is_transparent_is_kept_on_white(name: str) -> None:
    picture, wanted = transparent.pictures()[name]
    opaque = transparent.save(Image.fromarray(wanted), "PNG")
    assert shrunk(picture).frames == shrunk(opaque).frames


def folder_of(directory: Path, pictures: list[bytes]) -> str:
    with (directory / "captions.jsonl").open("w") as lines:
        for n, picture in enumerate(pictures):
            (directory / f"{n}.jpg").write_bytes(picture)
            lines.write(json.dumps({"image": f"{n}.jpg", "captions": [f"{n}", "x"]}) + "\n")
    return f"folder:{directory}"


def test_a_prepared_store_is_a_source(tmp_path: Path) -> None:
    source = folder_of(tmp_path, [encoded(20 * n, (400 + n, 330)) for n in range(6)])
    examples = open_source(source, str(tmp_path / "cache"))
    path = tmp_path / "3.jpg"
    path.write_bytes(path.read_bytes()[:700])  # After it was checked.
    summary = prepare_pictures(examples, tmp_path / "store")
    assert summary["num_items"] == 5 and summary["num_quarantined"] == 1
    (line,) = map(json.loads, (tmp_path / "store" / "quarantine.jsonl").read_text().splitlines())
    assert line["file"] == "3.jpg" and line["count"] == 1 and "can't be decoded" in line["reason"]
    prepared = open_source(f"folder:{tmp_path / 'store'}", str(tmp_path / "cache"))
    assert prepared.ids == [f"{n}.jpg" for n in (0, 1, 2, 4, 5)] and not prepared.is_video
    assert prepared.captions[3] == ["4", "x"] and prepared.sizes[0].tolist() == [320, 388]
    for row, n in enumerate((0, 1, 2, 4, 5)):
        (picture,) = prepared.fetch(tf.constant(row, tf.int64)).numpy()
        assert abs(decoded(picture).mean() - 20 * n) < 3
    assert prepared.missing.keys() == {"3.jpg"}
    assert (len(prepared.ids), len(prepared.missing)) == (5, 1)
    assert prepare_pictures(examples, tmp_path / "store") == summary
    with pytest.raises(FileExistsError, match="already there"):
        prepare_pictures(examples, tmp_path / "store", PictureSettings(100))
    for wrong in ({"short_side": 0}, {"quality": 101}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} "):
            PictureSettings(**wrong)


def test_boxes_travel_into_the_store(tmp_path: Path) -> None:
    folder_of(tmp_path, [encoded(9, (400, 330)) for _ in range(3)])
    lines = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    lines[1]["box"] = [0.1, 0.2, 0.7, 1.0]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    examples = open_source(f"folder:{tmp_path}", str(tmp_path / "cache"))
    prepare_pictures(examples, tmp_path / "store")
    prepared = open_source(f"folder:{tmp_path / 'store'}", str(tmp_path / "cache"))
    for boxes in (examples.boxes, prepared.boxes):
        assert boxes is not None and np.isnan(boxes[[0, 2]]).all()
        np.testing.assert_allclose(boxes[1], [0.1, 0.2, 0.7, 1.0], atol=1e-7)
    index = tmp_path / "store" / "index.jsonl"
    index.write_text(index.read_text().replace("[0.1, 0.2, 0.7, 1.0]", "[1, 2, 3, 4]"))
    with pytest.raises(ValueError, match=r"index.jsonl: '1.jpg': \"box\" .*prepare it again"):
        open_source(f"folder:{tmp_path / 'store'}", str(tmp_path / "cache"))


def test_fields_and_siblings_travel_into_the_store(tmp_path: Path) -> None:
    folder_of(tmp_path, [encoded(9) for _ in range(3)])
    rows = [
        {"image": "0.jpg", "caption": "a", "split": "test", "box": [0, 0, 1, 0.5]},
        {"image": "1.jpg", "caption": "b", "split": "test", "sibling": "2.jpg", "differs": "hue"},
        {"image": "2.jpg", "caption": "c", "split": "train", "n": 3},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    cache = str(tmp_path / "cache")
    prepare_pictures(open_source(f"folder:{tmp_path}", cache), tmp_path / "store")
    prepared = open_source(f"folder:{tmp_path / 'store'}@split=test", cache)
    assert prepared.ids == ["0.jpg", "1.jpg"]
    assert prepared.told == [[Told()], [Told(True, "2.jpg", "hue")]]
    # A store may be prepared again, such as smaller.
    again = open_source(f"folder:{tmp_path / 'store'}", cache)
    prepare_pictures(again, tmp_path / "smaller", PictureSettings(16))
    chosen = open_source(f"folder:{tmp_path / 'smaller'}", cache)
    assert chosen.told == again.told and chosen.told[1] == [Told(True, "2.jpg", "hue")]


def test_what_the_source_lacks_the_store_lists(tmp_path: Path) -> None:
    source = folder_of(tmp_path, [encoded(9) for _ in range(4)])
    (tmp_path / "2.jpg").write_text("<html>")
    examples = open_source(source, str(tmp_path / "cache"))
    (tmp_path / "1.jpg").unlink()
    summary = prepare_pictures(examples, tmp_path / "store")
    assert (summary["num_items"], summary["num_quarantined"]) == (2, 2)
    lines = map(json.loads, (tmp_path / "store" / "quarantine.jsonl").read_text().splitlines())
    reasons = {line["file"]: line["reason"] for line in lines}
    assert "cannot identify" in reasons["2.jpg"] and "No such file" in reasons["1.jpg"]
    prepared = open_source(f"folder:{tmp_path / 'store'}", str(tmp_path / "cache"))
    assert (len(prepared.ids), len(prepared.missing)) == (2, 2)


def test_two_stores_of_the_same_pictures_list_the_same_reasons(tmp_path: Path) -> None:
    source = folder_of(tmp_path, [encoded(9) for _ in range(4)])
    examples = open_source(source, str(tmp_path / "cache"))
    (tmp_path / "2.jpg").write_text("<html>")
    listed = []
    for name in ("one", "two"):
        prepare_pictures(examples, tmp_path / name)
        listed.append((tmp_path / name / "quarantine.jsonl").read_text())
    assert listed[0] == listed[1] and "0x" not in listed[0]


def test_a_stop_early_leaves_no_store(tmp_path: Path) -> None:
    examples = open_source(
        folder_of(tmp_path, [encoded(9) for _ in range(4)]), str(tmp_path / "cache")
    )
    for n in range(3):
        (tmp_path / f"{n}.jpg").unlink()
    with pytest.raises(ValueError, match="3 of 4 pictures can't be used, wanted 50% at most"):
        prepare_pictures(examples, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    # With another limit it goes on.
    effort = Effort(max_bad=0.9)
    assert prepare_pictures(examples, tmp_path / "store", effort=effort)["num_items"] == 1
    assert not (tmp_path / "store.partial").exists()


def test_a_picture_that_changed_since_a_stop_is_shrunk_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path, [encoded(20 * n) for n in range(4)])
    examples = open_source(source, str(tmp_path / "cache"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(making, "write_store", Mock(side_effect=KeyboardInterrupt))
        prepare_pictures(examples, tmp_path / "store")
    (tmp_path / "1.jpg").write_bytes(encoded(200))
    prepare_pictures(examples, tmp_path / "store")
    prepared = open_source(f"folder:{tmp_path / 'store'}", str(tmp_path / "cache"))
    levels = [decoded(prepared.fetch(np.int64(n)).numpy()[0]).mean() for n in range(4)]
    assert np.abs(np.array(levels) - [0, 200, 40, 60]).max() < 4


def test_videos_are_refused(tmp_path: Path) -> None:
    videos = open_source("drawn:val:2", str(tmp_path))
    with pytest.raises(ValueError, match="videos, wanted pictures"):
        prepare_pictures(videos, tmp_path / "store")
