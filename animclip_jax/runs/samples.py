"""The samples of animated clips that a run keeps."""

from pathlib import Path

import numpy as np
from PIL import Image

from animclip_jax import files
from animclip_jax.animation.contact_sheet import strip, write_picture
from animclip_jax.runs import layout


def write_samples(
    workdir: Path, pictures: list[np.ndarray], clips: np.ndarray, captions: list[str]
) -> None:
    """Writes WORKDIR/samples/: what the director made of some training pictures.

    Args:
      pictures: uint8 [H, W, 3] each. clips: uint8 [N, T, O, O, 3]. captions: N.
    """
    directory = workdir / layout.SAMPLES
    directory.mkdir(parents=True, exist_ok=True)
    listing = []
    for number, (picture, clip, caption) in enumerate(zip(pictures, clips, captions, strict=True)):
        source = Image.fromarray(picture)
        source.thumbnail((256, 256))
        names = {"picture": f"{number}_source.jpg", "strip": f"{number}.jpg"}
        write_picture(directory / names["picture"], source)
        write_picture(directory / names["strip"], strip(clip))
        size = {"frames": clip.shape[0], "side": clip.shape[1]}
        listing.append(names | size | {"caption": caption})
    files.write_json(workdir / layout.SAMPLES_LIST, listing, indent=1)
