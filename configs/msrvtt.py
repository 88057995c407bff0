"""MSR-VTT 1k-A, 9k split: finetuning and test, from a pretrained run.

    animclip prepare msrvtt:DIR --out msrvtt          # DIR: docs/data.md says what it holds
    animclip train --config=configs/msrvtt.py --workdir=runs/msrvtt \\
        --config.init_from=runs/pretrain

Clips are the 8,503 training videos' own frames, a caption of its own each time.
The last checkpoint is evaluated: no choice is made on the test. Settings are to be chosen with
--config.data.eval=folder:msrvtt@split=1k-A-9k-val.
`animclip plan --config=configs/msrvtt.py --topology=v5e:2x4`: it fits, 5.1 GiB of 15.75 a chip, and
a step takes 81 ms at best, so the 7,000 of them 10 minutes at least.

To compare with: published text-to-video R@1 on the 1,000 test pairs, ViT-B/32, without dual softmax
(DSL) or the like. These are their authors' numbers, not ours; they train on all 9,000 videos.

    CLIP4Clip  44.5
    X-CLIP     46.1
    TS2-Net    47.0
    CLIP-ViP   50.1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(preset: str = "vit_b32") -> ConfigDict:
    """Also the settings that the other video sets begin with."""
    config = common.get_config(preset)
    config.init_from = "runs/pretrain"
    config.data.train = "folder:msrvtt@split=1k-A-9k-train"
    config.data.eval = "folder:msrvtt@split=1k-A-9k-test"
    config.data.footage = True
    config.animation.preset = "repeat"  # what the evaluation shows of a frame
    config.batch_size = 128
    config.steps = 7000
    config.model.dtype = "bfloat16"
    config.model.remat = "dots"
    config.optimizer.learning_rate = 1e-4  # of the re-ranker; the towers learn much slower
    config.optimizer.vision_rate = config.optimizer.text_rate = 1e-3
    config.evaluation.protocol = "msrvtt-1k-a"
    config.evaluation.rerank_k = 50
    return config
