"""`animclip animate PHOTO --out CLIP`: shows what training sees, a photo filmed by the director."""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["animate", *sys.argv[1:]]))

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from animclip_jax.animation import contact_sheet
from animclip_jax.animation.components import Scenes
from animclip_jax.animation.config import COMPONENTS, PRESETS, AnimationConfig, alone
from animclip_jax.animation.render import render_frames
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.animate import parse
from animclip_jax.words import count
from input_pipeline.filming.canvas import Filmed, film_pictures
from input_pipeline.filming.shown import backwards, make_clip, make_sheet, require_second
from input_pipeline.media import picture, video

# A sheet holds all frames side by side.
CLIPS, SHEETS = (".gif", ".mp4"), (".png", ".jpg")
NOT_TOLD = "no motion that a caption names"


@stoppable("animclip animate")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    out, frames = options.out, count(options.num_frames, "frame")
    try:
        _check_out(out, options.fps)
        photos = [picture.read(photo) for photo in options.photo]
        configs = {name: _config(name, options, len(photos)) for name in _names(options, photos)}
        filmed = {
            name: film_pictures(photos, config, options.seed, 2 * config.image_size)
            for name, config in configs.items()
        }
        if len(photos) == 2 and not options.grid:
            require_second(filmed, options.photo[1], options.component, options.preset)
        if options.told:
            filmed = _told(filmed)
        clips = {
            name: render_frames(film.canvas, film.plan, options.image_size)
            for name, film in filmed.items()
        }
        if out.suffix.lower() in SHEETS:
            contact_sheet.write_picture(out, make_sheet(photos, filmed, clips, options.show_path))
        else:
            shown = make_clip(photos, filmed, clips, options.show_path)
            written = video.write_video(out, shown, options.fps)
            if written < options.num_frames:
                frames = f"{written} of {frames}, equal ones held"
    except (OSError, ValueError) as error:
        print(f"animclip animate: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {frames}, {', '.join(clips)}, seed {options.seed}")
    return 0


def _told(filmed: dict[str, Filmed]) -> dict[str, Filmed]:
    """By what a caption may say of each clip, which then also runs backwards."""
    shown = {}
    for name, film in filmed.items():
        clause, opposite = (part.decode() for part in film.told)
        shown[f"{name}: {clause or NOT_TOLD}"] = film
        if clause:
            shown[f"{name}: {opposite}"] = backwards(film)
    return shown


def _check_out(out: Path, fps: float) -> None:
    wanted = (*CLIPS, *SHEETS)
    if out.suffix.lower() not in wanted:
        raise ValueError(f"{out}: can't write {out.suffix!r}, wanted {', '.join(wanted)}")
    if out.suffix.lower() in CLIPS:
        video.check_rate(out, fps)


def _names(options: argparse.Namespace, photos: Sequence[np.ndarray]) -> list[str]:
    """The presets or components to be shown."""
    if len(photos) > 2:
        raise ValueError(f"found {count(len(photos), 'photo')}, wanted one, or two for two scenes")
    if options.grid == "presets":
        return list(PRESETS)
    if options.grid == "components":
        return [name for name in COMPONENTS if name != "scenes" or len(photos) == 2]
    return [options.component or options.preset]


def _config(name: str, options: argparse.Namespace, num_photos: int) -> AnimationConfig:
    sizes = (options.num_frames, options.image_size)
    is_component = options.component or options.grid == "components"
    config = alone(name, *sizes) if is_component else AnimationConfig(name, *sizes)
    if name == "scenes" and num_photos == 1:
        raise ValueError("--component scenes: found one photo, wanted two")
    if num_photos == 2 and "scenes" in PRESETS[config.preset]:
        return dataclasses.replace(config, scenes=Scenes(1.0))
    return config
