"""Every shipped configuration is read, fits the dataclasses, and has a model of its shape."""

import importlib
import pkgutil

import jax
import pytest
from flax import nnx

import configs
from animclip_jax import losses, protocols, settings, step
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.retriever import Retriever

NAMES = [
    module.name.removeprefix("configs.")
    for module in pkgutil.walk_packages(configs.__path__, "configs.")
    if not module.ispkg
]


@pytest.mark.parametrize("name", NAMES)
def test_full_size_shapes(name):
    module = importlib.import_module(f"configs.{name}")
    config = module.get_config()
    model = settings.retriever(config)
    clip = model.clip
    AnimationConfig.from_dict(config.animation.to_dict())
    settings.optimizer(config), settings.mesh(config)
    loss = settings.loss(config)
    assert config.batch_size % config.data.group_size == 0

    def full_loss(frames: jax.Array, tokens: jax.Array, index: jax.Array) -> jax.Array:
        retriever = Retriever(model, rngs=nnx.Rngs(0))
        return losses.retrieval_loss(
            retriever,
            frames,
            tokens,
            index,
            jax.random.key(0),
            loss,
        )[0]

    B, T, size = config.batch_size, config.animation.num_frames, clip.image_size
    shape = jax.eval_shape(
        full_loss,
        jax.ShapeDtypeStruct((B, T, size, size, 3), "float32"),
        jax.ShapeDtypeStruct((B, clip.context_length), "int32"),
        jax.ShapeDtypeStruct((B,), "int32"),
    )
    assert shape.shape == () and shape.dtype == "float32"


@pytest.mark.parametrize("name", NAMES)
def test_sweeps_change_settings_that_exist(name):
    module = importlib.import_module(f"configs.{name}")
    if hasattr(module, "sweep"):
        config = module.get_config().lock()
        for changes in module.sweep().values():
            config.copy_and_resolve_references().update_from_flattened_dict(changes)


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


def test_folders_takes_any_architecture():
    module = importlib.import_module("configs.folders")
    for name in PRESETS:
        assert settings.retriever(module.get_config(name)).clip == PRESETS[name]
    with pytest.raises(ValueError, match="vit_b32"):
        module.get_config("vit_b33")


@pytest.mark.parametrize("name", PRESETS)
def test_graph_definition_builds_every_architecture_and_no_array(name):
    config = importlib.import_module("configs.folders").get_config(name)
    step.graph_definition(settings.retriever(config))
