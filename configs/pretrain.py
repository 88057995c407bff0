"""Pretraining on captioned pictures, filmed on the fly, from OpenAI's ViT-B/32. For a TPU pod.

    animclip convert openai/clip-vit-base-patch32 --out weights/vit_b32
    animclip train --config=configs/pretrain.py --workdir=runs/pretrain \\
        --config.data.train='tfrecord:PICTURES/*.tfrecord' \\
        --config.data.eval=folder:STORE@split=1k-A-9k-val

PICTURES as img2dataset writes them (docs/sources.md), STORE as `animclip prepare msrvtt:DIR` does
(docs/data.md). The evaluation is on validation videos; tests are for the finetuned models. Nobody
has run this at full size yet: its numbers are a beginning. `animclip plan` says that it fits 256
chips of TPU v5e, and that a step takes 0.15 seconds at best, so the 20,000 of them 0.8 hours at
least (docs/scaling.md; docs/reproduce.md for other machines). The batch of VideoPrism follows from
the memory that it needs at least; nobody has compiled its plan.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(preset: str = "vit_b32") -> ConfigDict:
    """`--config=configs/pretrain.py:pe_core_b16` takes another architecture and its weights."""
    config = common.get_config(preset)
    config.init_from = f"weights/{preset}"
    config.batch_size = 16_384
    config.steps = 20_000
    config.data.train = "tfrecord:pictures/*.tfrecord"
    config.data.eval = "folder:msrvtt@split=1k-A-9k-val"
    config.evaluation.protocol = "msrvtt-1k-a"
    config.model.dtype = "bfloat16"
    config.model.remat = "block"
    if config.model.vision.width >= 1024:  # ViT-L and larger
        config.batch_size = 4096
        config.mesh.fsdp = 8  # whole on every chip, state and gradients are too much for a v5e
    if config.model.towers.video.frames:  # whole videos of thousands of tokens
        config.batch_size = 2048
        config.evaluation.protocol = "folder"  # msrvtt-1k-a takes 12 frames
    config.optimizer.learning_rate = 1e-4  # of what is new; the towers learn slower
    config.optimizer.vision_rate = config.optimizer.text_rate = 0.1
    config.optimizer.warmup_steps = 1000
    config.checkpoint.every = 1000
    config.log_every = 50
    return config
