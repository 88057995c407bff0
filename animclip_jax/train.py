"""`animclip train`: the one training loop, for every stage and every experiment."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax
from absl import flags
from jax.sharding import Mesh
from ml_collections import ConfigDict, config_flags

from animclip_jax import bake, command_line, results, runs, settings, sharding, step
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.render import clips
from animclip_jax.checkpoint import Checkpoints
from animclip_jax.contact_sheet import write_samples
from animclip_jax.interruption import Interruption
from animclip_jax.optimizer import learning_rate, make_optimizer
from animclip_jax.revision import git_commit
from animclip_jax.run_log import RunLog
from input_pipeline import baked
from input_pipeline.tokenizer import Tokenizer

if TYPE_CHECKING:
    from input_pipeline.sources import Examples

NUM_SAMPLES = 6


@dataclasses.dataclass(frozen=True)
class Run:
    """What stays the same from a run's first step to its last. Baked batches have no examples."""

    config: ConfigDict
    workdir: Path
    mesh: Mesh
    examples: "Examples | None"
    optimizer: optax.GradientTransformation


def train(config: ConfigDict, workdir: Path, config_overrides: dict[str, Any]) -> int:
    """Trains from the newest checkpoint of `workdir`, or from scratch, to config.steps; evaluates.

    Returns:
      the exit code: 0 when the run is finished or was preempted (SIGTERM), 130 after Ctrl-C.

    Raises:
      ValueError: the folder belongs to a run with another configuration.
    """
    runs.claim(workdir, config)
    git_commit()  # the one that starts the run, not the one there when it ends
    mesh = sharding.make_mesh(settings.mesh(config))
    examples = open_examples(config)
    optimizer = make_optimizer(settings.optimizer(config), config.steps)
    run = Run(config, workdir, mesh, examples, optimizer)
    began = time.perf_counter()
    with Checkpoints(workdir, keep=config.checkpoint.keep) as checkpoints:
        state = step.init_state(mesh, settings.retriever(config), optimizer, config.seed)
        if (saved := checkpoints.latest()) is not None:
            state = checkpoints.restore(saved, state)
        with Interruption() as interruption:
            state = run_steps(run, state, checkpoints, interruption)
    if interruption.signal_name:
        print(
            f"{interruption.signal_name}: stopped after step {int(state.step)} of {config.steps}, "
            f"saved in {workdir}. The same command goes on from there.",
            file=sys.stderr,
        )
        return interruption.exit_code
    try:
        from animclip_jax.evaluate import evaluate
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        print(
            f"{workdir}: trained, not evaluated: there is no TensorFlow here to read "
            f"{config.data.eval}. The same command evaluates where there is.",
            file=sys.stderr,
        )
        return 0
    report = evaluate(
        config,
        mesh,
        state.params,
        workdir,
        steps=config.steps,
        config_overrides=config_overrides,
        train_seconds=time.perf_counter() - began,
    )
    print(results.table(report))
    return 0


def run_steps(
    run: Run, state: step.TrainState, checkpoints: Checkpoints, interruption: Interruption
) -> step.TrainState:
    """The loop, to the last step or an interruption; the state it ends with is saved.

    Order within a step, kept: save, next batch, step, log. A checkpoint's number is the number of
    steps done; step s takes batch s, whatever happened before.
    """
    config, first = run.config, int(state.step)
    advance = step.compile_train_step(
        run.mesh,
        state,
        graphdef=step.graph_definition(settings.retriever(config)),
        optimizer=run.optimizer,
        loss=settings.loss(config),
        image_size=config.model.image_size,
        seed=config.seed,
    )
    batches = open_batches(run, first)
    rate = learning_rate(settings.optimizer(config), config.steps)
    with RunLog(run.workdir, config.steps, first) as log:
        since = time.perf_counter()
        for now in range(first, config.steps):
            if now > first and now % config.checkpoint.every == 0:
                checkpoints.save(now, state)
            if interruption.signal_name:
                break
            batch = next(batches)
            if now == 0:
                keep_samples(run, batch)
            state, metrics = advance(state, sharding.put_batch(run.mesh, batch))
            if (now + 1) % config.log_every == 0 or now + 1 == config.steps:
                values = {name: float(value) for name, value in jax.device_get(metrics).items()}
                steps = (now - first) % config.log_every + 1
                elapsed, since = time.perf_counter() - since, time.perf_counter()
                values["learning_rate"] = float(rate(now))
                values["clips_per_second"] = steps * config.batch_size / elapsed
                log.log(now + 1, values)
    checkpoints.save(int(state.step), state)
    return state


def open_examples(config: ConfigDict) -> "Examples | None":
    """The source to train on; None for baked batches, which take no TensorFlow."""
    if config.data.train.startswith(baked.KIND):
        return None
    from input_pipeline.sources import open_source

    return open_source(config.data.train, config.data.cache_dir)


def open_batches(run: Run, start_step: int) -> Iterator[dict[str, Any]]:
    """This process's part of the batches from a step on."""
    config = run.config
    process = {"process_index": jax.process_index(), "process_count": jax.process_count()}
    if run.examples is None:
        made_by = bake.settings(config)
        return baked.baked_batches(config.data.train, made_by, start_step=start_step, **process)
    from input_pipeline.batches import train_batches

    return train_batches(
        run.examples,
        AnimationConfig.from_dict(config.animation.to_dict()),
        Tokenizer(config.model.context_length, config.model.vocab_size),
        canvas_size=config.data.canvas_size,
        batch_size=config.batch_size,
        seed=config.seed,
        start_step=start_step,
        group_size=config.data.group_size,
        **process,
    )


def keep_samples(run: Run, batch: dict[str, Any]) -> None:
    """Writes the first clips of a batch, as the model will see them, beside their pictures."""
    few = jax.tree.map(lambda x: x[:NUM_SAMPLES], batch)
    frames = np.asarray(clips(few, run.config.model.image_size) * 255 + 0.5)
    if run.examples is None:
        captions = [f"baked example {index}" for index in few["index"]]
        pictures = list(few["canvas"] if "canvas" in few else few["frames"][:, 0])
    else:
        from input_pipeline.batches import decode_pictures

        captions = [run.examples.captions[i][0] for i in few["index"]]
        pictures = decode_pictures(run.examples, few["index"])
    write_samples(run.workdir, pictures, frames.astype(np.uint8), captions)


def train_sweep(config: ConfigDict, workdir: Path, arms: dict, overrides: dict[str, Any]) -> int:
    """Trains every arm in WORKDIR/ARM, one after the other; finished ones are not run again."""
    workdir.mkdir(parents=True, exist_ok=True)
    sweep = {"main": next(iter(arms)), "arms": list(arms)}
    results.write_text(workdir / results.SWEEP, json.dumps(sweep) + "\n")
    for arm, changes in arms.items():
        print(f"\n{arm}: {changes or 'the configuration as it is'}", flush=True)
        arm_config = runs.changed(config, changes)
        if runs.is_finished(workdir / arm):
            runs.claim(workdir / arm, arm_config)
            print(f"finished already, in {workdir / arm}")
            continue
        code = train(arm_config, workdir / arm, overrides | changes)
        if not runs.is_finished(workdir / arm):
            return code
    return 0


def define_flags(values: flags.FlagValues) -> None:
    """The command's flags."""
    config_flags.DEFINE_config_file(
        "config", None, "the experiment, such as configs/quickstart.py", flag_values=values
    )
    flags.DEFINE_string("workdir", None, "folder of this run", flag_values=values)
    flags.DEFINE_bool("sweep", False, "run every arm of the config's sweep()", flag_values=values)
    flags.mark_flags_as_required(["config", "workdir"], flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """Trains and evaluates one run, or with --sweep every arm of an experiment."""
    values, extra = command_line.parse_flags(argv, "animclip train", define_flags)
    workdir, overrides = Path(values.workdir), command_line.overrides(values)
    settings.keep_compiled_programs(values.config)
    try:
        if extra:
            raise ValueError(f"{' '.join(extra)}: see animclip train --help")
        if not values.sweep:
            return train(values.config, workdir, overrides)
        module = command_line.config_module(values)
        if not hasattr(module, "sweep"):
            raise ValueError("--sweep: this configuration has no sweep(), run it without")
        return train_sweep(values.config, workdir, module.sweep(), overrides)
    except (OSError, ValueError) as error:
        print(f"animclip train: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
