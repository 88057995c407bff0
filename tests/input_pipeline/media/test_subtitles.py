"""What is said in a video: files beside it, tracks in it, and lines in the right segments."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from input_pipeline.media import subtitles
from input_pipeline.media.container import opened
from input_pipeline.media.indexing import Task, read_file
from input_pipeline.media.segments import Segment, SegmentSettings
from input_pipeline.media.subtitles import Line
from tests import said
from tests.films import greys, write_film

LINES = [(0.5, 1.5, "Hello there"), (3661.25, 3662, "an hour later")]
TIMES = [n / 8 for n in range(40)]


@pytest.mark.parametrize(
    "name, stem",
    [
        ("film.srt", "film"),
        ("film.VTT", "film"),
        ("film.en.srt", "film"),
        ("film.pt-BR.vtt", "film"),
        ("a.b.srt", "a.b"),
        ("film.en.txt", None),
        ("film.directors cut.srt", None),
        ("other.srt", None),
        ("film.en.forced.srt", None),
        ("film", None),
    ],
)
def test_a_file_of_subtitles_is_beside_the_video_of_its_name(name: str, stem: str | None) -> None:
    assert subtitles.stem_of(name, {"film", "a", "a.b"}) == stem


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_subrip_is_read(tmp_path: Path, coding: str) -> None:
    lines = [*LINES, (5, 6, "<i>{\\an8}drawn</i>\nin Größe")]
    (tmp_path / "film.srt").write_bytes(said.srt(lines).encode(coding))
    wanted = [Line(*one) for one in (*LINES, (5, 6, "drawn in Größe"))]
    assert sorted(subtitles.read(tmp_path / "film.srt")) == sorted(wanted)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig"])
def test_a_file_of_webvtt_is_read(tmp_path: Path, coding: str) -> None:
    lines = [*LINES, (5, 6, "<v Ann>drawn <c.loud>in</c> Größe")]
    (tmp_path / "film.vtt").write_bytes(said.vtt(lines).encode(coding))
    wanted = [Line(*one) for one in (*LINES, (5, 6, "drawn in Größe"))]
    assert sorted(subtitles.read(tmp_path / "film.vtt")) == sorted(wanted)


@pytest.mark.parametrize(
    "data, told",
    [
        (b"", "no subtitle in it"),
        (b"<html>404</html>", "no subtitle in it"),
        (b"1\n00:00:99 --> x\nbroken\n", "no subtitle in it"),
        ("1\n00:00:01,000 --> 00:00:02,000\né\n".encode("latin-1"), "save it again as UTF-8"),
        (b"\0" * 100, "subtitle"),
        (b"x" * 2**16, "subtitle"),
    ],
)
def test_a_broken_file_is_an_error_with_a_reason(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "film.srt").write_bytes(data)
    with pytest.raises(ValueError, match=told):
        subtitles.read(tmp_path / "film.srt")


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.srt").open("wb") as file:
        file.truncate(subtitles.MAX_BYTES + 1)
    with pytest.raises(ValueError, match="bytes of subtitles, wanted"):
        subtitles.read(tmp_path / "film.srt")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_tracks_of_text_are_read(tmp_path: Path, suffix: str) -> None:
    film = write_film(tmp_path / "film.mp4", TIMES)
    path = said.embed(film, [(0.5, 1.5, "Hello there"), (2, 3, "é")], tmp_path / f"told{suffix}")
    assert subtitles.embedded(path) == [Line(0.5, 1.5, "Hello there"), Line(2, 3, "é")]
    assert subtitles.embedded(film) == []


def test_all_tracks_are_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_film(tmp_path / "film.mp4", TIMES)
    told = [(n / 4, n / 4 + 0.25, f"in language {n}") for n in range(12)]
    path = said.embed(film, told[:1], tmp_path / "told.mkv", *([one] for one in told[1:]))
    passes = 0

    class Counted:
        """An open file: each demux reads all of it."""

        def __init__(self, file: Any):
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def demux(self, *streams: Any) -> Any:
            nonlocal passes
            passes += 1
            return self.file.demux(*streams)

    @contextlib.contextmanager
    def counted(path: Path) -> Iterator[Any]:
        with opened(path) as film:
            counts: Any = Counted(film.file)
            yield film._replace(file=counts)

    monkeypatch.setattr(subtitles, "opened", counted)
    assert sorted(subtitles.embedded(path)) == [Line(*one) for one in told]
    assert passes == 1


def test_a_track_that_breaks_costs_neither_its_video_nor_other_tracks(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", TIMES)
    broken: said.Packets = [(0.5, 1, "before"), (2, 3, b"x"), (3, 4, "after")]
    path = said.embed(film, broken, tmp_path / "told.mp4", [(1, 2, "first"), (3, 4, "second")])
    wanted = [Line(0.5, 1, "before"), Line(1, 2, "first"), Line(3, 4, "second")]
    assert sorted(subtitles.embedded(path)) == wanted


def test_a_track_that_cannot_be_decoded_costs_its_video_nothing(tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    with av.open(str(path), "w") as file:
        film: Any = file.add_stream("mpeg2video", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        teletext = file.add_mux_stream("dvb_teletext")
        for number, grey in enumerate(greys(10)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(grey), format="rgb24")
            frame.pts = number
            file.mux(film.encode(frame))
        page = av.Packet(bytes([0x10]) + bytes(45))
        page.stream, page.pts, page.dts, page.time_base = teletext, 0, 0, Fraction(1, 90000)
        file.mux(page)
        file.mux(film.encode(None))
    with av.open(str(path)) as file:
        assert [one.type for one in file.streams] == ["video", "subtitle"]
    assert subtitles.embedded(path) == []


def test_a_line_is_said_in_the_segment_that_shows_its_middle() -> None:
    segments = [Segment(1, 4, b""), Segment(4, 8, b""), Segment(8, 9, b"")]
    lines = [
        *(Line(3, 4.5, "first"), Line(3, 5.5, "second"), Line(4, 5, "third"), Line(4, 5, "third")),
        *(Line(0, 1, "before"), Line(9, 10, "after")),
    ]
    assert subtitles.said(lines, segments) == ["first", "second third", ""]


def test_what_is_said_is_read_with_the_video_and_a_broken_file_is_named(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", TIMES)
    path = said.embed(film, [(0.5, 1.5, "inside")], tmp_path / "told.mkv")
    (tmp_path / "told.srt").write_text(said.srt([(2, 3, "beside")]))
    (tmp_path / "told.de.srt").write_text("nothing")
    beside = (tmp_path / "told.srt", tmp_path / "told.de.srt", tmp_path / "told.en.srt")
    found = read_file(Task(path, tmp_path / "spool", beside), SegmentSettings(3, 32, shots=False))
    assert [one.said for one in found.segments] == ["inside beside"]
    assert set(found.bad) == {"told.de.srt"}
    assert "no subtitle in it" in found.bad["told.de.srt"]
    assert found.unread == {"told.en.srt": "can't be read: No such file or directory"}
