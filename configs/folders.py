"""Your own files: trains on a folder of captioned pictures, evaluates on one of captioned videos.

    animclip train --config=configs/folders.py --workdir=runs/mine \\
        --config.data.train=folder:PICTURES --config.data.eval=folder:VIDEOS

A folder holds captions.jsonl, an object a line: {"image" or "video": path, "captions": [...]}, or
captions in another format (docs/data.md).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(preset: str = "tiny") -> ConfigDict:
    """`--config=configs/folders.py:vit_b32` takes another architecture."""
    config = common.get_config(preset)
    config.data.train = "folder:pictures"
    config.data.eval = "folder:videos"
    if preset == "tiny":  # minutes on a CPU
        config.animation.num_frames = 4
        config.data.canvas_size = 96
    if preset in ("tiny", "small"):  # no weights to start from; Muon needs fewer steps
        config.optimizer.algorithm = "muon"
    return config
