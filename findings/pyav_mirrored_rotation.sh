#!/usr/bin/env bash
# PyAV's VideoFrame.rotation says nothing of a mirrored picture: two orientations of a film have one value.
#
# Versions: PyAV 18.1.0 (FFmpeg 8.1.2) and 19.0.2 (FFmpeg 9.0.2), from public wheels.
# Behaviour: VideoStream.set_display_rotation(degrees, hflip=...) writes all eight orientations into an
#   MP4. VideoFrame.rotation reads four values back. A mirrored upright film reads as -180, so that a
#   reader who turns by `rotation` shows it upside down; its display matrix, in side_data, is right.
# Output seen, of each version:
#   turned by   0: rotation    0, mirrored too: rotation -180, matrix (-1, 0, 0, 1)
#   turned by  90: rotation   90, mirrored too: rotation   90, matrix (0, -1, -1, 0)
#   turned by 180: rotation -180, mirrored too: rotation    0, matrix (1, 0, 0, -1)
#   turned by 270: rotation  -90, mirrored too: rotation  -90, matrix (0, 1, 1, 0)
# Exits with 1 where that is no longer so.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/try.py" <<'PROGRAM'
import sys

import av
import numpy as np


def read(degrees, hflip):
    path = f"{sys.argv[1]}/clip.mp4"
    with av.open(path, "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(degrees, hflip=hflip)
        for _ in range(3):
            picture = np.zeros((48, 64, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    with av.open(path) as file:
        frame = next(file.decode(video=0))
    mark = frame.side_data.get("DISPLAYMATRIX")
    numbers = [1, 0, 0, 0, 1] if mark is None else np.frombuffer(bytes(mark), np.int32) // 65536
    return frame.rotation, tuple(int(numbers[place]) for place in (0, 1, 3, 4))


print("PyAV", av.__version__)
found = []
for degrees in (0, 90, 180, 270):
    plain, mirrored = read(degrees, False), read(degrees, True)
    found.append((plain[0], *mirrored))
    print(
        f"turned by {degrees:3}: rotation {plain[0]:4}, "
        f"mirrored too: rotation {mirrored[0]:4}, matrix {mirrored[1]}"
    )
sys.exit(len({mirrored for _, mirrored, _ in found} - {plain for plain, _, _ in found}) != 0)
PROGRAM
for python in python3.11 python3.12; do
  "$python" --version > /dev/null 2>&1 || continue
  version=18.1.0
  [ "$python" = python3.12 ] && version=19.0.2
  "$python" -m venv "$folder/$python"
  "$folder/$python/bin/pip" install -q "av==$version" numpy
  "$folder/$python/bin/python" "$folder/try.py" "$folder"
done
