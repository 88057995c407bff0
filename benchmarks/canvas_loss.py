"""What a clip loses by crossing as one small square canvas: PSNR against the whole picture.

    python -m benchmarks.canvas_loss PHOTO... [--canvas-size 320] [--image-size 224] [--clips 8]

Every clip is rendered twice from one plan: from the canvas, uint8 [S, S, 3], that the pipeline
sends to the device, and from all pixels of the picture. Prints the median and the worst of both
presets, in dB over a clip.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax import files
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from input_pipeline.filming.canvas import film_pictures
from input_pipeline.media import picture

film = jax.jit(render, static_argnums=2)


def losses(photos: list[np.ndarray], config: AnimationConfig, size: int, clips: int) -> list[float]:
    """PSNR in dB of each of `clips` clips of each photo."""
    found = []
    for photo in photos:
        for seed in range(clips):
            made = film_pictures([photo], config, seed, size)
            whole = fractions(made.windows, photo)
            pairs = ((made.canvas, made.plan), (photo, whole))
            ours, wanted = (
                np.asarray(film(jnp.asarray(pixels[None]), batched(plan), config.image_size))
                for pixels, plan in pairs
            )
            error = np.mean((ours - wanted) ** 2)
            found.append(10 * math.log10(1 / max(float(error), 1e-10)))
    return found


def fractions(windows: ShotPlan, photo: np.ndarray) -> ShotPlan:
    """A plan in pixels of the photo -> in fractions of it."""
    extent = np.tile(np.array(photo.shape[:2], np.float32), 2)
    return windows._replace(
        boxes=windows.boxes / extent,
        shear=windows.shear / extent[:2],
        smear=windows.smear / extent,
        extent=np.ones(2, np.float32),
    )


def batched(plan: ShotPlan) -> ShotPlan:
    return ShotPlan(*(part[None] for part in plan))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--canvas-size", type=int, default=320)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--clips", type=int, default=8, help="a photo")
    parser.add_argument("--quick", action="store_true", help="two clips a photo")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    photos = [picture.read(path) for path in options.photos]
    report = {}
    print(f"{len(photos)} photos, canvas {options.canvas_size}, frames {options.image_size}")
    for preset in ("repeat", "full"):
        config = AnimationConfig(preset, 4, options.image_size)
        clips = 2 if options.quick else options.clips
        found = losses(photos, config, options.canvas_size, clips)
        report[preset] = {"median_db": float(np.median(found)), "worst_db": min(found)}
        print(f"{preset:8} median {np.median(found):5.1f} dB, worst {min(found):5.1f} dB")
    if options.json:
        files.write_json(options.json, {"ratios": {}, "psnr": report})


if __name__ == "__main__":
    main()
