"""Clips as a person looks at them: a contact sheet, or several clips side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from animclip_jax.animation import contact_sheet
from animclip_jax.animation.camera_path import draw_path
from animclip_jax.animation.config import PRESETS
from animclip_jax.animation.plan import ShotPlan
from input_pipeline.director import siblings
from input_pipeline.filming.canvas import Filmed
from input_pipeline.tensorflow_on_cpu import tf


def backwards(film: Filmed) -> Filmed:
    """The same clip backwards."""

    def turned(plan: ShotPlan) -> tuple[ShotPlan, np.ndarray]:
        clip = tf.nest.map_structure(lambda part: tf.constant(part)[None], (plan, film.picture))
        return tf.nest.map_structure(lambda part: part[0].numpy(), siblings.backwards(*clip))

    windows, picture = turned(film.windows)
    forwards, backwards = film.told
    return Filmed(film.canvas, turned(film.plan)[0], windows, picture, (backwards, forwards))


def require_second(
    filmed: dict[str, Filmed], second: Path, component: str | None, preset: str
) -> None:
    """Raises ValueError, with what to choose, where no clip shows the second photo.

    Args:
      second: its file. component: the one that is filmed alone; None where a preset is filmed.
    """
    if any(film.picture.any() for film in filmed.values()):
        return
    chosen = f"--component {component}" if component else f"--preset {preset}"
    having = [name for name, parts in PRESETS.items() if "scenes" in parts]
    if component == "scenes" or (not component and preset in having):
        found, wanted = "this clip has one scene", "another --seed, more frames by --num-frames"
    else:
        found, wanted = "has no scenes", f"a --preset that has some ({', '.join(having)})"
    raise ValueError(
        f"{chosen}: {found}, so {second} is not shown; wanted {wanted}, --component scenes, or one "
        "photo"
    )


def make_sheet(
    photos: Sequence[np.ndarray],
    filmed: dict[str, Filmed],
    clips: dict[str, np.ndarray],
    show_path: bool,
) -> Image.Image:
    """One picture: the frames of one clip in rows, or a row for each clip of several."""
    several, rows = len(clips) > 1, []
    for name, frames in clips.items():
        row = contact_sheet.strip(frames) if several else contact_sheet.sheet(frames)
        if show_path:
            windows, picture = filmed[name].windows, filmed[name].picture
            height = frames.shape[1] * (1 if several else 2)
            path = draw_path(photos, windows, picture, height)
            row = contact_sheet.join([path, row], side_by_side=several)
        rows.append(contact_sheet.labelled(row, name) if several else row)
    return contact_sheet.join(rows)


def make_clip(
    photos: Sequence[np.ndarray],
    filmed: dict[str, Filmed],
    clips: dict[str, np.ndarray],
    show_path: bool,
) -> np.ndarray:
    """One clip uint8 [T, H, W, 3]: as it is, or several playing side by side."""
    shown = {}
    for name, frames in clips.items():
        if show_path:
            windows, picture = filmed[name].windows, filmed[name].picture
            paths = [
                np.asarray(draw_path(photos, windows, picture, frames.shape[1], now))
                for now in range(len(frames))
            ]
            frames = np.concatenate([np.stack(paths), frames], axis=2)
        shown[name] = frames
    return contact_sheet.grid(shown) if len(shown) > 1 else next(iter(shown.values()))
