#!/usr/bin/env bash
# Pillow 13 gives other pixels than Pillow 12 for the bicubic resize of a picture over twice as tall as wide.
#
# Versions: Pillow 12.3.0 and 13.0.0, NumPy 2.4.6, from public wheels.
# Behaviour: a shrinking resize goes across first and then down, and rounds between. From 13 on a picture over
#   twice as tall as wide, as phones of 9:20 take them, goes down first. CLIP's preprocessing (224 pixels wide,
#   bicubic) therefore has other values under the two versions; a picture of up to 1:2 or a wide one has not.
# Output seen (pictures of noise):
#   300 x 600: equal
#   300 x 601: 27.0% of values differ, by 13 at most
#   1080 x 2400: 13.4% of values differ, by 1 at most
#   2400 x 1080: equal
# Exits with 1 where that is no longer so.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/resize.py" <<'PROGRAM'
import sys

import numpy as np
from PIL import Image

SIZES = ((300, 600), (300, 601), (1080, 2400), (2400, 1080))


def resized(width, height):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    short = min(width, height)
    size = (224 * width // short, 224 * height // short)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)).astype(int)


made = {f"{width} x {height}": resized(width, height) for width, height in SIZES}
if len(sys.argv) == 2:
    np.savez(sys.argv[1], **made)
    sys.exit(0)
other, are_equal = np.load(sys.argv[2]), []
for name, pixels in made.items():
    difference = np.abs(pixels - other[name])
    are_equal.append(not difference.any())
    share = f"{(difference > 0).mean():.1%} of values differ, by {difference.max()} at most"
    print(f"{name}: {'equal' if are_equal[-1] else share}")
sys.exit(are_equal != [True, False, False, True])
PROGRAM
for version in 12.3.0 13.0.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/python" -m pip install -q --disable-pip-version-check "pillow==$version" "numpy==2.4.6"
done
"$folder/12.3.0/bin/python" "$folder/resize.py" "$folder/12.npz"
"$folder/13.0.0/bin/python" "$folder/resize.py" "" "$folder/12.npz"
