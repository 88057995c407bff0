"""What a run makes sure of before its first step: its folder and its sources."""

from typing import Any, NamedTuple

from etils import epath

from animclip_jax import sharding
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror
from animclip_jax.training import checkpoint, data, init_from
from animclip_jax.training.config import CHOSEN_ON_TEST, TrainingConfig
from input_pipeline import baked
from input_pipeline.examples import Examples
from input_pipeline.tokenizers.opening import open_tokenizer


class Sources(NamedTuple):
    """What a run reads, opened.

    examples: to train on; None of baked batches. digests: of all sources, by their settings' names.
    lacking: why the run is not evaluated here; None where it is.
    """

    examples: Examples | None
    digests: dict[str, str]
    lacking: str | None


def check_settings(config: TrainingConfig) -> None:
    """Finds that settings fit each other and the devices; opens no source and builds no array.

    Raises:
      ValueError: some do not.
    """
    mesh = sharding.make_mesh(config.mesh)
    size = config.batches.batch_size
    sharding.require_rows(mesh, size)
    if config.microbatch:
        sharding.require_parts(mesh, size, config.microbatch)
    if not config.source.startswith(baked.KIND):  # these batches were made before
        config.batches.check(sharding.process_part(mesh)[1])
    config.check_parameters()


def open_sources(config: TrainingConfig, part: tuple[int, int]) -> Sources:
    """Opens all sources and the vocabulary, so that a wrong one is found before the first step.

    Args:
      part: of each batch, for this process: which, of how many.

    Raises:
      ValueError, FileNotFoundError: one can't be opened, or does not fit the batches, or how it is
        to be searched.
    """
    open_tokenizer(*config.model.clip.reading)
    examples = data.open_examples(config)
    data.open_batches(config, examples, 0, part)  # checks, and makes none yet
    digests = {"data.train": data.fingerprint(config, examples)}
    lacking = _why_not_evaluated(config.evaluation.source)
    if config.validation is not None:
        if lacking is not None:
            raise ValueError(
                f"validation.every={config.validate_every}: {lacking}, or set validation.every=0"
            )
        digests["validation.source"] = _searched(config.validation)["data.eval"]
    if lacking is None:
        digests |= _searched(config.evaluation)
    if config.validation is not None and digests["validation.source"] == digests["data.eval"]:
        raise ValueError(
            f"validation.source {config.validation.source} and data.eval "
            f"{config.evaluation.source} hold the same videos and captions: {CHOSEN_ON_TEST}"
        )
    return Sources(examples, digests, lacking)


def _why_not_evaluated(source: str) -> str | None:
    try:
        import animclip_jax.evaluation.arm  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        return (
            f"reading {source} needs TensorFlow, which is not installed here. To evaluate, run the "
            "same command where it is"
        )
    return None


def _searched(config: EvaluationConfig) -> dict[str, str]:
    from animclip_jax.evaluation.arm import open_sources

    return {name: data.digest(found) for name, found in open_sources(config).items()}


def check_folder(mirror: Mirror, config: TrainingConfig) -> None:
    """Finds that the folder is this configuration's, or nobody's: none has a checkpoint there.

    Sources may have another name in a run that goes on: `check_sources` looks at what they hold.
    The first process alone calls this, so it looks at files: Orbax would wait for the others.

    Raises:
      ValueError: it belongs to a run with another configuration.
      FileNotFoundError: the weights to begin with are not there.
    """
    if checkpoint.has_one(mirror.remote):
        run_config.require_same(mirror.local, config.settings, besides=run_config.SOURCES)
        return
    if checkpoint.has_one(mirror.remote / layout.BEST) or (mirror.local / layout.RESULTS).is_file():
        run_config.require_same(mirror.local, config.settings)
    # A run that goes on has taken its first weights.
    for source in (config.init_from, config.init_towers_from):
        if source:
            init_from.require(epath.Path(source).expanduser())


def check_sources(
    workdir: epath.PathLike,
    made_of: dict[str, Any],
    settings: dict[str, Any],
    digests: dict[str, str],
) -> None:
    """Finds that a run goes on with what it began with, wherever that is now.

    Args:
      made_of: what the newest checkpoint was made of. settings: the configuration now.
      digests: of the sources as they are now; what is not opened here may be anything.

    Raises:
      ValueError: a source holds something else.
    """
    before = made_of.get("sources", {"data.train": made_of.get("data")})
    named = run_config.flat(made_of.get("config", {}))
    now = run_config.flat(settings)
    for name, digest in digests.items():
        # Of what is not trained on, checkpoints of older versions know the name alone.
        same = name not in before and name != "data.train" and named.get(name) == now[name]
        if not same and before.get(name) != digest:
            raise ValueError(
                f"{workdir} began with other items or captions than {name}={now[name]} now holds "
                f"(then {named.get(name)}): bring those back, choose another --workdir, or "
                "continue with --other-data"
            )
