"""Videos with transparency: their frames are shown on a white ground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from input_pipeline.media import video
from tests.input_pipeline import transparent

COLOUR = (10, 200, 30)
ALPHA = (0, 128, 255)
# Codecs as editors write them, and their pixels' formats.
KINDS = {
    "ProRes 4444": (".mov", "prores_ks", "yuva444p10le"),
    "PNG": (".mov", "png", "rgba"),
    "PNG of 16 bits": (".mov", "png", "rgba64be"),
    "grey PNG": (".mov", "png", "ya8"),
    "Animation": (".mov", "qtrle", "argb"),
    "CineForm": (".mov", "cfhd", "gbrap12le"),
    "FFV1": (".mkv", "ffv1", "bgra"),
    "FFV1 in YUV": (".mkv", "ffv1", "yuva420p"),
    "Ut Video": (".avi", "utvideo", "gbrap"),
}


def write(path: Path, codec: str, kind: str, frame: av.VideoFrame) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, kind
        for _ in range(3):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_shown_on_white(tmp_path: Path, name: str) -> None:
    suffix, codec, kind = KINDS[name]
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[..., :3] = COLOUR
    pixels[..., 3] = np.repeat(ALPHA, 32)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=kind)
    write(tmp_path / f"clip{suffix}", codec, kind, frame)
    (shown,) = video.read_frames(tmp_path / f"clip{suffix}", 1)
    colour = (124, 124, 124) if name == "grey PNG" else COLOUR
    for at, alpha in zip((16, 48, 80), ALPHA, strict=True):
        wanted = (np.array(colour) * alpha + 255 * (255 - alpha)) / 255
        # Conversion to YUV and back, and alpha of limited range, cost up to three levels.
        assert np.abs(shown[32, at] - wanted).max() <= 3, (alpha, shown[32, at])


def test_a_palettes_transparent_colours_are_shown_on_white(tmp_path: Path) -> None:
    indices = np.repeat(np.array([0, 1, 2], np.uint8), 32)[None].repeat(64, axis=0)
    palette = np.zeros((256, 4), np.uint8)
    palette[:3] = [(alpha, *COLOUR) for alpha in ALPHA]
    paletted: Any = (indices, palette)  # as PyAV has it, though not in its types
    frame = av.VideoFrame.from_ndarray(paletted, format="pal8")
    write(tmp_path / "clip.mov", "png", "pal8", frame)
    (shown,) = video.read_frames(tmp_path / "clip.mov", 1)
    assert shown[32, [16, 48, 80]].tolist() == [[255, 255, 255], [132, 227, 142], [*COLOUR]]


@pytest.mark.parametrize(
    "name", [name for name in transparent.pictures() if "gif" in name and "small" not in name]
)
def test_gifs_are_shown_as_videos_as_they_are_as_pictures(tmp_path: Path, name: str) -> None:
    encoded, wanted = transparent.pictures()[name]
    (tmp_path / "clip.gif").write_bytes(encoded)
    np.testing.assert_array_equal(video.read_frames(tmp_path / "clip.gif", 1)[0], wanted)


def test_opaque_frames_are_converted_as_before(tmp_path: Path) -> None:
    pixels = transparent.rgba(64, 96)
    pixels[..., 3] = 255
    frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="yuva444p10le")
    write(tmp_path / "clip.mov", "prores_ks", "yuva444p10le", frame)
    with av.open(str(tmp_path / "clip.mov")) as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    (shown,) = video.read_frames(tmp_path / "clip.mov", 1)
    assert np.abs(shown.astype(int) - decoded).max() <= 1
