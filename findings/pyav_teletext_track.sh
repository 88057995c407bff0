#!/usr/bin/env bash
# With a teletext track in a file, PyAV can decode nothing of it unless the streams are named.
#
# Versions: PyAV 18.1.0 and its own FFmpeg, NumPy 2.4.6, from public wheels.
# Behaviour: broadcasts in Europe carry teletext (DVB, in MPEG transport streams). The wheel's FFmpeg knows the
#   track, but has no decoder for it. So decoding a file without saying which stream raises DecoderNotFoundError
#   at the first packet of teletext, though its picture is sound; and the track's `name`, which would say what to
#   leave out, raises AttributeError, since the track has no codec context. Packets of all streams can be read.
# Output seen:
#   codec context: None
#   name: AttributeError: 'NoneType' object has no attribute 'name'
#   decode(): DecoderNotFoundError
#   decode(video=0): 50 frames
#   demux(): 50 packets of video, 2 of subtitle
# Exits with 1 where that is no longer so.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/teletext.py" <<'PROGRAM'
import collections
import sys
from fractions import Fraction

import av
import numpy as np

path = sys.argv[1]
with av.open(path, "w", format="mpegts") as file:
    film = file.add_stream("mpeg2video", rate=25)
    film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
    teletext = file.add_mux_stream("dvb_teletext")
    for number in range(50):
        grey = np.full((48, 64, 3), 5 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
        frame.pts = number
        file.mux(film.encode(frame))
        if number % 25 == 0:
            # The first byte says that EBU teletext follows: here one unit of stuffing, 44 bytes long.
            page = av.Packet(bytes([0x10, 0xFF, 44]) + bytes(44))
            page.stream, page.time_base = teletext, Fraction(1, 90000)
            page.pts = page.dts = 3600 * number
            file.mux(page)
    file.mux(film.encode(None))


def tried(function):
    try:
        return function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


with av.open(path) as file:
    track = file.streams.subtitles[0]
    context, name = track.codec_context, tried(lambda: track.name)
with av.open(path) as file:
    everything = tried(lambda: len(list(file.decode()))).partition(":")[0]
with av.open(path) as file:
    pictures = len(list(file.decode(video=0)))
with av.open(path) as file:
    packets = collections.Counter(one.stream.type for one in file.demux() if one.size)
print("codec context:", context)
print("name:", name)
print("decode():", everything)
print(f"decode(video=0): {pictures} frames")
print(f"demux(): {packets['video']} packets of video, {packets['subtitle']} of subtitle")
seen = context, name.partition(":")[0], everything, pictures, packets["video"], packets["subtitle"]
sys.exit(seen != (None, "AttributeError", "DecoderNotFoundError", 50, 50, 2))
PROGRAM
"$folder/venv/bin/python" "$folder/teletext.py" "$folder/broadcast.ts"
