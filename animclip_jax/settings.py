"""A configuration (a ConfigDict) -> the frozen dataclasses that the library takes."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from etils import epath
from ml_collections import ConfigDict

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TemporalConfig
from animclip_jax.models.towers import CLIP
from animclip_jax.runs import run_config
from animclip_jax.sharding import MeshConfig
from animclip_jax.training.config import TrainingConfig
from animclip_jax.training.lora import TOWERS, LoraConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig
from animclip_jax.weights import vocabulary
from input_pipeline.examples import BatchConfig

T = TypeVar("T")


def of_run(workdir: Path | epath.Path) -> ConfigDict:
    """The configuration a run was made with; raises as `run_config.read`."""
    settings = run_config.read(workdir)
    if "model" in settings:
        settings["model"]["tokenizer"] = vocabulary.find(workdir)
    return ConfigDict(settings)


def changed(config: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """A copy of a configuration with settings changed, "a.b" -> value; derived values follow."""
    config = copy.deepcopy(config)
    config.update_from_flattened_dict(changes)
    return config


def plain(config: ConfigDict) -> dict[str, Any]:
    """The settings of a configuration as JSON has them: what a run's folder keeps."""
    settings: dict[str, Any] = json.loads(config.to_json())
    return settings


def with_tokenizer(config: ConfigDict, workdir: Path | epath.Path | None = None) -> ConfigDict:
    """A copy whose model.tokenizer is the vocabulary of the run, where that is not CLIP's.

    It is the one that the run has, the one that is given, or that of the towers it begins with.

    Raises:
      ValueError: the one that is given is not the run's.
    """
    if retriever(config).clip.towers.tokenizer == CLIP.tokenizer:
        return config
    kept = vocabulary.find(workdir) if workdir is not None else ""
    given = str(epath.Path(config.model.tokenizer).expanduser()) if config.model.tokenizer else ""
    # What the run has of it is enough.
    is_there = given and epath.Path(given).is_file()
    if kept and is_there and vocabulary.checksum(kept) != vocabulary.checksum(given):
        raise ValueError(
            f"{given}: not the run's vocabulary, {kept}: leave it out, or choose another --workdir"
        )
    begun = config.init_towers_from or config.init_from
    if begun and not kept and not given:
        given = vocabulary.find(epath.Path(begun).expanduser())
    return changed(config, {"model.tokenizer": kept or given})


def training(config: ConfigDict, workdir: Path | epath.Path | None = None) -> TrainingConfig:
    """A run's whole configuration.

    Args:
      workdir: the folder of the run, which may have its vocabulary already.

    Raises:
      FileNotFoundError, ValueError: a setting is wrong, or does not fit another one.
    """
    settings, config = plain(config), with_tokenizer(config, workdir)
    searched, adapters = evaluation(config), _fields(LoraConfig, config.lora)
    validation = None
    if config.validation.every:
        if not config.validation.source:
            raise ValueError(
                f"validation.every={config.validation.every} and no validation.source: name the "
                "videos to choose a step on, other ones than those of data.eval, such as "
                "--config.validation.source=folder:VIDEOS@split=val"
            )
        validation = dataclasses.replace(searched, source=config.validation.source)
    return TrainingConfig(
        model=searched.model,
        batches=batches(config),
        source=config.data.train,
        optimizer=_optimizer(config, adapters),
        lora=adapters,
        loss=_fields(LossConfig, config.loss),
        mesh=mesh(config),
        steps=config.steps,
        microbatch=config.microbatch,
        init_from=config.init_from,
        init_towers_from=config.init_towers_from,
        save_every=config.checkpoint.every,
        keep=config.checkpoint.keep,
        log_every=config.log_every,
        log_to=config.log.to,
        evaluation=searched,
        validation=validation,
        validate_every=config.validation.every,
        settings=settings,
    )


def _fields(kind: type[T], section: ConfigDict, **given: Any) -> T:
    """A setting that a run of an older version did not know has its default."""
    names = {field.name for field in dataclasses.fields(kind)} - set(given)  # type: ignore[arg-type]
    return kind(**{name: section[name] for name in names if name in section}, **given)


def _optimizer(config: ConfigDict, adapters: LoraConfig) -> OptimizerConfig:
    """With adapters the towers themselves are frozen."""
    if not adapters.rank:
        return _fields(OptimizerConfig, config.optimizer, adapter_rate=1.0)
    frozen = f"{config.optimizer.frozen}|{TOWERS}" if config.optimizer.frozen else TOWERS
    rate = adapters.alpha / adapters.rank
    return _fields(OptimizerConfig, config.optimizer, frozen=frozen, adapter_rate=rate)


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
        _fields(MotionConfig, config.get("motion", ConfigDict())),
    )


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


def mesh(config: ConfigDict) -> MeshConfig:
    """The mesh's configuration."""
    return _fields(MeshConfig, config.mesh)


def batches(config: ConfigDict) -> BatchConfig:
    """What the batches of a run depend on, besides their source."""
    clip = ClipConfig.from_dict(config.model.to_dict())
    return BatchConfig(
        AnimationConfig.from_dict(config.animation.to_dict()),
        batch_size=config.batch_size,
        seed=config.seed,
        canvas_size=config.data.canvas_size,
        group_size=config.data.group_size,
        footage=config.data.footage,
        squashed=config.data.footage and clip.towers.pixels.resize == "squash",
        context_length=clip.context_length,
        vocab_size=clip.vocab_size,
        tokens=clip.towers.tokenizer,
        tokenizer=clip.tokenizer,
    )
