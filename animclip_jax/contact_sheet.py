"""Frames side by side in one picture, and the samples of animated clips that a run keeps."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

GAP = 2


def strip(frames: np.ndarray) -> Image.Image:
    """uint8 [T, H, W, 3] -> one picture, the frames in a row with a thin gap between."""
    gap = np.full((frames.shape[1], GAP, 3), 255, np.uint8)
    columns = [column for frame in frames for column in (gap, frame)][1:]
    return Image.fromarray(np.concatenate(columns, axis=1))


def write_samples(
    workdir: Path, pictures: list[np.ndarray], clips: np.ndarray, captions: list[str]
) -> None:
    """Writes WORKDIR/samples/: what the director made of some training pictures.

    Args:
      pictures: uint8 [H, W, 3] each. clips: uint8 [N, T, O, O, 3]. captions: N.
    """
    directory = workdir / "samples"
    directory.mkdir(parents=True, exist_ok=True)
    listing = []
    for number, (picture, clip, caption) in enumerate(zip(pictures, clips, captions, strict=True)):
        source = Image.fromarray(picture)
        source.thumbnail((256, 256))
        names = {"picture": f"{number}_source.jpg", "strip": f"{number}.jpg"}
        source.save(directory / names["picture"], quality=85)
        strip(clip).save(directory / names["strip"], quality=85)
        listing.append(names | {"caption": caption})
    (directory / "samples.json").write_text(json.dumps(listing, indent=1))
