"""A run's configuration -> the frozen dataclasses that the library takes."""

import dataclasses
from typing import Any, TypeVar

from ml_collections import ConfigDict

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.parameters import graph_definition
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TemporalConfig
from animclip_jax.sharding import MeshConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig, is_frozen, make_optimizer
from input_pipeline.examples import BatchConfig

T = TypeVar("T")


def _fields(kind: type[T], section: ConfigDict, **given: Any) -> T:
    names = {field.name for field in dataclasses.fields(kind)} - set(given)  # type: ignore[arg-type]
    return kind(**{name: section[name] for name in names}, **given)


def retriever(config: ConfigDict) -> RetrieverConfig:
    """The model's configuration."""
    clip = ClipConfig.from_dict(config.model.to_dict())
    if config.loss.contrastive == "sigmoid":
        towers = dataclasses.replace(clip.towers, logit_bias=True)
        clip = dataclasses.replace(clip, towers=towers)
    return RetrieverConfig(
        clip,
        _fields(RerankerConfig, config.reranker),
        config.animation.num_frames,
        _fields(TemporalConfig, config.temporal),
    )


def optimizer(config: ConfigDict) -> OptimizerConfig:
    """The optimizer's configuration."""
    return _fields(OptimizerConfig, config.optimizer)


def loss(config: ConfigDict) -> LossConfig:
    """The losses' configuration."""
    return _fields(LossConfig, config.loss)


def evaluation(config: ConfigDict) -> EvaluationConfig:
    """What is searched at the end of a run, and how."""
    return _fields(
        EvaluationConfig,
        config.evaluation,
        model=retriever(config),
        source=config.data.eval,
        cache_dir=config.data.cache_dir,
        seed=config.seed,
    )


def validation(config: ConfigDict) -> EvaluationConfig | None:
    """What the best step is chosen by; None where a run's last step is taken.

    Raises:
      ValueError: these are the videos of the test.
    """
    if not config.validation.every:
        return None
    if config.validation.source == config.data.eval:
        raise ValueError(
            f"validation.source is data.eval, {config.data.eval}: a step that is chosen on the "
            "test makes its score worthless; name other videos, or set validation.every=0"
        )
    return dataclasses.replace(evaluation(config), source=config.validation.source)


def mesh(config: ConfigDict) -> MeshConfig:
    """The mesh's configuration."""
    return _fields(MeshConfig, config.mesh)


def batches(config: ConfigDict) -> BatchConfig:
    """What the batches of a run depend on, besides their source."""
    return BatchConfig(
        AnimationConfig.from_dict(config.animation.to_dict()),
        batch_size=config.batch_size,
        seed=config.seed,
        canvas_size=config.data.canvas_size,
        group_size=config.data.group_size,
        footage=config.data.footage,
        context_length=config.model.context_length,
        vocab_size=config.model.vocab_size,
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError where a setting is wrong, or does not fit another one."""
    evaluation(config)
    validation(config)
    optimizer(config)
    loss(config).check_batch(config.batch_size)
    batches(config)


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
