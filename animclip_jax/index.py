"""`animclip index DIR --model MODEL --out INDEX`: makes a folder of videos searchable.

The same command again brings the index up to date: it reads new and changed files alone. MODEL is a
folder of `animclip export`, a name on the Hugging Face Hub, such as openai/clip-vit-base-patch32,
or a folder of `animclip convert`; the last two search without re-ranking.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["index", *sys.argv[1:]]))

import argparse
import functools
import time

from animclip_jax import api, process
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.index import parse
from animclip_jax.video_index.effort import Effort
from animclip_jax.video_index.listing import list_videos
from animclip_jax.video_index.publish import publish, require_usable
from animclip_jax.video_index.summary import limits_of, report
from animclip_jax.video_index.update import update
from animclip_jax.video_index.watching import watch
from input_pipeline.media import engines
from input_pipeline.media.segments import SegmentSettings
from input_pipeline.media.workers import Limits


@stoppable("animclip index")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    try:
        if not options.videos.is_dir():
            raise NotADirectoryError(f"{options.videos}: no folder of videos")
        process.keep_freed_memory()
        # First, since a cluster here is started by forks, which JAX's threads don't survive.
        with engines.opened(options.engine) as engine:
            _index(options, engine)
    except BrokenPipeError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        complain(error)
        return 1
    except KeyboardInterrupt as stop:
        stop.add_note("run the same command again to resume")
        raise
    return 0


def _index(options: argparse.Namespace, engine: engines.Engine) -> None:
    if options.engine is not None:
        process.leave_devices_alone()  # A process of the cluster encodes with them.
    limits = Limits(options.time_limit, options.memory_limit)
    path = api.find(options.model)
    model = api.load(path)
    size, resize, interpolation, antialias = model.config.clip.fitted
    settings = SegmentSettings(
        *(model.config.num_frames, size, options.window, options.shots),
        *(resize, interpolation, antialias),
    )
    effort = Effort(options.batch_size, options.processes, limits, options.retry, engine)
    out = options.part.place(options.out) if options.part else options.out
    where = options.out, options.videos, model, path
    if options.to:
        require_usable(options.to, model.fingerprint, options.videos, settings)

    told = ""

    def run() -> bool:
        nonlocal told
        how = effort, options.forget, options.photos
        done = update(*where, settings, *how, part=options.part, merge=options.merge)
        said = report(out, done)
        # With --watch, files that can't be read are tried again and again: often in vain.
        if said != told or done.indexed or done.removed:
            print(said, flush=True)
            told = ""  # while it is not published
            if options.to:
                print(f"{options.to}: {publish(options.out, options.to)}", flush=True)
            told = said
        return done.listing.waits

    if options.watch is None:
        run()
    for told in limits_of(model, options.model):
        print(told, flush=True)
    if options.watch is not None:
        listing = functools.partial(list_videos, options.videos, options.out, options.photos)
        watch(run, listing, complain, functools.partial(time.sleep, options.watch))


def complain(error: Exception) -> None:
    print(f"animclip index: {error}", file=sys.stderr, flush=True)
