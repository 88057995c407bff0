"""Settings that every experiment has, and their defaults; an experiment changes its own copy."""

import dataclasses

from ml_collections import ConfigDict, FieldReference

from animclip_jax.animation.config import PARTS, AnimationConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.models.retriever import TemporalConfig


def get_config(preset: str = "tiny") -> ConfigDict:
    """A whole configuration for an architecture of `animclip_jax/models/presets.py`.

    Raises:
      ValueError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}: choose one of {', '.join(PRESETS)}")
    config = ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 32  # clips a step, over all devices
    # Clips that the model takes at once, over all devices; the negatives stay those of the whole
    # batch. 0: all of them.
    config.microbatch = 0
    config.log_every = 10  # steps
    config.log = ConfigDict()
    config.log.to = ""  # or wandb, trackio: a tracker that gets the logged numbers, too
    # Begin with the weights of this folder: of another run, or written by animclip convert.
    config.init_from = ""
    # Take the towers from this one instead, which may be of another family than init_from's.
    config.init_towers_from = ""

    config.data = _data(PRESETS[preset].image_size)
    config.model = ConfigDict(dataclasses.asdict(PRESETS[preset]))

    # VideoPrism's positions in time are learned for so many.
    config.animation = _animation(PRESETS[preset].towers.video.frames or 12)
    config.animation.image_size = config.model.get_ref("image_size")

    config.reranker = ConfigDict(dataclasses.asdict(RERANKERS[preset]))

    # The transformer over frame embeddings; with 0 layers a video is the mean of its frames.
    config.temporal = ConfigDict(dataclasses.asdict(TemporalConfig()))

    # An eye for motion beside the re-ranker; see docs/motion.md. 0 features: none.
    config.motion = ConfigDict(dataclasses.asdict(MotionConfig()))

    config.loss = _loss(PRESETS[preset].towers.logit_bias)

    config.optimizer = _optimizer(config.get_ref("steps"))

    config.lora = _lora()

    config.mesh = _mesh()

    config.checkpoint = ConfigDict()
    config.checkpoint.every = 500  # steps
    config.checkpoint.keep = 2

    # Every so many steps the model searches other videos than the test's, and the step that did
    # best is the one evaluated. 0: the last one is.
    config.validation = ConfigDict()
    config.validation.every = 0
    config.validation.source = ""

    config.evaluation = _evaluation()
    return config


def _mesh() -> ConfigDict:
    """How devices share a step."""
    mesh = ConfigDict()
    mesh.data = -1  # whatever devices the other axes leave
    mesh.fsdp = 1  # splits the batch, and parameters and optimizer by size
    mesh.tensor = 1  # splits attention heads and MLP widths
    return mesh


def _data(image_size: int) -> ConfigDict:
    """What is trained on and searched, and how it reaches the device."""
    data = ConfigDict()
    data.train = "drawn:train"  # kind:location, see README
    data.eval = "drawn:test"
    data.cache_dir = "~/.cache/animclip"  # what is drawn or prepared is kept here
    # Side of the picture that crosses to the device, pixels: what fits is not resized on the host,
    # and a prepared photo (short side 320) of 4:3 does. Larger frames need a larger one.
    data.canvas_size = max(448, 4 * image_size // 3)
    # Consecutive examples kept in one batch, such as near-duplicates that differ in a word.
    data.group_size = 1
    # Clips are the videos' own frames, not one frame of each that is filmed.
    data.footage = False
    return data


def _animation(num_frames: int) -> ConfigDict:
    """How pictures are filmed, but for the size of the frames."""
    animation = ConfigDict()
    animation.preset = "full"  # repeat, still, zoom, camera, shots, full or things
    animation.num_frames = num_frames
    animation.render = "device"  # or host: clips leave tf.data as frames
    # Each component: how probable it is in a clip, and the ranges its amounts are drawn from; see
    # animclip_jax/animation/components.py for the units. And what captions say of the motion:
    # animclip_jax/animation/told.py.
    for name in PARTS:
        animation[name] = ConfigDict(dataclasses.asdict(getattr(AnimationConfig(), name)))
    return animation


def _loss(has_bias: bool) -> ConfigDict:
    loss = ConfigDict()
    loss.matching_weight = 1.0
    loss.hard_negatives = 3  # of the batch, for each caption and each clip
    # Over the global batch. SigLIP was trained with sigmoid, and its bias is one of its weights.
    loss.contrastive = "sigmoid" if has_bias else "softmax"
    loss.matching = "listwise"  # or binary
    loss.motion_weight = 1.0  # where motion.features is not 0
    return loss


def _optimizer(steps: FieldReference) -> ConfigDict:
    """What moves the parameters, and how fast."""
    optimizer = ConfigDict()
    optimizer.algorithm = "adamw"  # or muon, for training from nothing
    optimizer.matrix_rate = 3.0  # factor on the learning rate of what Muon moves
    optimizer.learning_rate = 5e-4
    optimizer.warmup_steps = steps // 10
    optimizer.weight_decay = 0.1
    optimizer.b1 = 0.9
    optimizer.b2 = 0.98
    optimizer.clip_norm = 1.0  # greatest norm of all gradients together; 0: any
    optimizer.vision_rate = 1.0  # factors on the towers' learning rates
    optimizer.text_rate = 1.0
    optimizer.layer_decay = 1.0  # another, for each layer of a tower that follows
    optimizer.frozen = ""  # regular expression, such as clip/text
    optimizer.average_decay = 0.0  # of the moving average that is evaluated; 0: none
    return optimizer


def _lora() -> ConfigDict:
    """Adapters of the towers' kernels, which then keep their values, as all of the towers does."""
    lora = ConfigDict()
    lora.rank = 0  # no adapters
    lora.alpha = 16.0  # their products learn alpha / rank times as fast
    lora.targets = "attention"  # regular expression; or attention|mlp, or query|key_value
    return lora


def _evaluation() -> ConfigDict:
    """How a trained model is searched with."""
    evaluation = ConfigDict()
    evaluation.batch_size = 32  # videos or captions at once, on each device
    evaluation.rerank_k = 20  # candidates a query that are re-ranked
    # See docs/results.md; "" is drawn or folder, by the source.
    evaluation.protocol = ""
    evaluation.normalization = "none"  # or dsl or qb_norm: looks at other queries
    evaluation.query_bank = ""  # qb_norm's source of training captions
    return evaluation
