"""Small folders of captioned pictures and videos, as `folder:` reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests import searchable


def write_photo(path: Path, seed: int = 0) -> None:
    """Coarse noise, 160 x 120 pixels."""
    noise = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    kind = {".png": "PNG"}.get(path.suffix, "JPEG")
    Image.fromarray(noise).resize((160, 120)).save(path, kind)


def write_pictures(directory: Path) -> None:
    """Eight, with a caption each."""
    directory.mkdir()
    for number in range(8):
        write_photo(directory / f"{number}.jpg", number)
    names = (f"{number}.jpg" for number in range(8))
    _write(directory, [{"image": one, "captions": [f"noise number {one[0]}"]} for one in names])


def write_videos(directory: Path) -> None:
    """Those of searchable.py, three of them captioned."""
    searchable.write_videos(directory)
    names = ("red", "shots", "long")
    _write(directory, [{"video": f"{one}.mp4", "captions": [f"a {one} clip"]} for one in names])


def _write(directory: Path, lines: list[dict[str, Any]]) -> None:
    (directory / "captions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
