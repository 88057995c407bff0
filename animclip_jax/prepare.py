"""`animclip prepare SOURCE --out=STORE`: decodes videos, and shrinks pictures, once and for all.

`animclip prepare --bake=N --config=FILE --out=DIR` makes whole batches instead (see bake.py).
"""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["prepare", *sys.argv[1:]]))

from pathlib import Path
from typing import Any

from absl import flags

from animclip_jax import settings
from animclip_jax.cli.parser import dashed
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.prepare import parse
from animclip_jax.training import bake
from animclip_jax.words import count
from input_pipeline.media import quarantine
from input_pipeline.media.workers import Limits
from input_pipeline.sources import prepared
from input_pipeline.store import making, videos
from input_pipeline.video_sets.preparable import holds_pictures, read_source

# The flags that each kind of preparing takes, besides --out.
EFFORT = ("processes", "max_bad", "time_limit", "memory_limit")
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
    limits = Limits(values.time_limit, values.memory_limit)
    effort = making.Effort(values.processes, limits, values.max_bad)
    sizes = {"quality": values.quality}
    if values.short_side is not None:
        sizes["short_side"] = values.short_side
    if not holds_pictures(source):
        _check_flags(values, "videos")
        kept = videos.FrameSettings(values.num_frames, **sizes)
        collection = read_source(source, values.split)
        summary = videos.prepare_videos(collection, out, kept, effort)
        return _report(out, summary, "videos")
    from input_pipeline.sources.opening import open_source
    from input_pipeline.store import pictures

    _check_flags(values, "pictures")
    examples = open_source(source, values.cache_dir)
    settings = pictures.PictureSettings(**sizes)
    summary = pictures.prepare_pictures(examples, out, settings, effort)
    return _report(out, summary, "pictures")


def _check_flags(values: flags.FlagValues, what: str) -> None:
    """Raises ValueError for a flag that would change nothing."""
    for name in sorted({flag for taken in TAKES.values() for flag in taken}):
        if values[name].present and name not in TAKES[what]:
            taken = ", ".join(f"--{dashed(flag)}" for flag in ("out", *TAKES[what]))
            raise ValueError(f"--{dashed(name)}: not for {what}, which take {taken}")


def _report(out: Path, summary: dict[str, Any], what: str) -> str:
    lines = [f"{out}: {count(summary['num_items'], what[:-1])} of {summary['source']}"]
    if summary["num_quarantined"]:
        path = out / quarantine.NAME
        lines.append(f"{summary['num_quarantined']} can't be used, listed in {path}")
    splits = summary.get(making.SPLITS, {})
    for name, counts in splits.items():
        lines.append(f"  {name}: {prepared.coverage(**counts)} {what}")
    if splits:
        lines.append(f"a split is a source: folder:{out}@split={min(splits)}")
    return "\n".join(lines)
