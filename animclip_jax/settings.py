"""A run's configuration -> the frozen dataclasses that the library takes."""

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import jax
from ml_collections import ConfigDict

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.parameters import graph_definition
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TemporalConfig
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.sharding import MeshConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig, is_frozen, make_optimizer

T = TypeVar("T")


def keep_compiled_programs(config: ConfigDict) -> None:
    """Compiled programs are kept in data.cache_dir, unless JAX's own variable names a place.

    Raises:
      ValueError: data.cache_dir can't be written.
    """
    cache = Path(config.data.cache_dir).expanduser()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise ValueError(
            f"data.cache_dir is {config.data.cache_dir}, and {cache} can't be written: "
            f"{error.strerror}. Choose another folder by --config.data.cache_dir=FOLDER"
        ) from error
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        directory = Path(config.data.cache_dir).expanduser() / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(directory))


def _fields(kind: type[T], section: ConfigDict, **given: Any) -> T:
    names = {field.name for field in dataclasses.fields(kind)} - set(given)  # type: ignore[arg-type]
    return kind(**{name: section[name] for name in names}, **given)


def retriever(config: ConfigDict) -> RetrieverConfig:
    """The model's configuration."""
    clip = _fields(
        ClipConfig,
        config.model,
        vision=_fields(TransformerConfig, config.model.vision),
        text=_fields(TransformerConfig, config.model.text),
    )
    return RetrieverConfig(
        clip,
        _fields(RerankerConfig, config.reranker),
        config.animation.num_frames,
        _fields(TemporalConfig, config.temporal),
        logit_bias=config.loss.contrastive == "sigmoid",
    )


def optimizer(config: ConfigDict) -> OptimizerConfig:
    """The optimizer's configuration."""
    return _fields(OptimizerConfig, config.optimizer)


def loss(config: ConfigDict) -> LossConfig:
    """The losses' configuration."""
    return _fields(LossConfig, config.loss)


def mesh(config: ConfigDict) -> MeshConfig:
    """The mesh's configuration."""
    return _fields(MeshConfig, config.mesh)


def check(config: ConfigDict) -> None:
    """Raises ValueError where a setting is wrong, or does not fit another one."""
    retriever(config)
    optimizer(config)
    loss(config).check_batch(config.batch_size)
    AnimationConfig.from_dict(config.animation.to_dict())


def train_step(config: ConfigDict, params: dict) -> dict[str, Any]:
    """What `step.compile_train_step` takes beside the mesh and the state."""
    rules = optimizer(config)
    return {
        "graphdef": graph_definition(retriever(config)),
        "optimizer": make_optimizer(rules, config.steps),
        "loss": loss(config),
        "image_size": config.model.image_size,
        "seed": config.seed,
        "microbatch": config.microbatch,
        "frozen": is_frozen(rules, params) if rules.frozen else None,
        "average_decay": rules.average_decay,
    }
