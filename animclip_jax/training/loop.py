"""The one training loop, for every stage and every experiment."""

import contextlib
import dataclasses
import functools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from etils import epath
from jax.sharding import Mesh

from animclip_jax import distributed, files, sharding
from animclip_jax.animation.batch import Batch
from animclip_jax.evaluation.table import table
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.models.video_code import stored_bytes
from animclip_jax.reporting.report import report as write_page
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.log import RunLog
from animclip_jax.runs.mirror import Mirror, local_folder
from animclip_jax.runs.revision import git_commit
from animclip_jax.runs.tracker import Tracker
from animclip_jax.training import beginning, data, flops, init_from, mfu, step
from animclip_jax.training.best_checkpoint import Validation
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.config import TrainingConfig
from animclip_jax.training.interruption import Interruption
from animclip_jax.training.optimizer import learning_rate
from animclip_jax.training.watch import Watch
from animclip_jax.weights import vocabulary
from animclip_jax.words import count

if TYPE_CHECKING:
    from input_pipeline.examples import Examples

# Tokens that hold most captions.
MOST_CAPTIONS = 16
# Steps before a trace, in which programs are compiled and caches filled.
BEFORE_TRACE = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """What a command says beside the configuration, and results do not depend on.

    other_data: go on although the training data has changed. traced: steps to trace.
    """

    other_data: bool = False
    traced: int = 0


@dataclasses.dataclass(frozen=True)
class Run:
    """What stays the same from a run's first step to its last."""

    config: TrainingConfig
    mirror: Mirror
    options: Options
    mesh: Mesh
    sources: beginning.Sources

    @property
    def examples(self) -> "Examples | None":
        """What it is trained on; None of baked batches."""
        return self.sources.examples

    @property
    def workdir(self) -> Path:
        """The run's folder, or the local one that stands for it."""
        return self.mirror.local


def train(
    config: TrainingConfig,
    workdir: epath.PathLike,
    config_overrides: dict[str, Any],
    options: Options = Options(),  # noqa: B008 (frozen)
) -> int:
    """Trains from the newest checkpoint of `workdir`, or from scratch, to config.steps; evaluates.

    Returns:
      the exit code: 0 when the run is finished or was preempted (SIGTERM), 130 after Ctrl-C.

    Raises:
      ValueError: settings do not fit each other, the folder belongs to a run with another
        configuration, the data has changed, or a step was not finite.
    """
    beginning.check_settings(config)
    folder = local_folder(workdir, config.cache_dir)
    with run_config.alone(folder) if jax.process_index() == 0 else contextlib.nullcontext():
        mirror = Mirror(workdir, config.cache_dir)
        if jax.process_index() == 0:
            beginning.check_folder(mirror, config)
        git_commit()  # the one that starts the run, not the one there when it ends
        mesh = sharding.make_mesh(config.mesh)
        sources = beginning.open_sources(config, sharding.process_part(mesh))
        run = Run(config, mirror, options, mesh, sources)
        began = time.perf_counter()
        state, validation, interruption = advance(run)
        push(run)
        if not interruption.stopped:
            seconds = time.perf_counter() - began
            return finish(run, state, validation, config_overrides, seconds)
        left = "continues from there" if int(state.step) < config.steps else "evaluates it"
        say(
            f"{interruption.signal_name}: stopped after step {int(state.step)} of {config.steps}, "
            f"saved in {workdir}. The same command {left}."
        )
        return interruption.exit_code


def advance(run: Run) -> tuple[step.TrainState, Validation | None, Interruption]:
    """Trains as far as nothing interrupts it; what it ended with is saved."""
    config, digests = run.config, run.sources.digests
    made_of = {
        "config": config.settings,
        "data": digests["data.train"],
        "sources": digests,
    }
    with contextlib.ExitStack() as closing:
        checkpoints = closing.enter_context(
            Checkpoints(run.mirror.remote, keep=config.keep, made_of=made_of)
        )
        validation = None
        if config.validation is not None:
            goes_on = checkpoints.latest() is not None
            validation = closing.enter_context(
                Validation(config.validation, run.mirror, run.mesh, dict(made_of), goes_on)
            )
        state = begin(run, checkpoints)
        if jax.process_index() == 0:
            run_config.claim(run.workdir, config.settings)
            vocabulary.keep(run.workdir, config.model.clip.tokenizer)
        with Interruption() as interruption:
            state = run_steps(run, state, checkpoints, validation, interruption)
    return state, validation, interruption


def begin(run: Run, checkpoints: Checkpoints) -> step.TrainState:
    """The state to go on from: the newest checkpoint's, else that of config.init_from, else new."""
    config = run.config
    state = step.init_state(
        run.mesh,
        config.model,
        config.make_optimizer(),
        config.seed,
        config.begin_average,
        config.lora,
    )
    if (saved := checkpoints.latest()) is not None:
        if not run.options.other_data:
            made_of = checkpoints.read_made_of(saved)
            beginning.check_sources(
                run.mirror.remote, made_of, config.settings, run.sources.digests
            )
        state = checkpoints.restore(saved, state)
    elif config.init_from or config.init_towers_from:
        place = functools.partial(sharding.state_sharding, run.mesh)
        sources = config.init_from, config.init_towers_from
        params, report = init_from.begin(state.params, config.model.clip, *sources, place)
        say(report)
        state = state._replace(params=params, average=config.begin_average(params))
    say(sharding.table((state.params, state.average, state.opt_state)))
    say(reranking_cost(config.model))
    left = config.steps - int(state.step)
    if run.options.traced and left <= BEFORE_TRACE:
        say(f"no trace: {count(left, 'step')} left, and the first {BEFORE_TRACE} are not traced")
    return state


def run_steps(
    run: Run,
    state: step.TrainState,
    checkpoints: Checkpoints,
    validation: Validation | None,
    interruption: Interruption,
) -> step.TrainState:
    """The loop, to the last step or an interruption; the state it ends with is saved.

    Order within a step, kept: validate, save, next batch, step, log. A checkpoint's number is the
    number of steps done; step s takes batch s, whatever happened before. A step is logged while the
    next is under way, and looked at before its state is saved.
    """
    config, first = run.config, int(state.step)
    fixed = config.step_arguments(state.params)
    advance = step.compile_train_step(run.mesh, state, **fixed)
    part = sharding.process_part(run.mesh)
    spoken: list[str] = []
    batches = data.open_batches(config, run.examples, first, part, spoken)
    is_first = jax.process_index() == 0
    with (
        open_log(run, first) if is_first else contextlib.nullcontext() as log,
        contextlib.ExitStack() as trace,
    ):
        watch = make_watch(run, first, log)
        for now in range(first, config.steps):
            if now > first:
                validate(run, validation, watch, now, state)
            if now > first and now % config.save_every == 0:
                save(run, checkpoints, watch, now, state)
            if interruption.stops_after(now):
                break
            batch = watch.next_batch(batches)
            if now == 0 and is_first:
                keep_samples(run, watch, batch, spoken)
            if run.options.traced and now == first + BEFORE_TRACE:
                trace.enter_context(jax.profiler.trace(str(run.workdir / layout.PROFILE)))
            fed = sharding.put_batch(run.mesh, batch)
            with jax.transfer_guard("disallow"):
                if now == first:
                    advance = compiled(run, watch, advance, fixed, state, fed)
                state, metrics = advance(state, fed)
            watch.started(now + 1, metrics, batch.index)
            if run.options.traced and now + 1 == first + BEFORE_TRACE + run.options.traced:
                watch.look()
                trace.close()
        else:
            watch.look()
            validate(run, validation, watch, config.steps, state)
            interruption.stops_after(config.steps)
        watch.look()
    checkpoints.save(int(state.step), state)
    return state


def open_log(run: Run, first: int) -> RunLog:
    """The log of a run that goes on after `first`, for its first process."""
    config, tracker = run.config, None
    if config.log_to:
        tracker = Tracker(config.log_to, run.workdir, config.settings, goes_on=first > 0)
    return RunLog(run.workdir, config.steps, first, tracker=tracker)


def make_watch(run: Run, first: int, log: RunLog | None) -> Watch:
    """What looks at the steps of a run that goes on after `first`."""
    config = run.config
    return Watch(
        run.workdir,
        log,
        first=first,
        last=config.steps,
        every=config.log_every,
        batch_size=config.batches.batch_size,
        names=functools.partial(data.names, run.examples),
        learning_rate=learning_rate(config.optimizer, config.steps),
    )


def keep_samples(run: Run, watch: Watch, batch: Batch, spoken: list[str]) -> None:
    """Before the first step of all."""
    with watch.paused():
        data.keep_samples(run.config, run.workdir, run.examples, batch, spoken)


def compiled(
    run: Run, watch: Watch, advance: Any, fixed: dict[str, Any], state: step.TrainState, fed: Batch
) -> Any:
    """The step as a program for these arrays, compiled before the first one is under way.

    Args:
      advance: of `step.compile_train_step`. fixed: what it was given.
    """
    with watch.paused():
        watch.peak_seconds = mfu.peak_seconds(run.mesh, run.config.model, fixed, state, fed)
        return advance.lower(state, fed).compile()


def save(
    run: Run, checkpoints: Checkpoints, watch: Watch, now: int, state: step.TrainState
) -> None:
    """Between two steps, so that what is saved is finite."""
    watch.look()
    with watch.paused():
        checkpoints.save(now, state)
        push(run)


def validate(
    run: Run, validation: Validation | None, watch: Watch, now: int, state: step.TrainState
) -> None:
    """Where it is time to, or the run is at its end."""
    is_time = run.config.validate_every and now % run.config.validate_every == 0
    if validation is not None and (is_time or now == run.config.steps):
        watch.look()
        with watch.paused():
            say(validation.look(now, state))


def reranking_cost(config: RetrieverConfig) -> str:
    """What it takes to keep a video's code and to re-rank a pair, as a line for a person."""
    kib = stored_bytes(config.code_tokens, config.reranker) / 1024
    tokens = min(MOST_CAPTIONS, config.clip.context_length)
    return (
        f"re-ranking: {kib:.1f} KiB a video as {config.reranker.code_dtype}, "
        f"{flops.pair_flops(config, tokens) / 1e9:.3g} GFLOP a pair of "
        f"{count(tokens, 'caption token')}"
    )


def finish(
    run: Run,
    state: step.TrainState,
    validation: Validation | None,
    config_overrides: dict[str, Any],
    seconds: float,
) -> int:
    """Evaluates what was trained, and leaves WORKDIR/finished."""
    config, report = run.config, None
    if run.sources.lacking is None:
        from animclip_jax.evaluation.arm import Made, evaluate

        steps, params = config.steps, state.best_params
        if validation is not None:
            steps, params = validation.restore_best()
        made = Made(steps, config.settings, config_overrides, seconds)
        report = evaluate(config.evaluation, run.mesh, params, run.workdir, made)
    else:
        say(f"{run.workdir}: trained, not evaluated: {run.sources.lacking}.")
    if jax.process_index() == 0:
        if report is not None:
            write_page(run.workdir)
        files.write_text(run.workdir / layout.FINISHED, f"{count(config.steps, 'step')}\n")
        run.mirror.push()
        if report is not None:
            print(table(report), flush=True)
    distributed.wait("the end of a run")
    return 0


def push(run: Run) -> None:
    """Copies what the first process wrote to where the run's folder is."""
    if jax.process_index() == 0:
        run.mirror.push()


def say(text: str) -> None:
    """Prints a line on stderr, once for all processes."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)
