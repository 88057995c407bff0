"""Which stream of a file is the film, and why a file can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from input_pipeline.media import container, video
from tests import films


def reason(path: Path) -> str:
    """Why a video can't be read, as it stands in a quarantine file."""
    with pytest.raises(ValueError) as found:
        video.read_frames(path, 4)
    assert "\n" not in str(found.value) and "0x" not in str(found.value)
    return str(found.value).removeprefix(f"{path}: can't be decoded as a video: ")


@pytest.mark.parametrize(
    ("name", "kind", "marked"),
    [
        ("clip.mkv", "attachment", True),
        ("clip.mkv", "stream", False),
        ("clip.wmv", "stream", False),
        ("clip.avi", "stream", False),
        ("clip.mp4", "stream", True),
    ],
)
@pytest.mark.parametrize("sound", [False, True])
def test_a_cover_is_not_the_film(
    tmp_path: Path, name: str, kind: str, marked: bool, sound: bool
) -> None:
    path = films.write_covered(tmp_path / name, kind, sound=sound, marked=marked)
    frames = video.read_frames(path, 6)
    assert frames.shape == (6, 48, 64, 3)
    assert [films.number_of(frame) for frame in frames] == list(range(6))


def test_a_cover_that_is_the_first_stream_of_an_mp4_is_not_the_film(tmp_path: Path) -> None:
    path = films.write_covered(tmp_path / "clip.mp4", "stream")
    films.marked_first(path)
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.name == "mjpeg"
    assert video.read_frames(path, 6).shape == (6, 48, 64, 3)


@pytest.mark.parametrize(
    ("name", "kind", "marked"),
    [("song.mkv", "attachment", True), ("song.mkv", "stream", False), ("song.mp4", "stream", True)],
)
def test_music_with_a_cover_is_no_video(tmp_path: Path, name: str, kind: str, marked: bool) -> None:
    path = films.write_covered(tmp_path / name, kind, film=False, sound=True, marked=marked)
    assert reason(path) == "no video stream in it, only audio and a cover picture"


def test_a_film_of_pictures_is_a_film(tmp_path: Path) -> None:
    for name, sound in (("silent.avi", None), ("loud.avi", (0.0, 1.0))):
        path = films.write_film(
            tmp_path / name, [n / 10 for n in range(10)], codec="mjpeg", sound=sound
        )
        frames = video.read_frames(path, 10)
        assert [films.number_of(frame) for frame in frames] == list(range(10))


def test_the_stream_that_is_marked_as_default_is_the_film(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("libx264", rate=10) for _ in range(2)]
        for stream, size in zip(streams, (32, 64), strict=True):
            stream.height, stream.width, stream.pix_fmt = size, size, "yuv420p"
        streams[1].disposition = av.stream.Disposition.default
        for stream, size in zip(streams, (32, 64), strict=True):
            frame = av.VideoFrame.from_ndarray(np.zeros((size, size, 3), np.uint8), "rgb24")
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    assert video.read_frames(path, 1).shape == (1, 64, 64, 3)


TENTHS = [n / 10 for n in range(20)]


def test_an_encrypted_file_is_called_so(tmp_path: Path) -> None:
    protected = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "0123456789abcdef" * 2,
        "encryption_kid": "fedcba9876543210" * 2,
    }
    path = films.write_film(tmp_path / "clip.mp4", TENTHS, options=protected)
    assert reason(path).startswith("encrypted: ")


def test_an_encrypted_webm_is_called_so(tmp_path: Path) -> None:
    path = films.write_film(
        tmp_path / "clip.webm", TENTHS, codec="libvpx-vp9", options={"live": "1"}
    )
    films.mark_encrypted(path)
    assert reason(path).startswith("encrypted: ")


def test_an_encrypted_broadcast_is_called_so(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.ts", TENTHS, unit=films.TS)
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 188):
        if (
            int.from_bytes(data[place + 1 : place + 3], "big") & 0x1FFF == 256
        ):  # The film's packets.
            data[place + 3] |= 0x80
            data[place + 4 : place + 188] = bytes(
                byte ^ 0x5A for byte in data[place + 4 : place + 188]
            )
    path.write_bytes(bytes(data))
    assert reason(path).startswith("encrypted: ")


def test_an_empty_file_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"")
    assert reason(path) == "the file is empty"


def test_an_mp4_without_its_index_is_called_so(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mp4", TENTHS)
    path.write_bytes(path.read_bytes()[:300])
    assert "without its index (moov): cut short" in reason(path)


def test_an_mp4_that_is_cut_anywhere_is_called_cut(tmp_path: Path) -> None:
    whole = films.write_film(tmp_path / "whole.mp4", TENTHS).read_bytes()
    path = tmp_path / "clip.mp4"
    for length in range(200, len(whole) - 200, 41):
        path.write_bytes(whole[:length])
        found = reason(path)
        assert "cut short" in found or found.startswith("no video stream"), (length, found)


def test_what_is_no_video_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for text in ("<html>404</html>", "version https://git-lfs.github.com/spec/v1\n" * 3):
        path.write_text(text)
        assert reason(path).startswith(
            "damaged, or not a video format that can be read (mov, matroska"
        )


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_a_film_that_breaks_says_where(tmp_path: Path, name: str) -> None:
    path = films.write_film(tmp_path / name, TENTHS, unit=Fraction(1, 10))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        packets: list[Any] = [packet for packet in file.demux(video=0) if packet.size]
    # Frame 15 is the first of a group: from there on the decoder knows nothing.
    for packet in packets[15:]:
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(bytes(data))
    assert reason(path) == "breaks after 15 of 20 frames: damaged or cut short"


def film_of(frames: Callable[[object], Iterator[int]]) -> container.Film:
    """A film of two frames, as its header says, that is decoded by a function."""
    file: Any = SimpleNamespace(decode=frames)
    stream: Any = SimpleNamespace(frames=2)
    return container.Film(file, stream)


def test_a_header_that_counts_fewer_frames_than_came_is_not_quoted() -> None:
    def frames(stream: object) -> Iterator[int]:
        yield from range(3)
        raise av.InvalidDataError(1094995529, "Invalid data")

    film = film_of(frames)
    with pytest.raises(ValueError, match="^breaks after 3 frames: damaged or cut short$"):
        list(container.decode(film))


def test_a_film_without_a_frame_is_called_so(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mp4", TENTHS, options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    assert reason(path) in (
        "none of its 20 frames is in the file: cut short",
        "breaks after 0 of 20 frames: damaged or cut short",
    )


def test_a_limit_of_memory_is_not_the_films_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = films.write_film(tmp_path / "clip.mp4", TENTHS)

    def picture(*_: object) -> np.ndarray:
        raise av.error.MemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr(video, "_picture", picture)
    with pytest.raises(MemoryError):
        video.read_frames(path, 4)


@pytest.mark.parametrize("kind", [av.error.MemoryError, av.error.OSError])
def test_an_error_of_this_machine_while_decoding_is_not_called_a_break(kind: type) -> None:
    def frames(stream: object) -> Iterator[int]:
        yield 0
        raise kind(5, "of this machine")

    film = film_of(frames)
    with pytest.raises(kind, match="of this machine"):
        list(container.decode(film))


def test_odd_videos_have_a_reason_that_people_understand(shared_data: Path) -> None:
    for name, wanted in (
        ("decord_corrupted.mp4", "breaks after 28 of 50 frames"),
        ("derived_truncated_avi.avi", "breaks after 43 of 91 frames"),
        ("mp4parse_invalid_userdata.mp4", "none of its 5,544 frames"),
        ("derived_truncated_mp4_moov_state.mp4", "without its index (moov)"),
        ("derived_avi_no_packets.avi", "no video frame in it"),
        ("mp4parse_sine-3s-xhe-aac-44khz-mono.mp4", "no video stream in it, only audio"),
        ("derived_lfs_pointer.mp4", "not a video format that can be read"),
    ):
        assert wanted in reason(shared_data / "oddvideos" / name), name
