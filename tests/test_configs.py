"""Every shipped configuration is read, fits the dataclasses, and has a model of its shape."""

import functools
import importlib
import pkgutil
from pathlib import Path

import jax
import pytest
from flax import nnx

import configs
from animclip_jax import settings
from animclip_jax.evaluation import protocols
from animclip_jax.models import parameters
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.retriever import Retriever, RetrieverConfig
from animclip_jax.training import hard_negatives, losses

NAMES = [
    module.name.removeprefix("configs.")
    for module in pkgutil.walk_packages(configs.__path__, "configs.")
    if not module.ispkg
]


def config_of(name, arm=None):
    """A configuration, or one arm of its sweep."""
    module = importlib.import_module(f"configs.{name}")
    return settings.changed(module.get_config().lock(), module.sweep()[arm] if arm else {})


def arms(name):
    module = importlib.import_module(f"configs.{name}")
    return list(module.sweep()) if hasattr(module, "sweep") else []


# Every configuration, and every arm of those that are swept.
ALL = [(name, arm) for name in NAMES for arm in (None, *arms(name))]


@functools.cache  # many arms differ in other settings alone
def loss_shape(
    model: RetrieverConfig, loss: losses.LossConfig, batch_size: int
) -> jax.ShapeDtypeStruct:
    def full_loss(frames: jax.Array, tokens: jax.Array, index: jax.Array) -> jax.Array:
        retriever = Retriever(model, rngs=nnx.Rngs(0))
        text, video = retriever.encode_text(tokens), retriever.encode_video(frames)
        same, key = hard_negatives.same_pair(tokens, index), jax.random.key(0)
        return losses.feature_loss(retriever, text, video, same, key, loss)[0]

    B, T, size = batch_size, model.num_frames, model.clip.image_size
    return jax.eval_shape(
        full_loss,
        jax.ShapeDtypeStruct((B, T, size, size, 3), "float32"),
        jax.ShapeDtypeStruct((B, model.clip.context_length), "int32"),
        jax.ShapeDtypeStruct((B,), "int32"),
    )


@pytest.mark.parametrize(("name", "arm"), ALL)
def test_full_size_shapes(name, arm):
    config = config_of(name, arm)
    run = settings.training(config)
    assert config.batch_size % config.data.group_size == 0
    assert config.batch_size % (config.microbatch or config.batch_size) == 0
    shape = loss_shape(run.model, run.loss, config.batch_size)
    assert shape.shape == () and shape.dtype == "float32"


@pytest.mark.parametrize("name", [name for name in NAMES if arms(name)])
def test_arms_of_a_sweep_are_different_folders_and_settings(name):
    settled = [config_of(name, arm).to_json() for arm in arms(name)]
    assert len(set(settled)) == len(settled)
    assert settled[0] == config_of(name).to_json()  # the main arm is the configuration as it is
    assert all(Path(arm).name == arm and not arm.startswith(".") for arm in arms(name))


def test_an_arm_with_a_setting_that_does_not_exist_is_refused():
    config = config_of("quickstart")
    with pytest.raises(KeyError, match="hard_negative"):
        settings.changed(config, {"loss.hard_negative": 3})


@pytest.mark.parametrize("name", NAMES)
def test_the_protocol_searches_what_is_evaluated_on(name):
    module = importlib.import_module(f"configs.{name}")
    configs = [module.get_config()]
    if name == "vatex":
        configs.append(module.get_config("test1k5"))
    for config in configs:
        named, protocol = protocols.protocol_of(config.evaluation.protocol, config.data.eval)
        assert protocol.num_frames in (None, config.animation.num_frames)
        # Splits have names only where a published protocol says what is in them.
        assert ("@split=" in config.data.eval) == (named not in ("folder", "drawn"))


def test_values_derived_from_others_follow_them():
    config = importlib.import_module("configs.common").get_config()
    config.steps, config.model.image_size = 400, 96
    assert config.optimizer.warmup_steps == 40
    assert config.animation.image_size == 96


def test_batches_of_every_size_see_as_many_clips():
    main, *others = [
        config_of("experiments.negatives", arm) for arm in arms("experiments.negatives")
    ]
    for config in others:
        spared = main.steps * main.batch_size - config.steps * config.batch_size
        assert 0 <= spared < config.batch_size
        assert config.microbatch <= main.batch_size


def test_folders_takes_any_architecture():
    module = importlib.import_module("configs.folders")
    for name in PRESETS:
        config = module.get_config(name)
        assert settings.retriever(config).clip == PRESETS[name]
        # A canvas below a frame's size would be enlarged.
        assert config.data.canvas_size > 1.3 * config.model.image_size
        assert config.optimizer.algorithm == ("muon" if name in ("tiny", "small") else "adamw")
    with pytest.raises(ValueError, match="vit_b32"):
        module.get_config("vit_b33")


@pytest.mark.parametrize("name", PRESETS)
def test_graph_definition_builds_every_architecture_and_no_array(name):
    config = importlib.import_module("configs.folders").get_config(name)
    parameters.graph_definition(settings.retriever(config))


@pytest.mark.parametrize("name", PRESETS)
def test_every_architecture_is_pretrained_with_its_own_loss_from_its_own_weights(name):
    config = importlib.import_module("configs.pretrain").get_config(name)
    run = settings.training(config)
    assert run.init_from == f"weights/{name}" and run.model.clip.towers == PRESETS[name].towers
    assert run.loss.contrastive == ("sigmoid" if "siglip" in name else "softmax")
    # A v5e holds neither the state of a ViT-L nor 16,384 clips of it, nor as many whole videos.
    is_large = PRESETS[name].vision.width >= 1024
    clips = 2048 if "videoprism" in name else 4096 if is_large else 16384
    assert (run.batches.batch_size, run.mesh.fsdp) == (clips, 8 if is_large else 1)
    protocols.describe(
        run.evaluation.protocol,
        run.evaluation.source,
        num_videos=497,
        num_captions=9940,
        missing=0,
        num_frames=run.model.num_frames,
    )
