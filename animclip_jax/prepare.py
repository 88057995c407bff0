"""`animclip prepare SOURCE --out=STORE`: decodes videos, and shrinks pictures, once and for all.

`animclip prepare --bake=N --config=FILE --out=DIR` makes whole batches instead
(see training/bake.py).
"""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["prepare", *sys.argv[1:]]))

from pathlib import Path

from absl import flags

from animclip_jax import settings
from animclip_jax.cli.parser import dashed
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.prepare import parse
from animclip_jax.training import bake
from animclip_jax.words import count
from input_pipeline.media import engines
from input_pipeline.media.workers import Limits
from input_pipeline.store import in_parts, making, videos
from input_pipeline.store.told import report
from input_pipeline.video_sets.preparable import holds_pictures, read_source

# The flags that each kind of preparing takes, besides --out.
EFFORT = ("processes", "max_bad", "time_limit", "memory_limit", "engine", "part", "merge")
TAKES = {
    "videos": ("split", "num_frames", "short_side", "quality", *EFFORT),
    "pictures": ("cache_dir", "short_side", "quality", *EFFORT),
    "--bake": ("bake", "config"),
}


@stoppable("animclip prepare")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    values, sources = parse(argv)
    out = Path(values.out)
    try:
        if "://" in values.out:
            raise ValueError(f"--out={values.out}: wanted a folder on a disk; copy it afterwards")
        if values.bake is not None:
            print(_bake(values, sources, out))
        else:
            print(_prepare(values, sources, out))
    except BrokenPipeError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        print(f"animclip prepare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        if not values.bake:
            stop.add_note("run the same command again to resume")
        raise
    return 0


def _bake(values: flags.FlagValues, sources: list[str], out: Path) -> str:
    if sources:
        raise ValueError(f"{sources[0]}: --bake takes its source from --config.data.train")
    if values.config is None:
        raise ValueError("--bake needs --config=FILE, the experiment whose batches it makes")
    _check_flags(values, "--bake")
    config = settings.with_tokenizer(values.config)
    data = config.data
    bake.bake(data.train, data.cache_dir, settings.batches(config), out, values.bake)
    return f"{out}: {count(values.bake, 'batch')} of {count(config.batch_size, 'clip')}"


def _prepare(values: flags.FlagValues, sources: list[str], out: Path) -> str:
    """What to report afterwards."""
    if len(sources) != 1:
        raise ValueError(f"found {sources or 'no source'}, wanted one, kind:location")
    (source,) = sources
    if values.part is not None and values.merge is not None:
        raise ValueError("--part and --merge: wanted one of them at most")
    what = "pictures" if holds_pictures(source) else "videos"
    _check_flags(values, what)
    limits = Limits(values.time_limit, values.memory_limit)
    with engines.opened(values.engine) as engine:
        effort = making.Effort(values.processes, limits, values.max_bad, engine)
        return _prepare_all(values, source, what, out, effort)


def _prepare_all(
    values: flags.FlagValues, source: str, what: str, out: Path, effort: making.Effort
) -> str:
    sizes = {"quality": values.quality}
    if values.short_side is not None:
        sizes["short_side"] = values.short_side
    if what == "pictures":
        from input_pipeline.sources.opening import open_source
        from input_pipeline.store import pictures

        examples = open_source(source, values.cache_dir)
        work = pictures.work_of(examples, pictures.PictureSettings(**sizes))
    else:
        kept = videos.FrameSettings(values.num_frames, **sizes)
        work = videos.work_of(read_source(source, values.split), kept)
    if values.part is not None:
        return in_parts.prepare_part(work, out, effort, values.part)
    if values.merge is not None:
        return report(out, in_parts.merge_parts(work, out, effort, values.merge), what)
    return report(out, making.prepare_store(work, out, effort), what)


def _check_flags(values: flags.FlagValues, what: str) -> None:
    """Raises ValueError for a flag that would change nothing."""
    for name in sorted({flag for taken in TAKES.values() for flag in taken}):
        if values[name].present and name not in TAKES[what]:
            taken = ", ".join(f"--{dashed(flag)}" for flag in ("out", *TAKES[what]))
            raise ValueError(f"--{dashed(name)}: not for {what}, which take {taken}")
