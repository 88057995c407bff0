"""`animclip animate PHOTO --out CLIP`: shows what training sees, a photo filmed by the director."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageOps

from animclip_jax.animation.config import PRESETS, AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from input_pipeline import video
from input_pipeline.filming import film_picture

SUFFIXES = (".gif", ".mp4", ".png")
# Frames in a row of a contact sheet, and pixels between them.
COLUMNS, GAP = 6, 4


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    parser = argparse.ArgumentParser(prog="animclip animate", description=__doc__)
    parser.add_argument("photo", help="a picture of any shape")
    parser.add_argument(
        "--out", required=True, help="clip.gif, clip.mp4, or sheet.png with all frames side by side"
    )
    parser.add_argument("--preset", default="full", choices=PRESETS, help="which components are on")
    parser.add_argument("--num_frames", type=int, default=24)
    parser.add_argument("--image_size", type=int, default=224, help="side of a frame in pixels")
    parser.add_argument("--seed", type=int, default=0, help="another seed films another clip")
    parser.add_argument("--fps", type=float, default=8.0)
    options = parser.parse_args(argv)
    out = Path(options.out)
    try:
        if out.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{out}: can't write {out.suffix!r}, wanted {', '.join(SUFFIXES)}")
        if not out.absolute().parent.is_dir():
            raise FileNotFoundError(f"{out}: there is no directory {out.absolute().parent}")
        config = AnimationConfig(options.preset, options.num_frames, options.image_size)
        frames = animate(read_photo(Path(options.photo)), config, options.seed)
        if out.suffix.lower() == ".png":
            write_sheet(out, frames)
        else:
            video.write_video(out, frames, options.fps)
    except (OSError, ValueError) as error:
        print(f"animclip animate: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {len(frames)} frames, preset {options.preset}, seed {options.seed}")
    return 0


def read_photo(path: Path) -> np.ndarray:
    """A picture uint8 [H, W, 3], turned as its EXIF mark says. Raises OSError or ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: can't be read as a picture: {error}") from error


def animate(photo: np.ndarray, config: AnimationConfig, seed: int) -> np.ndarray:
    """Films a photo uint8 [H, W, 3] as training does: uint8 [T, image_size, image_size, 3].

    The canvas has twice a frame's side, finer than what training usually takes.
    """
    canvas, plan = film_picture(photo, config, seed, 2 * config.image_size)
    clip = ShotPlan(plan.boxes[None])
    frames = np.asarray(render(jnp.asarray(canvas[None]), clip, config.image_size))[0]
    return np.round(frames * 255.0).astype(np.uint8)


def write_sheet(path: Path, frames: np.ndarray) -> None:
    """A contact sheet of frames uint8 [T, H, W, 3] as a PNG, whole or not at all."""
    count, height, width = frames.shape[:3]
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    size = (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP)
    sheet = Image.new("RGB", size, "white")
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        corner = (GAP + column * (width + GAP), GAP + row * (height + GAP))
        sheet.paste(Image.fromarray(frame), corner)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        sheet.save(temporary, "PNG")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
