"""Videos whose clocks differ: late, cut, joined, of a variable rate; and what a player shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from tests import films

# Frames of two seconds at 10 a second, from 0, 2 and 10 seconds on.
NOW, LATE, LATER = ([start + n / 10 for n in range(20)] for start in (0, 2, 10))
VARIABLE = [0, 0.1, 0.2, 0.3, 1.5, 1.6, 1.7, 2.5, 3.0, 3.1]
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+delay_moov"}
NEGATIVE = {"movflags": "negative_cts_offsets"}
LIVE = {"live": "1"}
VP8, VP9, MPEG4 = "libvpx", "libvpx-vp9", "mpeg4"
TENTH = Fraction(1, 10)


class Kind(NamedTuple):
    """A file that `films.write_film` makes of `how`, and seconds at which it starts and ends."""

    name: str
    how: dict[str, Any]
    span: tuple[float, float]

    def write(self, folder: Path) -> Path:
        return films.write_film(folder / self.name, **self.how)


KINDS = {
    "mp4": Kind("clip.mp4", {"times": NOW}, (0, 2)),
    "mp4 with an edit list": Kind("clip.mp4", {"times": NOW, "b_frames": 2}, (0, 2)),
    "mp4 with negative offsets": Kind(
        "clip.mp4", {"times": NOW, "b_frames": 2, "options": NEGATIVE}, (0, 2)
    ),
    "mp4 that starts late": Kind("clip.mp4", {"times": LATE, "b_frames": 2}, (2, 4)),
    "mp4 late beside sound": Kind("clip.mp4", {"times": LATE, "sound": (0, 4)}, (2, 4)),
    "mp4 before its sound": Kind("clip.mp4", {"times": NOW, "sound": (1, 2)}, (0, 2)),
    "mp4 in fragments": Kind("clip.mp4", {"times": NOW, "options": FRAGMENTS}, (0, 2)),
    "mp4 in late fragments": Kind("clip.mp4", {"times": LATE, "options": FRAGMENTS}, (2, 4)),
    "mov that starts late": Kind("clip.mov", {"times": LATE}, (2, 4)),
    "mkv that starts late": Kind("clip.mkv", {"times": LATE}, (2, 4)),
    "webm, live": Kind("clip.webm", {"times": NOW, "codec": VP9, "options": LIVE}, (0, 2)),
    "webm, late": Kind("clip.webm", {"times": LATER, "codec": VP9}, (10, 12)),
    "webm, live and late": Kind(
        "clip.webm", {"times": LATER, "codec": VP9, "options": LIVE}, (10, 12)
    ),
    "webm late beside sound": Kind(
        "clip.webm", {"times": LATER, "codec": VP9, "sound": (0, 12)}, (10, 12)
    ),
    "ogv": Kind("clip.ogv", {"times": NOW, "codec": VP8, "unit": TENTH}, (0, 2)),
    "ts": Kind("clip.ts", {"times": NOW, "b_frames": 2, "unit": films.TS}, (0, 2)),
    "ts that starts late": Kind("clip.ts", {"times": LATE, "unit": films.TS}, (0, 2)),
    "ts late beside sound": Kind(
        "clip.ts", {"times": LATE, "sound": (0, 4), "unit": films.TS}, (2.02, 4.02)
    ),
    "flv that starts late": Kind("clip.flv", {"times": LATE}, (0, 2)),
    "avi": Kind("clip.avi", {"times": NOW, "codec": MPEG4, "unit": TENTH}, (0, 2)),
    "h264 without a container": Kind(
        "clip.h264", {"times": NOW, "unit": TENTH, "format": "h264"}, (0, 2)
    ),
    # The last frame is shown for the mean of the others.
    "mp4 of a variable rate": Kind("clip.mp4", {"times": VARIABLE}, (0, 3.44)),
    "webm of a variable rate": Kind("clip.webm", {"times": VARIABLE, "codec": VP9}, (0, 3.44)),
}


def joined(directory: Path, *starts: float) -> Path:
    """Transport streams of two seconds, one file after the other; the clocks start there."""
    directory.mkdir(exist_ok=True)
    data = b""
    for number, start in enumerate(starts):
        pictures = films.greys(40)[20 * number : 20 * number + 20]
        times = [start + n / 10 for n in range(20)]
        part = films.write_film(
            directory / f"{number}.ts", times, pictures, unit=films.TS, b_frames=2
        )
        data += part.read_bytes()
    path = directory / "joined.ts"
    path.write_bytes(data)
    return path


def cut_by_copying(directory: Path) -> Path:
    """An MP4 whose first frame is the eighth: its group begins with the fifth, which is not shown.

    It lasts for 1.2 seconds.
    """
    whole = films.write_film(directory / "whole.mp4", NOW)
    path = directory / "clip.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        packet: Any
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts * packet.time_base >= 0.5:
                shift = round(Fraction(8, 10) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                file.mux(packet)
    return path
