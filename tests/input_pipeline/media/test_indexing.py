"""What an index keeps of a video and of a photo."""

import datetime
import errno
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import picture, video, workers
from input_pipeline.media.container import Film
from input_pipeline.media.indexing import Task, read_file
from input_pipeline.media.segments import SegmentSettings, frames_of
from tests.films import write_film

SETTINGS = SegmentSettings(num_frames=3, image_size=32)


def read(path: Path, tmp_path: Path):
    found = read_file(Task(path, tmp_path / "spool"), SETTINGS)
    return found, frames_of(tmp_path / "spool", SETTINGS)


def write_photo(path: Path, taken: str = "", offset: str = "", orientation: int = 1) -> Path:
    """64 x 48 pixels of noise, as a camera stores it."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0x9003: taken, 0x9011: offset} if taken else {})
    image.save(path, exif=exif.tobytes())
    return path


def test_a_photo_is_one_segment_of_no_duration(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.JPG", orientation=6)
    found, frames = read(path, tmp_path)
    (segment,) = found.segments
    assert (segment.start, segment.end, found.codec) == (0, 0, "")
    assert (found.width, found.height, found.taken) == (48, 64, None), "upright"
    shown = picture.read(path)
    wanted = np.repeat(SETTINGS.fitted(shown)[None, None], 3, axis=1)
    np.testing.assert_array_equal(frames, wanted)
    assert Image.open(io.BytesIO(segment.thumbnail)).size == (48, 64)


@pytest.mark.parametrize(
    "told, is_readable, wanted",
    [
        (errno.ESTALE, True, "Stale file handle"),
        (errno.ETIMEDOUT, True, "Connection timed out"),
        (errno.EIO, False, "Input/output error"),
        (errno.EINVAL, False, "Input/output error"),
        (errno.EIO, True, None),
        (errno.EINVAL, True, None),
    ],
)
def test_a_disk_that_fails_is_told_from_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int, is_readable: bool, wanted: Any
) -> None:
    """FFmpeg says EIO of damaged files, too, and may say something else of a bad disk."""
    path = write_film(tmp_path / "film.mp4", [n / 8 for n in range(20)])

    def decode(film: Film) -> Iterator[av.VideoFrame]:
        yield from itertools.islice(film.file.decode(film.stream), 3)
        av.error.err_check(-told)

    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(video, "decode", decode)
    real = Path.open
    if not is_readable:
        monkeypatch.setattr(
            Path, "open", lambda one, *how: Broken() if one == path else real(one, *how)
        )
    kind = ValueError if wanted is None else OSError
    with pytest.raises(kind) as raised:
        read(path, tmp_path)
    if wanted is not None:
        assert workers.failure_of(raised.value) == (f"can't be read: {wanted}", True)
    else:
        assert not workers.failure_of(raised.value).later


@pytest.mark.parametrize(
    "taken, offset, wanted",
    [
        ("2024:05:06 07:08:09", "+02:00", "2024-05-06T05:08:09+00:00"),
        ("2024:05:06 07:08:09", "", "2024-05-06T07:08:09"),
        ("0000:00:00 00:00:00", "", None),
        ("yesterday", "", None),
    ],
)
def test_a_photo_says_when_it_was_taken(
    tmp_path: Path, taken: str, offset: str, wanted: str | None
) -> None:
    path = write_photo(tmp_path / "a.jpg", taken, offset)
    when = datetime.datetime.fromisoformat(wanted).timestamp() if wanted else None
    assert picture.taken(path) == when


@pytest.mark.parametrize("told", ["2026-11-29T08:15:00Z", "1904-01-01T00:00:00Z", None])
def test_a_video_says_its_codec_its_shape_and_when_it_was_made(
    tmp_path: Path, told: str | None
) -> None:
    film = write_film(tmp_path / "film.mp4", [n / 8 for n in range(8)])
    path = tmp_path / "dated.mp4"
    with av.open(str(film)) as given, av.open(str(path), "w") as file:
        if told:
            file.metadata["creation_time"] = told
        stream = file.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    found, _ = read(path, tmp_path)
    assert (found.codec, found.width, found.height) == ("h264", 64, 48)
    assert found.taken == (1795940100 if told and told > "2000" else None)


def test_bombs_and_broken_photos_are_errors_with_a_reason(tmp_path: Path) -> None:
    Image.new("1", (9_800, 9_800)).save(tmp_path / "bomb.png")
    (tmp_path / "text.jpg").write_text("no picture")
    cut = write_photo(tmp_path / "cut.jpg")
    cut.write_bytes(cut.read_bytes()[:400])
    for name, told in (
        ("bomb.png", "9800 x 9800 pixels, wanted"),
        ("text.jpg", "cannot identify it as a picture"),
        ("cut.jpg", "can't be decoded"),
    ):
        with pytest.raises(ValueError, match=told):
            read(tmp_path / name, tmp_path)
