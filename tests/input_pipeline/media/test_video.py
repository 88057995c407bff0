"""Tests of input_pipeline.media.video."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import video
from input_pipeline.media.container import Film
from input_pipeline.media.timing import Timing
from tests.films import TS, write_film


def clip(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frame n is grey of level 20 n with a red block in its upper left corner."""
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None] * 20
    frames = np.broadcast_to(levels, (count, height, width, 3)).copy()
    frames[:, :16, :16] = (250, 0, 0)
    return frames


def levels(frames: np.ndarray) -> list[int]:
    return (frames[:, 24:40, 24:40].mean(axis=(1, 2, 3)) / 20).round().astype(int).tolist()


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_written_frames_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    video.write_video(path, clip(10), 8)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    frames = video.read_frames(path, 10)
    assert frames.shape == (10, 48, 64, 3) and frames.dtype == np.uint8
    assert levels(frames) == list(range(10))
    assert (np.abs(frames[:, 4:12, 4:12].astype(int) - [250, 0, 0]) < 25).all()


def test_frames_are_evenly_spaced(tmp_path: Path) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(12), 25)
    assert levels(video.read_frames(tmp_path / "clip.mp4", 4)) == [1, 4, 7, 10]
    assert levels(video.read_frames(tmp_path / "clip.mp4", 1)) == [6]
    assert levels(video.read_frames(tmp_path / "clip.mp4", 24)) == [n // 2 for n in range(24)]


def test_wrong_times_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(12), 25)
    for claimed in ([], [*range(5)], [*range(500)], [0, 1, 90, 91, 92]):
        wrong = Timing(claimed, Fraction(1, 25))
        monkeypatch.setattr(video, "packet_timing", lambda path, wrong=wrong: wrong)
        assert levels(video.read_frames(tmp_path / "clip.mp4", 4)) == [1, 4, 7, 10]


def read_by_parts(path: Path) -> None:
    for _, _, read in video.read_parts(path, lambda timing: len(timing.times), 48):
        assert len([*read(None)])


def read_at_once(path: Path) -> None:
    video.read_frames(path, 24)


@pytest.mark.parametrize("read", [read_by_parts, read_at_once])
@pytest.mark.parametrize("grows", [True, False])
def test_a_film_that_is_still_recorded_is_not_read_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], None], grows: bool
) -> None:
    """Or one whose size and time a network drive tells too late."""
    path = write_film(tmp_path / "film.ts", [n / 10 for n in range(6)], unit=TS)
    part, passes, real = path.read_bytes(), 0, video.decode

    def decode(film: Film) -> Iterator[av.VideoFrame]:
        nonlocal passes
        passes += 1
        assert passes < 4, "it is read again and again"
        with path.open("ab") as file:
            file.write(part)
        yield from real(film)

    if not grows:
        monkeypatch.setattr(video, "_state", lambda path: (len(part), 0), raising=False)
    monkeypatch.setattr(video, "decode", decode)
    with pytest.raises(ValueError, match=r"film\.ts: changed while it was read; wait until"):
        read(path)
    assert passes == (1 if grows else 2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_frame_rate_is_sampled_by_the_clock(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        # Frame 0 is shown for 0.6 s, the others for 0.1 s, the last for the mean: 1.28 s in all.
        for picture, tenth in zip(clip(7), (0, 6, 7, 8, 9, 10, 11), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = tenth, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert levels(video.read_frames(path, 4)) == [0, 0, 3, 6]


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(2), (48, 128)),
        (Fraction(1, 2), (96, 64)),
        (Fraction(16, 15), (48, 68)),
        (Fraction(200), (48, 64)),
    ],
)
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, aspect: Fraction, shape: tuple[int, int]
) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for picture in clip(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    frames = video.read_frames(path, 3)
    assert frames.shape[1:3] == shape
    assert levels(frames) == [0, 1, 2]


def test_frames_are_shrunk_never_enlarged(tmp_path: Path) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(3), 10)
    assert video.read_frames(tmp_path / "clip.mp4", 3, 24).shape == (3, 24, 32, 3)
    assert video.read_frames(tmp_path / "clip.mp4", 3, 96).shape == (3, 48, 64, 3)
    frames = video.read_frames(tmp_path / "clip.mp4", 3, 24)
    assert (np.abs(frames[:, 2:6, 2:6].astype(int) - [250, 0, 0]) < 25).all()


def test_ten_bits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p10le"
        for picture in clip(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert levels(video.read_frames(path, 5)) == [0, 1, 2, 3, 4]


def quarters(pixels: np.ndarray) -> str:
    """The colours of a picture's quarters: left and right above, left and right below."""
    colours = {"R": (250, 0, 0), "G": (0, 200, 0), "B": (0, 0, 250), "W": (250, 250, 250)}
    middles = [pixels[y, x].astype(int) for y in (8, -8) for x in (8, -8)]
    return "".join(
        min(colours, key=lambda name: np.abs(middle - colours[name]).sum()) for middle in middles
    )


# A display matrix's a, b, c and d, and where ffmpeg's autorotation puts the quarters RG over BW.
ORIENTATIONS = {
    (1, 0, 0, 1): "RGBW",
    (-1, 0, 0, 1): "GRWB",
    (1, 0, 0, -1): "BWRG",
    (-1, 0, 0, -1): "WBGR",
    (0, 1, 1, 0): "RBGW",
    (0, 1, -1, 0): "BRWG",
    (0, -1, 1, 0): "GWRB",
    (0, -1, -1, 0): "WGBR",
}


@pytest.mark.parametrize("matrix", ORIENTATIONS)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_marks_of_turned_and_mirrored_films_are_honoured(
    tmp_path: Path, matrix: tuple[int, int, int, int], scale: float
) -> None:
    picture = np.full((48, 64, 3), 250, np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32] = (250, 0, 0), (0, 200, 0), (0, 0, 250)
    path = tmp_path / "clip.mp4"
    video.write_video(path, np.stack([picture] * 4), 8)
    data = bytearray(path.read_bytes())
    # The track header's matrix a b u c d v x y w, of which a to d turn the picture.
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(part * scale * 65536) for part in matrix)
    data[start : start + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(bytes(data))
    frames = video.read_frames(path, 2)
    assert frames.shape[1:3] == ((48, 64) if matrix[0] else (64, 48))
    assert quarters(frames[1]) == ORIENTATIONS[matrix]


def test_truncated_and_false_videos_are_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video.write_video(path, clip(12), 8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="clip.mp4: can't be decoded"):
        video.read_frames(path, 4)
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match="clip.mp4: can't be decoded"):
        video.read_frames(path, 4)
    with pytest.raises(FileNotFoundError, match="gone.mp4: no such file"):
        video.read_frames(tmp_path / "gone.mp4", 4)


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    "<AdaptationSet><Representation id='0'><BaseURL>{}</BaseURL></Representation></AdaptationSet>"
    "</Period></MPD>"
)


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".sdp", ".mpd"])
@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile '{}'\n", HLS, SDP, DASH])
@pytest.mark.parametrize("where", ["clip.ts", "{}/clip.ts", "http://127.0.0.1:9/clip.ts"])
def test_a_playlist_opens_no_other_file(
    tmp_path: Path, suffix: str, text: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with av.open(str(tmp_path / "clip.ts"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for picture in clip(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert len(video.read_frames(tmp_path / "clip.ts", 2)) == 2
    playlist = tmp_path / f"list{suffix}"
    playlist.write_text(text.format(where.format(tmp_path)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"list{suffix}: can't be decoded"):
        video.read_frames(playlist, 4)


def test_names_are_files_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video.write_video(tmp_path / "clip.mp4", clip(3), 10)
    Image.new("RGB", (32, 16), "red").save(tmp_path / "f1.jpg")
    # What FFmpeg would take for a protocol, and for a pattern of other files' names.
    for name in ("concat:a", "data:b", "file:c.mp4", "f%d.mp4"):
        (tmp_path / name).write_bytes((tmp_path / "clip.mp4").read_bytes())
        assert levels(video.read_frames(name, 3)) == [0, 1, 2]
    (tmp_path / "f%d.jpg").write_bytes((tmp_path / "clip.mp4").read_bytes())
    with pytest.raises(ValueError, match="not a video format that can be read"):
        video.read_frames("f%d.jpg", 1)
    for name in ("concat:clip.mp4", "http://127.0.0.1:9/clip.mp4", "f%01d.jpg"):
        with pytest.raises(FileNotFoundError):
            video.read_frames(name, 1)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(FileNotFoundError):
        video.read_frames("pipe.mp4", 1)


def test_huge_frames_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    Image.new("P", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[6:10] = (16000).to_bytes(2, "little") * 2
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="16000 x 16000 pixels, wanted 67108864 at most"):
        video.read_frames(path, 4)


def test_odd_sides_are_written(tmp_path: Path) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(3, 47, 63), 8)
    assert video.read_frames(tmp_path / "clip.mp4", 3).shape == (3, 48, 64, 3)


@pytest.mark.parametrize("fps", [8, 12.5, 24, 30, 29.97, 50])
def test_a_gif_keeps_the_time(tmp_path: Path, fps: float) -> None:
    """Of 100 frames; each frame's time rounded alone is 4% too fast at 24 a second, 11% at 30."""
    frames = np.arange(100, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert video.write_video(tmp_path / "clip.gif", frames, fps) == 100
    with av.open(str(tmp_path / "clip.gif")) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert np.abs(np.array(times) - np.arange(100) / fps).max() <= 0.0051
    assert np.diff(times).min() > 0.019, "what browsers play at the rate that it says"


@pytest.mark.parametrize("fps", [50.1, 60, 1000, 0.001])
def test_a_gif_of_a_rate_that_it_cannot_have_is_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(
        ValueError, match="clip.gif: .* frames a second, wanted 0.01 to 50 in a .gif"
    ):
        video.write_video(tmp_path / "clip.gif", clip(3), fps)
    assert not list(tmp_path.iterdir())


def test_frames_are_counted_as_the_file_has_them(tmp_path: Path) -> None:
    frames = clip(4)[[0, 0, 1, 1, 1, 2, 3]]
    assert video.write_video(tmp_path / "clip.gif", frames, 8) == 4
    with Image.open(tmp_path / "clip.gif") as image:
        assert getattr(image, "n_frames", None) == 4
    assert video.write_video(tmp_path / "clip.mp4", frames, 8) == 7
    assert video.write_video(tmp_path / "one.gif", clip(1), 8) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_: object) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(video, "_write_mp4", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        video.write_video(tmp_path / "clip.mp4", clip(3), 8)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't write '.avi', wanted .mp4 or .gif"):
        video.write_video(tmp_path / "clip.avi", clip(3), 8)
    with pytest.raises(ValueError, match="wanted uint8"):
        video.write_video(tmp_path / "clip.mp4", clip(3)[0], 8)
    with pytest.raises(ValueError, match="0 frames a second"):
        video.write_video(tmp_path / "clip.mp4", clip(3), 0)
    with pytest.raises(ValueError, match="inf frames a second"):
        video.write_video(tmp_path / "clip.mp4", clip(3), float("inf"))


def odd(data: Path, name: str) -> np.ndarray:
    return video.read_frames(data / "oddvideos" / name, 4)


def test_odd_videos_are_read_or_named(shared_data: Path) -> None:
    manifest = shared_data / "oddvideos" / "manifest.jsonl"
    for entry in map(json.loads, manifest.read_text().splitlines()):
        if entry["outcome_pyav"] == "decodes":
            assert len(odd(shared_data, entry["file"])) == 4, entry
        else:
            with pytest.raises(ValueError, match=entry["file"]):
                odd(shared_data, entry["file"])


def test_odd_videos_have_their_true_shapes(shared_data: Path) -> None:
    for name, shape in (
        ("decord_video_90.mov", (568, 320)),
        ("decord_video_180.mov", (320, 568)),
        ("decord_video_270.mov", (568, 320)),
        ("mp4parse_h264_white_frame_sar_16_9.mp4", (480, 1138)),
        ("derived_vp9.webm", (144, 193)),
        ("derived_variable_frame_rate.mp4", (256, 427)),
        ("torchcodec_h265_10bits.mp4", (200, 200)),
    ):
        assert odd(shared_data, name).shape[1:3] == shape, name


def test_odd_colours_are_true(shared_data: Path) -> None:
    # Colour bars: full range, and ten bits. Red, green and blue reach both ends of the range.
    for name in ("torchcodec_bt709_full_range.mp4", "torchcodec_h265_10bits.mp4"):
        frames = odd(shared_data, name)
        assert frames.min() < 20 and frames.max() > 235, name
        assert (np.ptp(frames.max(axis=(0, 1, 2)).astype(int)) < 30).all(), name
    assert odd(shared_data, "mp4parse_h264_white_frame_sar_16_9.mp4").min() > 230
